"""Fills the gaps of a picture from what lies around them. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def push_pull(colours: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """``colours`` (float32, H x W x C) with those of small ``weights`` (float32, H x W, 0 to 1) made from neighbours.

    After Gortler et al., The Lumigraph (1996): halve until all is known, then go back up, and take from the coarser
    level as much as a texel's own weight leaves. Sides are powers of two. Where nothing has weight, 0.
    """
    levels = [(colours * weights[..., None], weights)]
    while levels[-1][1].shape[0] > 1 and levels[-1][1].shape[1] > 1:
        sums, heavy = levels[-1]
        height, width = heavy.shape[0] // 2, heavy.shape[1] // 2
        total = heavy.reshape(height, 2, width, 2).sum((1, 3))
        # of four texels, one is enough to be sure
        factor = np.minimum(total, 1) / np.maximum(total, 1e-12)
        halved = sums.reshape(height, 2, width, 2, -1).sum((1, 3)) * factor[..., None]
        levels.append((halved, np.minimum(total, 1)))
    sums, heavy = levels.pop()
    result = sums / np.maximum(heavy, 1e-12)[..., None]
    for sums, heavy in reversed(levels):
        result = doubled(result)[: heavy.shape[0], : heavy.shape[1]]
        result *= (1 - heavy)[..., None]
        result += sums
    return result


def doubled(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """``image`` (H x W x C) twice as large, linearly between the middles of its pixels."""
    for axis in (0, 1):
        before, after = np.take(image, [0], axis), np.take(image, [-1], axis)
        padded = np.concatenate([before, image, after], axis)
        count = image.shape[axis]
        inner = [slice(None)] * image.ndim
        low, here, high = (
            padded[tuple(inner[:axis] + [slice(start, start + count)] + inner[axis + 1 :])] for start in (0, 1, 2)
        )
        pair = np.stack([0.75 * here + 0.25 * low, 0.75 * here + 0.25 * high], axis + 1)
        shape = list(image.shape)
        shape[axis] *= 2
        image = pair.reshape(shape).astype(np.float32)
    return image
