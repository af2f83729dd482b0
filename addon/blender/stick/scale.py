"""How large a view shows each object, and which of its faces. Imports bpy, mathutils, numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from mathutils.kdtree import KDTree
from numpy.typing import NDArray

from ...geometry.camera import Camera
from .meshes import values
from .projection import Seen

SAMPLES, MORE = 64, 1024
"""Pixels that tell which parts of an object a view shows, and how near: of each, and of all together by their size."""
NEAREST = 0.9
"""Of what is seen of an object, so much is to have all its texels."""
HIDDEN = 0.2
"""Of the texels along a line, what a face gets when no picture shows it and there is not room for all."""
NEIGHBOURS = 4
"""Shown places that tell of a face between them."""


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
        count = SAMPLES + MORE * len(pixels) // len(number)
        picked.append(pixels[:: max(1, len(pixels) // count)])
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


def needs(thing: bpy.types.Object, points: NDArray[np.float64], pixels: float, most: float) -> NDArray[np.float64]:
    """By face of the mesh of ``thing``, how many of ``most`` texels along a unit of length it needs, 0.2 to 1.

    ``points``: ``Scale.points``, of which ``pixels`` are shown in all.
    """
    mesh: Any = thing.data
    needed = np.full(len(mesh.polygons), HIDDEN)
    if not len(points) or not len(needed):
        return needed
    tree = BVHTree.FromPolygons(
        [tuple(vertex.co) for vertex in mesh.vertices], [tuple(face.vertices) for face in mesh.polygons]
    )
    to_mesh, share = thing.matrix_world.inverted_safe(), np.clip(points[:, 3] / max(most, 1e-9), HIDDEN, 1)
    shown = KDTree(len(points))
    for number, place in enumerate(points[:, :3].tolist()):
        shown.insert(place, number)
        _, _, face, _ = tree.find_nearest(to_mesh @ Vector(place))
        if face is not None:
            needed[face] = max(needed[face], share[number])
    shown.balance()
    # What lies between the places: it is shown, too, if it is no farther from one than they are from each other.
    matrix = np.array(thing.matrix_world, np.float64)
    middles = values(mesh.polygons, "center", 3, np.float32) @ matrix[:3, :3].T + matrix[:3, 3]
    size = np.cbrt(abs(np.linalg.det(matrix[:3, :3])))
    radii = np.sqrt(values(mesh.polygons, "area", 1, np.float32)[:, 0]) * size
    apart = 2 * np.sqrt(max(pixels, 1.0) / len(points)) / np.maximum(points[:, 3], 1e-9)
    for face in np.flatnonzero(needed == HIDDEN).tolist():
        for _, number, distance in shown.find_n(middles[face], NEIGHBOURS):
            reach = max(distance - radii[face], 1e-9)
            needed[face] = max(needed[face], share[number] * min(1.0, apart[number] / reach))
    return needed


def are_mixed(chart: NDArray[np.intp], kinds: NDArray[np.intp]) -> bool:
    """Whether any chart has faces of several kinds."""
    first = np.zeros(int(chart.max(initial=0)) + 1, np.intp)
    first[chart] = kinds
    return bool((first[chart] != kinds).any())
