"""How many texels each face needs by what pictures show of it. Imports bpy, mathutils, numpy."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from mathutils.kdtree import KDTree
from numpy.typing import NDArray

from .meshes import values

HIDDEN = 0.2
"""Of the texels along a line, what a face gets when no picture shows it and there is not room for all."""
NEIGHBOURS = 4
"""Shown places that tell of a face between them."""


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
