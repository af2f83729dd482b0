"""A ground and a box on it, seen by rays of our own: what the geometry's sums are held to. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from addon.geometry.camera import Camera

SIZE = 96
GROUND, BOX = 1, 2


def placed(eye: tuple[float, float, float], yaw: float = 0.0) -> NDArray[np.float64]:
    """The view matrix of an eye that looks along +y, turned to the left by ``yaw``."""
    c, s = np.cos(yaw), np.sin(yaw)
    axes = np.array([[c, s, 0.0], [0.0, 0.0, 1.0], [s, -c, 0.0]])
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = axes, -axes @ np.array(eye)
    return view


def perspective(shift: float = 0.0) -> NDArray[np.float64]:
    return np.array([[2.0, 0, shift, 0], [0, 2.0, -shift / 2, 0], [0, 0, -1.002, -0.2002], [0, 0, -1, 0]])


def orthographic(shift: float = 0.0) -> NDArray[np.float64]:
    return np.array([[0.25, 0, 0, shift], [0, 0.25, 0, -shift], [0, 0, -0.01, -1.0], [0, 0, 0, 1]])


def rays(camera: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each pixel's ray begins, and how it goes for each unit of distance along the view axis."""
    x = (np.arange(SIZE) + 0.5) * 2 / SIZE - 1
    ndx, ndy = np.meshgrid(x, -x)
    p = camera.projection
    back = np.linalg.inv(camera.view)
    if camera.is_orthographic:
        start = np.stack([(ndx - p[0, 3]) / p[0, 0], (ndy - p[1, 3]) / p[1, 1], 0 * ndx, np.ones_like(ndx)], -1)
        along = np.broadcast_to([0.0, 0.0, -1.0], (*ndx.shape, 3))
    else:
        start = np.broadcast_to([0.0, 0.0, 0.0, 1.0], (*ndx.shape, 4))
        along = np.stack([(ndx + p[0, 2]) / p[0, 0], (ndy + p[1, 2]) / p[1, 1], -np.ones_like(ndx)], -1)
    return (start @ back.T)[..., :3], along @ back[:3, :3].T


def drawn(
    camera: Camera, box: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """1 / distance and ids of a ground at z = -1 and a box of 2 x 1 x 2 at ``box``, by rays."""
    start, along = rays(camera)
    nearest, ids = np.full((SIZE, SIZE), np.inf), np.zeros((SIZE, SIZE), np.uint16)
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = (-1 - start[..., 2]) / along[..., 2]
        hit = (ground > 0) & (ground < 60)
        nearest[hit], ids[hit] = ground[hit], GROUND
        ends = [((np.array(box) + side * np.array([1.0, 0.5, 1.0])) - start) / along for side in (-1, 1)]
    enter, leave = np.minimum(*ends).max(-1), np.maximum(*ends).min(-1)
    hit = (enter < leave) & (enter > 0) & (enter < nearest)
    nearest[hit], ids[hit] = enter[hit], BOX
    return (1 / nearest).astype(np.float32), ids
