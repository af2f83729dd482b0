"""Per-pixel strength within the denoising loop: how much of each pixel is repainted. torch only.

After Differential Diffusion (arXiv 2306.00950), for the few steps of a latent consistency model: of n UNet calls, a
cell with strength v takes part in the last v n. Until then it follows what is there, under the very noise that the
rest has, so that the UNet always sees a whole picture; where v n falls between two calls, both are mixed. As kept and
made latents carry the same noise, mixing them keeps its variance, and no seam is seen by the UNet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .recipe import Recipe

SOLID = 0.25
"""Strength as of which a pixel is wholly that of the picture that the model makes."""


@dataclass(frozen=True, eq=False)
class Repaint:
    """What one picture is made over. fp32 on the device, height x width of the picture.

    ``base``: H x W x 3, 0 to 255: what is there, and the draft where nothing is. ``strength``: 0 keeps a pixel, 1 makes
    it anew. ``share``: how much of the picture that the model makes goes into the result, the rest being ``base``:
    pixels are finer than the cells of a latent, and what is kept does not go through an autoencoder.
    """

    base: torch.Tensor
    strength: torch.Tensor
    share: torch.Tensor

    @property
    def picture(self) -> torch.Tensor:
        """``base`` as a picture, uint8 H x W x 3."""
        return self.base.round().clamp_(0, 255).to(torch.uint8)


class Held:
    """Holds the latent of one picture to what is there, between the UNet calls that make it."""

    def __init__(self, repaint: Repaint, there: torch.Tensor, recipe: Recipe) -> None:
        """``there``: the encoded ``base``, fp32, 1 x channels x h x w."""
        self._there, self._recipe = there, recipe
        self._strength = cells(repaint.strength, there.shape[-2], there.shape[-1])

    def start(self) -> torch.Tensor:
        """The first latent."""
        recipe = self._recipe
        kept = recipe.start + recipe.levels[0] * self._there
        if recipe.signal is not None:
            return kept  # what is made anew begins with the draft, which is in the base
        return torch.lerp(kept, recipe.start, self._part(0))

    def after(self, call: int, latent: torch.Tensor) -> torch.Tensor:
        """The latent as UNet call ``call``, from 0, left it, for the next call or, after the last, for decoding."""
        recipe = self._recipe
        if call + 1 == len(recipe.calls):
            return torch.lerp(self._there, latent, self._part(call))
        kept = recipe.levels[call + 1] * self._there + recipe.noises[call + 1]
        return torch.lerp(kept, latent, self._part(call + 1))

    def _part(self, call: int) -> torch.Tensor:
        return taking_part(self._strength, call, len(self._recipe.calls))


def painted(base: torch.Tensor, plane: torch.Tensor) -> Repaint:
    """By a plane of strength alone, 0 to 1, over ``base``; both as in :class:`Repaint`."""
    return Repaint(base, plane, (plane / SOLID).clamp(max=1))


def cells(strength: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """``strength`` for the cells of a latent, 1 x 1 x height x width: their pixels' mean."""
    return F.interpolate(strength[None, None], (height, width), mode="area")


def taking_part(strength: torch.Tensor, call: int, calls: int) -> torch.Tensor:
    """How much of each cell is made by UNet call ``call``, from 0, of ``calls``: 0 to 1."""
    return (strength * calls - (calls - 1 - call)).clamp(0, 1)


def composed(made: torch.Tensor, repaint: Repaint) -> torch.Tensor:
    """The picture, uint8 H x W x 3, of what the model made, uint8 H x W x 3, and of what is there."""
    mixed = torch.lerp(repaint.base, made.float(), repaint.share[..., None])
    return mixed.round_().clamp_(0, 255).to(torch.uint8)
