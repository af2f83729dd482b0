"""Evaluated meshes on the GPU, kept until the depsgraph names one of their users. Imports bpy, gpu, numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from numpy.typing import NDArray

from . import depsgraph_edits


@dataclass(frozen=True, eq=False)
class Mesh:
    """``batch``: its triangles. ``middle``, ``radius``: of a ball round it, in its own space."""

    batch: gpu.types.GPUBatch
    middle: NDArray[np.float32]
    radius: float


@dataclass(frozen=True)
class Use:
    """An evaluated mesh and whose it is. ``users``: the ``session_uid`` of each; ``user``: one of them, original."""

    mesh: bpy.types.Mesh
    user: bpy.types.Object
    users: set[int]


class Meshes:
    """What the newest list of uses named, by the address of the evaluated mesh."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[frozenset[int], Mesh | None]] = {}

    def update(
        self,
        depsgraph: bpy.types.Depsgraph,
        uses: dict[int, Use],
        since: int,
        shader: gpu.types.GPUShader,
        normals: bool,
    ) -> dict[int, Mesh | None]:
        """Return the mesh of each use, None for one without a triangle; let go of all others.

        ``since``: the edit at which this was called the last time. ``shader``: one with the inputs that it is for.
        """
        stale = depsgraph_edits.geometry_since(since)
        if depsgraph_edits.everything_since(since):
            self._kept.clear()
        kept = {}
        for address, use in uses.items():
            known = self._kept.get(address)
            # An address is taken by another mesh at times, whose users then are others.
            if known is None or not use.users <= known[0] or use.users & stale:
                known = frozenset(use.users), _made(depsgraph, use, shader, normals)
            kept[address] = known
        self._kept = kept
        return {address: mesh for address, (_, mesh) in kept.items()}

    def free(self) -> None:
        """Let go of all."""
        self._kept.clear()


def _made(depsgraph: bpy.types.Depsgraph, use: Use, shader: gpu.types.GPUShader, normals: bool) -> Mesh | None:
    if not use.mesh.is_editmode:
        return mesh_of(use.mesh, shader, normals)
    evaluated = use.user.evaluated_get(depsgraph)  # what is being edited is elsewhere, and no mesh yet
    try:
        return mesh_of(evaluated.to_mesh(), shader, normals)
    finally:
        evaluated.to_mesh_clear()


def mesh_of(mesh: bpy.types.Mesh, shader: gpu.types.GPUShader, normals: bool) -> Mesh | None:
    """``mesh`` on the GPU for ``shader``, which takes ``pos``, and with ``normals`` ``normal``; None if no triangle."""
    mesh.calc_loop_triangles()
    triangles = len(mesh.loop_triangles)
    if not triangles:
        return None
    places = _values(mesh.vertices, "co", len(mesh.vertices), 3, np.float32)
    inputs: dict[str, Any] = {"pos": places}
    if normals:  # which belong to corners, as an edge may be sharp: each has a vertex of its own
        corner_vertex = _values(mesh.loops, "vertex_index", len(mesh.loops), 1, np.int32)[:, 0]
        inputs = {"pos": places[corner_vertex]}
        inputs["normal"] = _values(mesh.corner_normals, "vector", len(mesh.loops), 3, np.float32)
    corners = _values(mesh.loop_triangles, "loops" if normals else "vertices", triangles, 3, np.int32)
    low, high = places.min(0), places.max(0)
    batch = batch_for_shader(shader, "TRIS", inputs, indices=corners)
    return Mesh(batch, (low + high) / 2, float(np.linalg.norm(high - low)) / 2)


def _values(items: Any, name: str, count: int, width: int, kind: Any) -> NDArray[Any]:
    values = np.empty((count, width), kind)
    items.foreach_get(name, values.reshape(-1))
    return values
