"""How large a view shows each object, and where. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...geometry.camera import Camera
from .projection import Seen

SAMPLES = 128
"""Pixels of an object that tell which parts of it a view shows, and how near."""
NEAREST = 0.9
"""Of what is seen of an object, so much is to have all its texels."""


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
    step = max(1, seen.number.shape[1] // width)
    number = seen.number[step // 2 :: step, step // 2 :: step].reshape(-1)
    columns = -(-(seen.number.shape[1] - step // 2) // step)
    if len(seen.numbers) < 65535:
        number = number.astype(np.uint16)  # which numpy sorts in a tenth of the time
    order = np.argsort(number, kind="stable")
    counts = np.bincount(number)
    ends = np.cumsum(counts)
    parts = (width * step / seen.number.shape[1]) ** 2
    perspective = abs(projection[3][2]) >= 0.5
    there = {uid: one for uid, one in seen.numbers.items() if one < len(counts) and counts[one]}
    picked = []
    for one in there.values():
        pixels = order[ends[one] - counts[one] : ends[one]]
        picked.append(pixels[:: max(1, len(pixels) // SAMPLES)])
    if not picked:
        return {}
    cuts = np.cumsum([len(some) for some in picked])[:-1]
    rows, across = np.divmod(np.concatenate(picked), columns)
    rows, across = rows * step + step // 2, across * step + step // 2
    distance = np.maximum(seen.distance[rows, across].astype(np.float64), 1e-6)
    density = scale / distance if perspective else np.full(len(rows), scale)
    points = np.concatenate([_places(seen, rows, across, distance), density[:, None]], 1)
    return {
        uid: Scale(float(counts[one]) * parts, float(np.sort(some[:, 3])[int(NEAREST * (len(some) - 1))]), some)
        for (uid, one), some in zip(there.items(), np.split(points, cuts), strict=True)
    }


def _places(
    seen: Seen, rows: NDArray[np.intp], across: NDArray[np.intp], distance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where in the world pixels are, by row and column: N x 3."""
    height, width = seen.number.shape
    camera = Camera.of(seen.view.view_matrix, seen.view.projection_matrix)
    inverse, one = 1 / distance, np.ones(len(rows))
    x, y = (across + 0.5) * 2 / width - 1, 1 - (rows + 0.5) * 2 / height
    size = inverse if camera.is_orthographic else one
    places = camera.to_world @ np.stack([x * size, y * size, one, inverse])
    return np.asarray((places[:3] / places[3]).T, np.float64)
