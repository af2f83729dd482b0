"""Fills the gaps of a picture from what lies around them. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEEPEST = 12.0
"""Of 255: no more does a colour change from texel to texel beyond a rim, where a stray one would become a speck."""
KNOWN = 0.25
"""The weight above which a colour is believed to be the surface's own."""


def push_pull(colours: NDArray[np.uint8], weights: NDArray[np.float32]) -> None:
    """Make ``colours`` (uint8, H x W x C) of small ``weights`` (float32, H x W, 0 to 1) from neighbours, in place.

    After Gortler et al., The Lumigraph (1996): halve until all is known, then go back up, and take from the coarser
    level as much as a texel's own weight leaves. H and W are even. Where nothing has weight, 0.
    """
    # One quarter of the texels and one channel at a time: all loops are long, and nothing is as large as the image.
    quarters = [(slice(y, None, 2), slice(x, None, 2)) for y in (0, 1) for x in (0, 1)]
    heavy = [np.ascontiguousarray(weights[quarter]) for quarter in quarters]
    total = np.asarray(heavy[0] + heavy[1] + heavy[2] + heavy[3], np.float32)
    sums = np.empty((colours.shape[2], *total.shape), np.float32)
    for channel, into in enumerate(sums):
        np.multiply(colours[(*quarters[0], channel)], heavy[0], out=into)
        for quarter, weight in zip(quarters[1:], heavy[1:], strict=True):
            into += colours[(*quarter, channel)] * weight
    # the finest level does without blending: its texels are next to what they are from
    coarse = _filled(*_sure(sums, total))
    coarse += np.float32(0.5)
    for channel, far in enumerate(coarse):
        for quarter, weight in zip(quarters, heavy, strict=True):
            near = colours[(*quarter, channel)] - far
            near += np.float32(0.5)
            near *= weight
            near += far
            colours[(*quarter, channel)] = near


def _filled(sums: NDArray[np.float32], heavy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours (C x H x W) from their ``sums`` and weights, 0 to 1: what has less than 1 from what is around it."""
    height, width = heavy.shape
    if heavy.min() >= 1:
        return sums
    if height == width == 1:
        return sums / np.maximum(heavy, 1e-12)
    below = sums, heavy
    if height % 2 or width % 2:
        odd = [(0, height % 2), (0, width % 2)]
        below = np.pad(sums, [(0, 0), *odd]), np.pad(heavy, odd)
    result = doubled(_filled(*_sure(_halved(below[0]), _halved(below[1]))))
    result = result[:, :height, :width]
    result *= 1 - heavy
    result += sums
    return result


def _sure(sums: NDArray[np.float32], total: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``sums`` of colours and the ``total`` of their weights, at most 1: of four texels, one is enough to be sure."""
    heavy = np.minimum(total, np.float32(1))
    sums *= heavy / np.maximum(total, 1e-12)
    return sums, heavy


def doubled(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """``image`` (C x H x W) twice as large, linearly between the middles of its pixels."""
    for axis in (1, 2):
        here = np.moveaxis(image, axis, 0)
        shape = list(image.shape)
        shape[axis] *= 2
        twice = np.empty(shape, np.float32)
        part = here * np.float32(0.25)
        for side, (first, rest, from_here) in enumerate(
            ((0, slice(1, None), slice(None, -1)), (-1, slice(None, -1), slice(1, None)))
        ):
            there = np.moveaxis(twice, axis, 0)[side::2]
            np.subtract(here, part, out=there)
            there[rest] += part[from_here]
            there[first] += part[first]
        image = twice
    return image


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of 2 x 2 texels, of the last two axes."""
    rows = values[..., 0::2, :] + values[..., 1::2, :]
    return np.asarray(rows[..., 0::2] + rows[..., 1::2], np.float32)


def extended(colours: NDArray[np.uint8], weights: NDArray[np.float32], rings: int = 2) -> None:
    """Go on with the colours of what is known beyond its rim, in place: as steeply as they change there.

    ``colours``: uint8, H x W x C; ``weights``: float32, H x W, 0 to 1; more than a quarter is known. So a texture that
    is read between two texels at the rim of a chart has there what the picture would have.
    """
    known = np.pad(weights > KNOWN, 2)
    width = known.shape[1]
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
    colours[grown] = flat.reshape(*known.shape, -1)[2:-2, 2:-2][grown]
    weights[grown] = 1
