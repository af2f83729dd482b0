"""A view as numbers, and the way from one view's pixels into another's. numpy only.

Everything per pixel is linear in four numbers, so that a frame needs one product of a 4 x 4 matrix with them. For a
perspective view they are ``(x, y, 1, i)``: x and y of the pixel in normalised device coordinates (-1 left and bottom,
1 right and top) and the inverse i of its distance along the view axis, 0 for the background; for an orthographic one
``(x i, y i, 1, i)``. The product gives clip coordinates of the other view and the distance there, all of them divided
by the distance here, so that the background, infinitely far away, needs no case of its own: it goes by its direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = Sequence[Sequence[float]]
FULL = 65535
"""The nearest surface of an inverse depth plane."""


@dataclass(frozen=True, eq=False)
class Camera:
    """Blender's ``view_matrix`` (world to view) and ``window_matrix`` (view to clip space), float64, 4 x 4, row-major.

    Perspective, orthographic or shifted. ``ValueError`` where one of them cannot be inverted.
    """

    view: NDArray[np.float64]
    projection: NDArray[np.float64]

    @classmethod
    def of(cls, view: Rows, projection: Rows) -> Camera:
        """From rows of numbers."""
        camera = cls(np.array(view, np.float64), np.array(projection, np.float64))
        scale = abs(camera.projection[0, 0] * camera.projection[1, 1])
        if not scale > 0 or not abs(np.linalg.det(camera.view)) > 0:
            raise ValueError("the view or projection matrix is flat, so that no pixel has a place in the world")
        return camera

    @property
    def is_orthographic(self) -> bool:
        """Whether the projection leaves w at 1: its last row is (0, 0, 0, 1), of a perspective one (0, 0, -1, 0)."""
        return bool(abs(self.projection[3, 2]) < 0.5)

    @property
    def to_world(self) -> NDArray[np.float64]:
        """4 x 4: a pixel's four numbers to its place in the world, homogeneous, divided by its distance."""
        p = self.projection
        column = 3 if self.is_orthographic else 2
        # clip x is p00 x + p03, or p00 x - p02 d: shifted views have the last term
        sign = -1.0 if self.is_orthographic else 1.0
        rays = np.zeros((4, 4))
        last = 3 if self.is_orthographic else 2
        rays[0, 0], rays[0, last] = 1 / p[0, 0], sign * p[0, column] / p[0, 0]
        rays[1, 1], rays[1, last] = 1 / p[1, 1], sign * p[1, column] / p[1, 1]
        rays[2, 2], rays[3, 3] = -1.0, 1.0
        return np.linalg.inv(self.view) @ rays

    @property
    def from_world(self) -> NDArray[np.float64]:
        """4 x 4: a homogeneous place in the world to clip x, clip y, distance along the view axis, and clip w."""
        return np.stack([self.projection[0], self.projection[1], [0.0, 0.0, -1.0, 0.0], self.projection[3]]) @ self.view

    def turned(self, other: Camera) -> float:
        """By how many radians the one is turned against the other, whichever way."""
        return rotation(self.view @ np.linalg.inv(other.view))


def rotation(matrix: NDArray[np.float64]) -> float:
    """The angle in radians by which a 4 x 4 matrix of movement, turning and scaling turns."""
    left, _, right = np.linalg.svd(matrix[:3, :3])
    return float(np.arccos(np.clip((np.trace(left @ right) - 1) / 2, -1.0, 1.0)))


def between(now: Camera, then: Camera, motion: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """4 x 4: the four numbers of a pixel of ``now`` to clip x, clip y, distance and clip w in ``then``.

    ``motion``: where what the pixel shows was ``then``, as a matrix from its place in the world now; None: the same.
    """
    return then.from_world @ (now.to_world if motion is None else motion @ now.to_world)


def shares_background(now: Camera, then: Camera) -> bool:
    """Whether two orthographic views look the same way.

    Their parallel rays have one direction for all of the background, which stands still on the screen then; where
    they look another way, or one of two views is orthographic, nothing can be said about it.
    """
    return now.is_orthographic and then.is_orthographic and np.allclose(now.view[:3, :3], then.view[:3, :3], atol=1e-6)


def inverse_distances(plane: NDArray[np.uint16], near: float) -> NDArray[np.float32]:
    """An inverse depth plane (``65535 * near / distance``, 0 for background) as 1 / distance, float32, H x W."""
    return plane.astype(np.float32) * np.float32(1.0 / (FULL * near))


def numbers(camera: Camera, inverse: NDArray[np.float32]) -> NDArray[np.float32]:
    """The four numbers of each pixel, float32, 4 x H x W. ``inverse``: 1 / distance, float32, H x W."""
    height, width = inverse.shape
    x = (np.arange(width, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / width) - 1
    y = 1 - (np.arange(height, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / height)
    one = np.ones_like(inverse)
    scale = inverse if camera.is_orthographic else one
    return np.stack([x[None] * scale, y[:, None] * scale, one, inverse])


def positions(camera: Camera, inverse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Places in the world, homogeneous, float32, H x W x 4: divide by the last for a surface's place.

    The last is 0 for the background, and the first three its direction then.
    """
    height, width = inverse.shape
    flat = camera.to_world @ numbers(camera, inverse).reshape(4, -1).astype(np.float64)
    return flat.T.reshape(height, width, 4).astype(np.float32)
