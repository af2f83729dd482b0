"""How large a view shows each object, and where. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...geometry.camera import Camera
from .projection import Seen

SAMPLES = 200
"""Pixels of an object that tell which parts of it a view shows."""


@dataclass(frozen=True, eq=False)
class Scale:
    """How large pictures show an object. ``pixels``: how many show it. ``to_a_unit``: along a unit of length.

    ``points``: float64, N x 4: some places in the world that are shown, and pixels along a unit of length there.
    """

    pixels: float
    to_a_unit: float
    points: NDArray[np.float64]

    def joined(self, other: Scale) -> Scale:
        """Of both pictures together."""
        points = np.concatenate([self.points, other.points])
        return Scale(max(self.pixels, other.pixels), max(self.to_a_unit, other.to_a_unit), points)


def scales(seen: Seen, width: int) -> dict[int, Scale]:
    """By ``session_uid`` of each object in sight, how large it is in a picture of ``width`` pixels.

    A unit of length counts as it lies across the view; of nine tenths of what is seen, the most.
    """
    projection = seen.view.projection_matrix
    scale = abs(projection[0][0]) * width / 2
    number, distance = seen.number.reshape(-1), seen.distance.reshape(-1)
    order = np.argsort(number, kind="stable")
    counts = np.bincount(number)
    ends = np.cumsum(counts)
    parts = (width / seen.number.shape[1]) ** 2
    perspective = abs(projection[3][2]) >= 0.5
    found = {}
    for uid, one in seen.numbers.items():
        if one < len(counts) and counts[one]:
            pixels = order[ends[one] - counts[one] : ends[one]]
            near = max(float(np.quantile(distance[pixels], 0.1)), 1e-6) if perspective else 1.0
            some = pixels[:: max(1, len(pixels) // SAMPLES)]
            density = scale / np.maximum(distance[some], 1e-6) if perspective else np.full(len(some), scale)
            points = np.concatenate([_places(seen, some), density[:, None]], 1)
            found[uid] = Scale(float(counts[one]) * parts, scale / near, points)
    return found


def _places(seen: Seen, pixels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Where in the world ``pixels`` are, counted along the rows: N x 3."""
    height, width = seen.number.shape
    camera = Camera.of(seen.view.view_matrix, seen.view.projection_matrix)
    inverse = 1 / np.maximum(seen.distance.reshape(-1)[pixels].astype(np.float64), 1e-9)
    x, y = (pixels % width + 0.5) * 2 / width - 1, 1 - (pixels // width + 0.5) * 2 / height
    one = np.ones(len(pixels))
    size = inverse if camera.is_orthographic else one
    places = camera.to_world @ np.stack([x * size, y * size, one, inverse])
    return np.asarray((places[:3] / places[3]).T, np.float64)
