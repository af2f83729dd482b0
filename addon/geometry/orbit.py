"""Where to look from: the middle of what a view shows, and views turned about it. numpy only.

View matrices are world to view, 4 x 4, a view looks along its -Z; up is the world's Z. All in float64, as a turn about
a point far from the origin is a small difference of large numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .inverse_depth import is_orthographic

Array = NDArray[np.float64]
CENTRE = 0.5
"""How much the middle of a picture counts more than its edges: the sigma of a bell curve, in half sides."""
EDGES = (0.1, 0.9)
"""Between these parts of it, in order of distance, lies what counts as the thing that is seen."""


def middle_of_sight(seen: Array, places: Array) -> Array:
    """The middle of what a view shows, as seen from its eye: x, y, z, in the picture's frame.

    ``seen``: N x 3, from the eye, which looks along -Z, of as many pixels; ``places``: N x 2, where each is in the
    picture, -1 to 1 to the right and up.
    Things in the middle of the picture count more than those at its edges, and near ones somewhat more than far ones; a
    ground that reaches to the horizon, or a dome for a sky, is not what a view is of.
    """
    distances = -seen[:, 2]
    weights = np.exp(-0.5 * (places**2).sum(1) / CENTRE**2) / np.sqrt(np.maximum(distances, 1e-9))
    distance = _quantile(distances, weights, 0.5)
    about = (distances > distance / 2) & (distances < distance * 2)
    weights = weights[about]
    low, high = (_quantile(distances[about], weights, part) for part in EDGES)
    # by directions, as the middle of places in the world need not be in the frame
    slopes = seen[about, :2] / distances[about, None]
    middle = (low + high) / 2
    return np.array([*(_quantile(slopes[:, axis], weights, 0.5) * middle for axis in (0, 1)), -middle])


def turned(view: Array, middle: Array, turn: float) -> Array:
    """``view`` with its eye moved round the vertical axis through ``middle`` by ``turn`` of a full circle.

    Height and distance stay, and ``middle`` stays where it is in the picture.
    """
    cos, sin = math.cos(math.tau * turn), math.sin(math.tau * turn)
    around = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    rotation = view[:3, :3] @ around.T
    result = np.eye(4)
    result[:3, :3] = rotation
    result[:3, 3] = view[:3, :3] @ middle + view[:3, 3] - rotation @ middle
    return result


def view_towards(direction: Array, aim: Array, distance: float) -> Array:
    """The view whose eye lies from ``aim`` at ``distance`` in ``direction`` (of length 1, not vertical)."""
    right = np.cross([0.0, 0.0, 1.0], direction)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(direction, right), direction])
    result = np.eye(4)
    result[:3, :3] = rotation
    result[:3, 3] = -rotation @ (aim + direction * distance)
    return result


def dome(count: int, lowest: float = 0.15) -> Array:
    """``count`` directions spread evenly over the upper half of a sphere, N x 3; none is steeper than can be turned to.

    ``lowest``: the least sine of their height above the horizon. A Fibonacci lattice (Swinbank and Purser, 2006).
    """
    number = np.arange(count) + 0.5
    up = lowest + (0.995 - lowest) * number / count
    turn = np.pi * (3 - math.sqrt(5)) * number
    across = np.sqrt(1 - up**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), up], 1)


def sphere_round(points: Array) -> tuple[Array, float]:
    """The middle of the box round ``points`` (N x 3) and the radius, above 0, of the sphere there that has them all."""
    middle = (points.min(0) + points.max(0)) / 2
    return middle, max(float(np.linalg.norm(points - middle, axis=1).max()), 1e-9)


def from_eye(view: Array, seen: Array) -> Array:
    """Points as a view's eye sees them, N x 3, in the world. The view may be sheared, as that of a scaled parent."""
    inverse: Array = np.linalg.inv(view)
    return np.asarray(seen @ inverse[:3, :3].T + inverse[:3, 3], np.float64)


def perspective(half_angle: float, near: float, far: float) -> Array:
    """The projection of a square frame; ``half_angle``: half of what it takes in, either way."""
    zoom = 1 / math.tan(half_angle)
    return with_clipping(np.diag([zoom, zoom, 0.0, 0.0]) + np.array([[0.0] * 4] * 3 + [[0, 0, -1, 0]]), near, far)


def clipping(projection: Array) -> tuple[float, float]:
    """The distances of the clipping planes along the view's axis, the near one and the far one."""
    scale, shift = projection[2, 2], projection[2, 3]
    if is_orthographic(projection.tolist()):
        return float((shift + 1) / scale), float((shift - 1) / scale)
    return float(shift / (scale - 1)), float(shift / (scale + 1))


def with_clipping(projection: Array, near: float, far: float) -> Array:
    """``projection`` with its clipping planes at these distances."""
    result = projection.copy()
    depth = far - near
    if is_orthographic(projection.tolist()):
        result[2, 2], result[2, 3] = -2 / depth, -(far + near) / depth
    else:
        result[2, 2], result[2, 3] = -(far + near) / depth, -2 * far * near / depth
    return result


def _quantile(values: Array, weights: Array, part: float) -> float:
    """The value below which ``part`` (0 to 1) of the weights lie."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] * part)])
