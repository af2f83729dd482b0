"""What the depth of one view says about its surfaces: slopes, and where one ends before another. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .camera import Camera, numbers

EDGE = 0.01
"""Of its distance, that a surface has to lie behind its neighbour for an edge to be between them."""
REACH = 8
"""Pixels from a depth edge as of which a pixel's colour is its own surface's, and counted up to."""


def far_enough(there: Any, here: Any) -> Any:
    """Whether what is ``there`` pixels from a depth edge (uint8, at most ``REACH``) may stand for what is ``here``.

    By three quarters and one pixel. Were both compared as they are, whole surfaces whose edge is a pixel nearer than it
    was would fall on either side by rounding, one pixel this way and the next one that.
    """
    return (there + 1) * 4 >= here * 3


@dataclass(frozen=True, eq=False)
class Surfaces:
    """The surfaces that one view shows, by pixel.

    ``inverse``: 1 / distance along the view axis, float32, H x W, 0 for the background. ``numbers``: see ``camera``,
    float32, 4 x H x W; ``across``, ``up``: how they change along the surface from this pixel to the one on the right
    and to the one above. ``edges``: how many pixels away the next depth edge is, 0 beside it, at most ``REACH``, uint8,
    H x W.
    """

    camera: Camera
    inverse: NDArray[np.float32]
    numbers: NDArray[np.float32]
    across: NDArray[np.float32]
    up: NDArray[np.float32]
    edges: NDArray[np.uint8]

    @classmethod
    def of(cls, camera: Camera, inverse: NDArray[np.float32]) -> Surfaces:
        """``inverse`` as :func:`~addon.geometry.camera.inverse_distances` gives it, sides of 3 or more."""
        height, width = inverse.shape
        here, (a, b) = numbers(camera, inverse), slopes(inverse)
        zero, one = np.zeros_like(a), np.ones_like(a)
        if camera.is_orthographic:
            surface = np.where(inverse > 0, inverse, 1)
            x, y = here[0] / surface, here[1] / surface
            across, up = np.stack([inverse + x * a, y * a, zero, a]), np.stack([x * b, inverse + y * b, zero, b])
        else:
            across, up = np.stack([one, zero, zero, a]), np.stack([zero, one, zero, b])
        return cls(camera, inverse, here, across * np.float32(2 / width), up * np.float32(2 / height), edges(inverse))

    @cached_property
    def around(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
        """Of each pixel, its right, lower and lower right neighbour: least and greatest inverse, least of ``edges``."""
        corners = [self.inverse[y : y - 1 or None, x : x - 1 or None] for y in (0, 1) for x in (0, 1)]
        beside = [self.edges[y : y - 1 or None, x : x - 1 or None] for y in (0, 1) for x in (0, 1)]
        return np.min(corners, 0), np.max(corners, 0), np.min(beside, 0)


def slopes(inverse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of ``inverse`` in x and in y, in device coordinates, float32, 2 x H x W.

    The inverse distance of a plane is linear on the screen. Of the steps to both neighbours the smaller one counts, so
    that a pixel beside an edge has its own surface's.
    """
    height, width = inverse.shape
    found = []
    for axis, scale in ((1, width / 2), (0, -height / 2)):
        step = np.diff(inverse, axis=axis)
        count = step.shape[axis]
        back = np.concatenate([np.take(step, [0], axis), step], axis)
        forth = np.concatenate([step, np.take(step, [count - 1], axis)], axis)
        found.append(np.where(np.abs(back) < np.abs(forth), back, forth) * np.float32(scale))
    return np.stack(found)


def beside_edges(inverse: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each pixel is beside a depth edge, bool, H x W.

    An edge is where two neighbours differ by more than the surface's own slope on either side explains.
    """
    beside = np.zeros(inverse.shape, bool)
    for found, size in ((beside, inverse), (beside.T, inverse.T)):
        step = np.abs(np.diff(size, axis=1))
        around = np.pad(step, ((0, 0), (1, 1)))
        least = np.minimum(around[:, :-2], around[:, 2:])
        crack = step > 2 * least + EDGE * np.maximum(size[:, :-1], size[:, 1:])
        found[:, :-1] |= crack
        found[:, 1:] |= crack
    return beside


def edges(inverse: NDArray[np.float32]) -> NDArray[np.uint8]:
    """How far away the next depth edge is, in pixels, uint8, H x W: 0 beside it, at most ``REACH``."""
    beside = beside_edges(inverse)
    result = np.where(beside, 0, REACH).astype(np.uint8)
    for distance in range(1, REACH):
        padded = np.pad(beside, 1)
        tall = padded[:-2] | padded[1:-1] | padded[2:]
        beside = tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]
        result[beside & (result == REACH)] = distance
    return result
