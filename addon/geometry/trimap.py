"""What of a view is kept, refined or made, of a scene that is textured in part. numpy only.

After TEXTure (Richardson et al., 2023): *make* what is empty, *refine* what this view sees better, *keep* the rest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BETTER = 0.2
"""By how much the measure of how well a surface is seen must be larger for it to be refined."""
REFINE = 140
"""Of 255: the strength of what is refined."""
MAKE = 255


def trimap(
    full: NDArray[np.bool_],
    target: NDArray[np.bool_],
    well: NDArray[np.uint8],
    clear: NDArray[np.uint8],
    now: NDArray[np.uint8],
    clear_now: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """0 to keep, ``REFINE`` or ``MAKE`` for each pixel, uint8, H x W; 0 for what is no target.

    ``full``: where a texture is; ``target``: where one can be. ``well``: how well it was seen, of 255, such as the
    cosine; ``clear``: how far that was from depth edges. ``now``: how well this view sees it; ``clear_now``: whether
    depth edges are far.
    """
    better = now.astype(np.int16) > well.astype(np.int16) + int(BETTER * 255)
    better |= (clear < 128) & (now >= well // 2)
    result = np.where(better & clear_now, np.uint8(REFINE), np.uint8(0))
    result[~full] = MAKE
    result[~target] = 0
    return result


def strength_of(parts: NDArray[np.uint8], target: NDArray[np.bool_], reach: int) -> NDArray[np.uint8]:
    """A plane of strength: ``parts`` of :func:`trimap`, and all that is no ``target``.

    The former are grown by ``reach`` pixels, and fall off over as many.
    What is narrower than an eighth of that is left out: slivers would have all around them made anew, and are filled.
    """
    speck = max(1, reach // 4)
    solid = _extreme(-_extreme(-parts.astype(np.float32), speck), speck)
    grown = _extreme(solid, reach)
    for axis in (0, 1):
        grown = _mean(grown, reach, axis)
    result = np.maximum(grown, solid).astype(np.uint8)
    result[~target] = MAKE  # nothing of it is kept
    return result


def _extreme(values: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """The largest value within ``reach`` pixels in both directions."""
    for axis in (0, 1):
        left = reach
        while left > 0:
            step = min(left, 1 if left == reach else 2)
            padded = np.pad(values, [(step, step) if one == axis else (0, 0) for one in (0, 1)], mode="edge")
            count = values.shape[axis]
            values = np.maximum.reduce([np.take(padded, range(at, at + count), axis) for at in (0, step, 2 * step)])
            left -= step
    return values


def _mean(values: NDArray[np.float32], reach: int, axis: int) -> NDArray[np.float32]:
    """The mean of a window of 2 ``reach`` + 1 pixels along ``axis``."""
    padded = np.pad(values, [(reach + 1, reach) if one == axis else (0, 0) for one in (0, 1)], mode="edge")
    total = np.cumsum(padded, axis, dtype=np.float64)
    count, width = values.shape[axis], 2 * reach + 1
    last, first = np.take(total, range(width, width + count), axis), np.take(total, range(count), axis)
    return ((last - first) / width).astype(np.float32)
