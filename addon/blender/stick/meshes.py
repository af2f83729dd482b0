"""Meshes as arrays: of the user's own for unwrapping, evaluated ones for drawing. Imports bpy, numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...geometry.charts import Charts, unwrap


@dataclass(frozen=True, eq=False)
class Triangles:
    """What of an object is drawn, modifiers applied: three rows for each of T triangles.

    ``places``: float64, 3 T x 3, in the world. ``uv``: float32, 3 T x 2. ``vertex``: intp, 3 T, of the evaluated mesh.
    """

    places: NDArray[np.float64]
    uv: NDArray[np.float32]
    vertex: NDArray[np.intp]


def triangles(thing: bpy.types.Object, depsgraph: bpy.types.Depsgraph, layer: str) -> Triangles | None:
    """Those of ``thing`` with an area, and the UV map ``layer``; None where the evaluated mesh has no such map."""
    evaluated = thing.evaluated_get(depsgraph)
    mesh = evaluated.to_mesh()
    try:
        found = mesh.uv_layers.get(layer) if mesh is not None else None
        if mesh is None or (found is None and len(mesh.loops)):
            return None
        mesh.calc_loop_triangles()
        corner = values(mesh.loop_triangles, "loops", 3, np.int32).reshape(-1)
        vertex = values(mesh.loops, "vertex_index", 1, np.int32).reshape(-1)[corner].astype(np.intp)
        matrix = np.array(evaluated.matrix_world, np.float64)
        places = values(mesh.vertices, "co", 3, np.float32).astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        uv = values(found.uv, "vector", 2, np.float32)[corner] if found is not None else np.empty((0, 2), np.float32)
        # Those without area show nothing, and some drivers then leave out their neighbours, too.
        ends = places[vertex].reshape(-1, 3, 3)
        solid = np.cross(ends[:, 1] - ends[:, 0], ends[:, 2] - ends[:, 0]).any(1).repeat(3)
        return Triangles(places[vertex][solid], uv[solid], vertex[solid])
    finally:
        evaluated.to_mesh_clear()


def charts_of(
    mesh: bpy.types.Mesh, matrix: NDArray[np.float64], apart: bool = False, kinds: NDArray[np.intp] | None = None
) -> Charts:
    """``mesh``, which is the user's own, unwrapped as it stands in the world by ``matrix``, 4 x 4: see ``unwrap``."""
    vertex = values(mesh.loops, "vertex_index", 1, np.int32).reshape(-1)
    places = values(mesh.vertices, "co", 3, np.float32).astype(np.float64) @ matrix[:3, :3].T
    totals = values(mesh.polygons, "loop_total", 1, np.int32).reshape(-1)
    face = np.repeat(np.arange(len(totals)), totals)
    edge = values(mesh.loops, "edge_index", 1, np.int32).reshape(-1).astype(np.intp)
    corners = places[vertex]
    normals, areas = _normals(corners, face, totals)
    return unwrap(corners, face, edge, normals, areas, apart, kinds)


def uv_of(mesh: bpy.types.Mesh, layer: str) -> NDArray[np.float32]:
    """The UV map ``layer`` of the user's own mesh, float32, L x 2."""
    return values(mesh.uv_layers[layer].uv, "vector", 2, np.float32)


def values(items: Any, name: str, width: int, kind: Any) -> NDArray[Any]:
    """One property of all ``items``, N x ``width``."""
    found = np.empty((len(items), width), kind)
    items.foreach_get(name, found.reshape(-1))
    return found


def _normals(
    corners: NDArray[np.float64], face: NDArray[np.intp], totals: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each face, by Newell's method: its normal, 0 for one without area, and its area."""
    count = len(totals)
    ends = np.cumsum(totals)
    following = np.arange(1, len(corners) + 1)
    following[ends - 1] = ends - totals
    middle = np.zeros((count, 3))
    np.add.at(middle, face, corners)
    middle /= np.maximum(totals, 1)[:, None]
    here = corners - middle[face]
    total = np.zeros((count, 3))
    np.add.at(total, face, np.cross(here, here[following]))
    length = np.linalg.norm(total, axis=1)
    return np.where(length[:, None] > 0, total / np.maximum(length, 1e-300)[:, None], 0.0), length / 2
