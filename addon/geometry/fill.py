"""Fills the gaps of a picture from what lies around them. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEEPEST = 12.0
"""Of 255: no more does a colour change from texel to texel beyond a rim, where a stray one would become a speck."""
KNOWN = 0.25
"""The weight above which a colour is believed to be the surface's own."""


def push_pull(colours: NDArray[np.uint8], weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """``colours`` (uint8, S x S x C) with those of small ``weights`` (float32, S x S, 0 to 1) made from neighbours.

    After Gortler et al., The Lumigraph (1996): halve until all is known, then go back up, and take from the coarser
    level as much as a texel's own weight leaves. The side is a power of two. Where nothing has weight, 0.
    """
    levels = []
    sums, heavy = colours * weights[..., None], weights
    while heavy.shape[0] > 1:
        levels.append((sums, heavy))
        total = _halved(heavy)
        heavy = np.minimum(total, 1)  # of four texels, one is enough to be sure
        sums = _halved(sums)
        sums *= (heavy / np.maximum(total, 1e-12))[..., None]
    result = sums / np.maximum(heavy, 1e-12)[..., None]
    for level in range(len(levels) - 1, -1, -1):
        sums, heavy = levels[level]
        # the finest level, which is most of the work, does without blending: its texels are next to what they are from
        result = doubled(result) if level else np.repeat(np.repeat(result, 2, 0), 2, 1)
        result *= (1 - heavy)[..., None]
        result += sums
    result += np.float32(0.5)
    return result.astype(np.uint8)


def doubled(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """``image`` (H x W x C) twice as large, linearly between the middles of its pixels."""
    for _ in (0, 1):
        part = image * np.float32(0.25)
        twice = np.empty((image.shape[0], 2, *image.shape[1:]), np.float32)
        np.subtract(image, part, out=twice[:, 0])
        twice[:, 1] = twice[:, 0]
        twice[1:, 0] += part[:-1]
        twice[0, 0] += part[0]
        twice[:-1, 1] += part[1:]
        twice[-1, 1] += part[-1]
        image = twice.reshape(-1, *image.shape[1:]).swapaxes(0, 1)
    return np.ascontiguousarray(image)


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of 2 x 2 texels."""
    rows = values[0::2] + values[1::2]
    return np.asarray(rows[:, 0::2] + rows[:, 1::2], np.float32)


def extended(colours: NDArray[np.uint8], weights: NDArray[np.float32], rings: int = 2) -> None:
    """Go on with the colours of what is known beyond its rim, in place: as steeply as they change there.

    ``colours``: uint8, S x S x C; ``weights``: float32, S x S, 0 to 1; more than a quarter is known. So a texture that
    is read between two texels at the rim of a chart has there what the picture would have.
    """
    size = weights.shape[0]
    known = np.pad(weights > KNOWN, 2)
    width = size + 4
    steps = (1, -1, width, -width)
    flat_known, flat = known.reshape(-1), np.pad(colours, ((2, 2), (2, 2), (0, 0))).reshape(-1, colours.shape[2])
    inside = np.zeros_like(known)
    inside[2:-2, 2:-2] = True
    for _ in range(rings):
        beside = np.zeros_like(known)
        beside[1:-1, 1:-1] = known[2:, 1:-1] | known[:-2, 1:-1] | known[1:-1, 2:] | known[1:-1, :-2]
        ring = np.flatnonzero(beside & ~known & inside)
        total, count = np.zeros((len(ring), flat.shape[1]), np.float32), np.zeros(len(ring), np.float32)
        for step in steps:
            near, far = flat_known[ring + step], flat_known[ring + 2 * step]
            here = flat[ring + step].astype(np.float32)
            beyond = flat[ring + 2 * step].astype(np.float32)
            slope = np.where(far[:, None], np.clip(here - beyond, -STEEPEST, STEEPEST), 0)
            total += np.where(near[:, None], here + slope, 0)
            count += near
        flat[ring] = np.clip(total / np.maximum(count, 1)[:, None] + 0.5, 0, 255).astype(np.uint8)
        flat_known[ring] = True
    grown = known[2:-2, 2:-2] & (weights <= KNOWN)
    colours[grown] = flat.reshape(width, width, -1)[2:-2, 2:-2][grown]
    weights[grown] = 1
