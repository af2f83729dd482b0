"""Kept pictures, and their pixels as another view sees them. torch and addon.geometry; no models, no requests."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from .views import Relief, Seen, Surfaces, corners
from .windows import greatest, least

FINE = 1.6
"""Kept pixels to one here as of which the picture at half its size is looked at, so that nothing flickers."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame at the size of its picture: surfaces, draft (uint8, 3 x N), ids (int32, N, or None), and where each
    object is in the world, as ``addon.wire.Frame`` has them."""

    surfaces: Surfaces
    draft: torch.Tensor
    ids: torch.Tensor | None
    objects: NDArray[np.void]

    @property
    def height(self) -> int:
        return self.surfaces.relief.height

    @property
    def width(self) -> int:
        return self.surfaces.relief.width


@dataclass(frozen=True, eq=False)
class Made:
    """How each pixel of a picture was made: as in :class:`Anchor`, but ``rough`` fp32, N, 0 to 1."""

    rough: torch.Tensor
    clearance: torch.Tensor
    breadth: torch.Tensor

    @classmethod
    def wholly(cls, scene: Scene, settled: bool) -> Made:
        """A fresh picture of ``scene``; ``settled``: with many steps."""
        edges = scene.surfaces.edges
        return cls(torch.full_like(edges, not settled, dtype=torch.float32), edges, torch.full_like(edges, 255))


@dataclass(eq=False)
class Anchor:
    """A kept picture with the planes of its frame. Flat: N = height * width.

    ``picture``: uint8, N x 3. ``rough``: uint8, N: 255 where few steps made it, which a picture at rest will improve.
    ``clearance``: uint8, N: how far from a depth edge each colour was when it was made, as in ``Surfaces``: what lies
    beside another surface takes on some of its colour, and keeps it. ``breadth``: uint8, N: see ``strips``.
    ``valid``: bool, N, false where what it shows has changed since. ``shades``: of the draft round each pixel, the
    darkest and the brightest, uint8, 6 x N. ``lasting``: whether it is kept beyond the next picture. ``used``: pixels
    taken from it last.
    """

    relief: Relief
    picture: torch.Tensor
    rough: torch.Tensor
    clearance: torch.Tensor
    breadth: torch.Tensor
    valid: torch.Tensor
    shades: torch.Tensor
    ids: torch.Tensor | None
    objects: NDArray[np.void]
    lasting: bool
    used: int = 0
    _levels: list[torch.Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, scene: Scene, picture: torch.Tensor, made: Made, lasting: bool) -> Anchor:
        """``picture``: uint8, H x W x 3."""
        draft = scene.draft.view(3, scene.height, scene.width)
        shades = torch.stack([pick(channel, 1).view(-1) for pick in (least, greatest) for channel in draft])
        rough = (made.rough * 255).to(torch.uint8)
        valid = torch.ones_like(rough, dtype=torch.bool)
        planes = picture.reshape(-1, 3), rough, made.clearance, made.breadth, valid, shades
        return cls(scene.surfaces.relief, *planes, scene.ids, scene.objects, lasting)

    @property
    def nbytes(self) -> int:
        planes = [self.picture, self.rough, self.clearance, self.breadth, self.valid, self.shades, *self._levels]
        planes += [self.relief.inverse, self.relief.low, self.relief.high, self.relief.beside]
        return sum(plane.nbytes for plane in planes) + (0 if self.ids is None else self.ids.nbytes)

    def colours(self, seen: Seen, at: torch.Tensor) -> torch.Tensor:
        """The picture at ``seen``'s pixels ``at``, fp32, 3 x n, 0 to 255.

        Bicubic; beside depth edges bilinear, of those pixels alone that show the same surface.
        """
        relief = self.relief
        x, y = seen.x.index_select(0, at), seen.y.index_select(0, at)
        grid = torch.stack([x * (2 / relief.width) - 1, y * (2 / relief.height) - 1], -1)[None, None]
        result = _sampled(self._level(0), grid)
        fine = (~seen.coarser_than(FINE)).index_select(0, at).nonzero()[:, 0]
        if len(fine):
            result.index_copy_(1, fine, _sampled(self._level(1), grid.index_select(2, fine)))
        beside = (~seen.clear).index_select(0, at).nonzero()[:, 0]
        if len(beside):
            places = (x.index_select(0, beside) - 0.5, y.index_select(0, beside) - 0.5)
            result.index_copy_(1, beside, self._own_surface(*places, seen.inverse.index_select(0, at[beside])))
        return result.clamp_(0, 255)

    def _level(self, index: int) -> torch.Tensor:
        """The picture, 1 x 3 x H x W, fp32, halved ``index`` times; made when it is first needed."""
        while len(self._levels) <= index:
            if self._levels:
                self._levels.append(F.avg_pool2d(self._levels[-1], 2, ceil_mode=True))
            else:
                planes = self.picture.view(1, self.relief.height, self.relief.width, 3).permute(0, 3, 1, 2)
                self._levels.append(planes.float())
        return self._levels[index]

    def _own_surface(self, x: torch.Tensor, y: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
        relief = self.relief
        corner = corners(x + 0.5, y + 0.5, relief.height, relief.width, torch.ones_like(x, dtype=torch.bool))
        right, down = (x - corner % relief.width).clamp(0, 1), (y - corner // relief.width).clamp(0, 1)
        total, weights = torch.zeros((3, len(x)), device=x.device), torch.zeros_like(x)
        channels = self._level(0).view(3, -1)
        for step, weight in (
            (0, (1 - right) * (1 - down)),
            (1, right * (1 - down)),
            (relief.width, (1 - right) * down),
            (relief.width + 1, right * down),
        ):
            pixel = corner + step
            found = relief.inverse.index_select(0, pixel)
            # the one that is nearest in depth decides where none is quite the same
            apart = (found - inverse).abs_() / torch.maximum(found, inverse).clamp_(min=1e-12)
            each = (weight + 1e-3) * torch.exp(apart * -200).clamp_(min=1e-30)
            for into, channel in zip(total, channels, strict=True):
                into.addcmul_(each, channel.index_select(0, pixel))
            weights += each
        return total / weights


def _sampled(planes: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return F.grid_sample(planes, grid, mode="bicubic", padding_mode="border", align_corners=False)[0, :, 0]
