"""What the denoising of one picture needs, as tensors. torch only."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .pipeline import Call


@dataclass(frozen=True, eq=False)
class Recipe:
    """What the denoising of a (size, steps, strength, seed) needs, on the device.

    ``signal``: how much of the encoded draft the start has, fp32, 0-d, or None where it has nothing of it.
    ``start``: the noise of the start, fp32, 1 x channels x height x width of the latent. ``levels``, ``noises``: how
    much of a clean latent belongs into the one before each call, fp32, 0-d, and the noise there, of the latent's shape.
    """

    signal: torch.Tensor | None
    start: torch.Tensor
    calls: tuple[Call, ...]
    levels: tuple[torch.Tensor, ...]
    noises: tuple[torch.Tensor, ...]
