"""Where another view has what this one shows, and whether it shows there, too. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera import between, shares_background
from .surfaces import Surfaces, far_enough

SAME = 0.01
"""Of its distance, by which one surface may lie beside itself in two views."""
LEAST = 2e-5
"""Of the nearest surface's inverse distance: what rounding to 16 bits does to it."""
MARGIN = 0.01
"""Pixels beyond the rim that still count: rounding must not lose those of a view at rest."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Where each pixel of one view is in another.

    ``x``, ``y``: in pixels of the other view, the middle of the first one at 0.5, float32, H x W. ``inverse``: 1 /
    distance there. ``visible``: whether the other view shows the same place, bool: it is in the picture, nothing is in
    front of it, its front is what is seen, and it is not much nearer to a depth edge there than it is here, where its
    colour may be another's. ``finest``, ``coarsest``: pixels there to one here, in the direction in which they are most
    and fewest: below 1, the other view has less detail; near 0, it saw the surface at a grazing angle.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    inverse: NDArray[np.float32]
    visible: NDArray[np.bool_]
    finest: NDArray[np.float32]
    coarsest: NDArray[np.float32]


def look(
    now: Surfaces,
    then: Surfaces,
    ids: NDArray[np.uint16] | None = None,
    motions: Mapping[int, NDArray[np.float64]] | None = None,
) -> Seen:
    """Find what ``now`` shows in ``then``.

    ``motions``: for each of the ``ids`` (uint16, H x W of ``now``) that has moved, 4 x 4, from where it is in the world
    now to where it was then.
    """
    height, width = then.inverse.shape
    matrix = between(now.camera, then.camera)
    clip, across, up = (_product(matrix, plane) for plane in (now.numbers, now.across, now.up))
    if ids is not None:
        for number, motion in (motions or {}).items():
            where = ids == number
            matrix = between(now.camera, then.camera, motion)
            for into, plane in ((clip, now.numbers), (across, now.across), (up, now.up)):
                into[:, where] = _product(matrix, plane[:, where])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        w = 1 / clip[3]
        x, y, inverse = clip[0] * w, clip[1] * w, now.numbers[3] / clip[2]
        xx, xy = ((step[0] - x * step[3]) * w * np.float32(width / 2) for step in (across, up))
        yx, yy = ((step[1] - y * step[3]) * w * np.float32(height / 2) for step in (across, up))
        size, area = xx**2 + xy**2 + yx**2 + yy**2, xx * yy - xy * yx
        spread = np.sqrt(np.maximum(size**2 - 4 * area**2, 0))
        coarsest, finest = np.sqrt(np.maximum(size - spread, 0) / 2), np.sqrt((size + spread) / 2)
        x, y = (x + 1) * np.float32(width / 2), (1 - y) * np.float32(height / 2)
        front = (clip[3] > 0) & (area > 0)
    if now.camera.is_orthographic:
        there = now.inverse == 0
        rows, columns = np.nonzero(there)
        share = shares_background(now.camera, then.camera)
        x[there] = (columns + 0.5) * (width / now.inverse.shape[1]) if share else -1
        y[there] = (rows + 0.5) * (height / now.inverse.shape[0])
        inverse[there], coarsest[there], finest[there], front[there] = 0, 1, 1, share
    inside = front & (x > -MARGIN) & (y > -MARGIN) & (x < width + MARGIN) & (y < height + MARGIN)
    low, high, edge = then.around
    at = _corner(x, width, inside), _corner(y, height, inside)
    low, high, edge = low[at[1], at[0]], high[at[1], at[0]], edge[at[1], at[0]]
    slack = SAME * inverse + LEAST * then.inverse.max()
    same = (inverse >= low - slack) & (inverse <= high + slack)
    clear = far_enough(edge, now.edges)
    return Seen(x, y, inverse, inside & same & clear, finest, coarsest)


def _product(matrix: NDArray[np.float64], planes: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = matrix.astype(np.float32) @ planes.reshape(4, -1)
    return flat.reshape(planes.shape)


def _corner(place: NDArray[np.float32], count: int, inside: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The first of the two pixels between whose middles ``place`` lies."""
    return np.clip(np.floor(np.where(inside, place, 0.5) - np.float32(0.5)), 0, count - 2).astype(np.intp)
