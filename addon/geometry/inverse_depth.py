"""From a depth buffer to the inverse depth of a frame. numpy only: no bpy.

Conventions: ``projection`` is Blender's ``window_matrix`` (view to clip space, row-major), a depth buffer holds
0 at the near and 1 at the far clipping plane.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = tuple[tuple[float, ...], ...]
FULL = 65535
CLOSEST = 1e-6
"""No surface is taken to be nearer than this, in scene units."""


def is_orthographic(projection: Sequence[Sequence[float]]) -> bool:
    """Whether ``projection`` leaves w at 1: its last row is (0, 0, 0, 1), of a perspective one (0, 0, -1, 0)."""
    return abs(projection[3][2]) < 0.5


def to_buffer(distance: NDArray[np.float32], projection: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """What a depth buffer holds for surfaces at ``distance`` along the view axis, in scene units: of 0 to 1."""
    if is_orthographic(projection):
        z = projection[2][3] - projection[2][2] * distance
    else:
        z = projection[2][3] / np.maximum(distance, CLOSEST) - projection[2][2]
    return np.clip((z + 1) / 2, 0, 1).astype(np.float32)


def inverse_depth(
    depth: NDArray[np.float32], projection: Sequence[Sequence[float]]
) -> tuple[NDArray[np.uint16], float, float]:
    """The plane ``round(65535 * near / distance)``, ``near``, the smallest distance in the picture, and ``back``.

    ``depth``: float32, H x W, a depth buffer; 1 is background and becomes 0. ``near`` is 1 when all is background.
    Distances run along the view axis, in scene units. An orthographic eye can be anywhere on that axis, so it is put
    where the nearest surface is as far away as the view is high: near objects then stand out about as much as in a
    perspective view. ``back``: by how much that is behind the eye of the view matrix; 0 in perspective. See
    :func:`moved_back`.

    From OpenGL's projection, with ``z = 2 depth - 1`` and ``P = projection``: the perspective distance is
    ``P[2][3] / (z + P[2][2])``, the orthographic one ``(P[2][3] - z) / P[2][2]``. The former is computed from
    ``depth - 1``, which float32 holds exactly where it counts, far away; and as its inverse it is linear, so that
    no pixel needs a division.
    """
    surface = depth < 1.0
    if not surface.any():
        return np.zeros(depth.shape, np.uint16), 1.0, 0.0
    back = 0.0
    if is_orthographic(projection):
        nearest = float(depth.min())
        beyond = (depth - np.float32(nearest)) * np.float32(-2.0 / projection[2][2])
        near = max(2.0 / abs(projection[1][1]), CLOSEST)
        back = near - (projection[2][3] - (2 * nearest - 1)) / projection[2][2]
        inverse = np.float32(1.0) / (beyond + np.float32(near))
    else:
        inverse = (depth - np.float32(1.0)) * np.float32(2.0 / projection[2][3])
        inverse += np.float32((1.0 + projection[2][2]) / projection[2][3])
        np.clip(inverse, 0.0, 1.0 / CLOSEST, out=inverse)
        near = 1.0 / float(inverse[surface].max())
    inverse *= np.float32(FULL * near)
    inverse += np.float32(0.5)
    inverse *= surface
    return np.minimum(inverse, FULL).astype(np.uint16), near, back


def moved_back(view: Rows, projection: Rows, back: float) -> tuple[Rows, Rows]:
    """The same orthographic view from an eye that is ``back`` farther behind: everything stays where it is seen."""
    view = (*view[:2], (*view[2][:3], view[2][3] - back), view[3])
    depth = projection[2]
    return view, (*projection[:2], (*depth[:3], depth[3] + depth[2] * back), projection[3])
