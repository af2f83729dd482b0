"""Charts side by side in one square. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHRINK = 0.97
"""By how much all are made smaller at a time until they fit."""


@dataclass(frozen=True, eq=False)
class Packed:
    """``corners``: float64, C x 2, where the lower left of each chart is, in texels of a square of ``size``.

    ``scale``: by what all charts were multiplied to fit.
    """

    corners: NDArray[np.float64]
    size: int
    scale: float


def pack(sizes: NDArray[np.float64], least: int, most: int, gutter: int) -> Packed:
    """Put rectangles of ``sizes`` (C x 2, in texels) into the smallest square of a power of two that holds them.

    Its side is from ``least`` to ``most``; where ``most`` is too small, all shrink alike. ``gutter``: texels that stay
    free on each side of each; a rectangle is rounded up to whole texels, so that none is lost.
    """
    size = least
    while size < most and shelves(_padded(sizes, 1.0, gutter), size) is None:
        size *= 2
    room = np.sqrt(size**2 / max(float((sizes + 2 * gutter).prod(1).sum()), 1.0))  # for a perfect packing
    scale = 1.0 if room >= 1 else SHRINK ** int(np.log(room) / np.log(SHRINK))
    while True:
        found = shelves(_padded(sizes, scale, gutter), size)
        if found is not None:
            return Packed(found + float(gutter), size, scale)
        scale *= SHRINK
        if scale < 1e-3:  # more charts than texels: they lie over each other rather than outside
            return Packed(np.zeros_like(sizes) + gutter, size, scale)


def shelves(boxes: NDArray[np.intp], side: int) -> NDArray[np.intp] | None:
    """The lower left of each box (C x 2, whole texels), in rows with the highest first; None if they don't fit."""
    if len(boxes) and (boxes.max() > side or int(boxes.prod(1).sum()) > side * side):
        return None
    places = np.zeros_like(boxes)
    x = y = height = 0
    for number in np.lexsort((-boxes[:, 0], -boxes[:, 1])).tolist():
        width, tall = int(boxes[number, 0]), int(boxes[number, 1])
        if x + width > side:
            x, y, height = 0, y + height, 0
        if y + tall > side:
            return None
        places[number] = x, y
        x, height = x + width, max(height, tall)
    return places


def _padded(sizes: NDArray[np.float64], scale: float, gutter: int) -> NDArray[np.intp]:
    return np.maximum(np.ceil(sizes * scale), 1).astype(np.intp) + 2 * gutter
