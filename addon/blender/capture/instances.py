"""What a 3D View shows as triangles: every visible instance, with its mesh on the GPU. Imports bpy, gpu, numpy.

Listing goes through all instances in Python, so it is done again only after an edit that may have changed them, and a
mesh is sent to the GPU again only when the depsgraph has named one of its users.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from numpy.typing import NDArray

from . import depsgraph_edits
from .spaces import visibility

KEY_LENGTH = 11


@dataclass(frozen=True)
class Group:
    """Instances ``first`` to ``first + count`` of a list, which are of one mesh: one draw."""

    batch: gpu.types.GPUBatch
    first: int
    count: int
    in_front: bool


@dataclass(frozen=True, eq=False)
class Instances:
    """``matrices``: float32, N x 4 x 4, row-major, instance to world.

    ``keys``: int32, N x 11: what an instance is known by from one list to the next. The ``session_uid`` of its
    object and of what made it (0 for none), Blender's persistent id, and a number where all that is equal.
    """

    groups: tuple[Group, ...]
    matrices: NDArray[np.float32]
    keys: NDArray[np.int32]

    @property
    def in_front(self) -> bool:
        """Whether one of them is displayed In Front."""
        return any(group.in_front for group in self.groups)


class InstanceList:
    """The newest list, and the batches of its meshes."""

    def __init__(self) -> None:
        self._meshes: dict[int, tuple[frozenset[int], gpu.types.GPUBatch | None]] = {}  # by address: users, and itself
        self._listed: tuple[Hashable, Instances] | None = None
        self._edit = -1

    def get(
        self, view_layer: bpy.types.ViewLayer, space: bpy.types.SpaceView3D, shader: gpu.types.GPUShader
    ) -> Instances:
        """What ``space`` shows of ``view_layer``; the depsgraph has to be up to date, as after a draw.

        ``shader``: one with the inputs that the batches are for.
        """
        depsgraph_edits.listen()
        key = (view_layer.id_data.session_uid, view_layer.name, visibility(space))
        edit = depsgraph_edits.edits()
        if self._listed is None or self._listed[0] != key or self._edit != edit:
            self._listed = key, self._list(view_layer.depsgraph, space, shader)
            self._edit = edit
        return self._listed[1]

    def free(self) -> None:
        """Let go of everything, and stop listening to the depsgraph."""
        self._meshes.clear()
        self._listed, self._edit = None, -1
        depsgraph_edits.unlisten()

    def _list(
        self, depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D, shader: gpu.types.GPUShader
    ) -> Instances:
        numbers: list[int] = []  # in the depsgraph's own order, of those that are shown
        addresses: list[tuple[bool, int]] = []  # In Front, address of the mesh
        users: list[tuple[int, int]] = []
        meshes: dict[int, tuple[bpy.types.Object, bpy.types.Mesh, set[int]]] = {}  # by address
        count = 0
        for number, instance in enumerate(depsgraph.object_instances):
            count = number + 1
            shown: Any = instance.object
            if shown.type != "MESH" or not instance.show_self or shown.display_type in {"BOUNDS", "WIRE"}:
                continue
            if not shown.visible_in_viewport_get(space):
                continue
            user = shown.original.session_uid, instance.parent.original.session_uid if instance.is_instance else 0
            address = shown.data.as_pointer()
            meshes.setdefault(address, (shown.original, shown.data, set()))[2].update(user)
            numbers.append(number)
            addresses.append((shown.show_in_front, address))
            users.append(user)
        batches = self._batches(depsgraph, meshes, shader)
        rows = [row for row, (_, address) in enumerate(addresses) if batches[address] is not None]
        rows.sort(key=addresses.__getitem__)
        groups: list[Group] = []
        for at, row in enumerate(rows):
            in_front, address = addresses[row]
            if at and addresses[rows[at - 1]] == addresses[row]:
                groups[-1] = replace(groups[-1], count=groups[-1].count + 1)
            else:
                groups.append(Group(batches[address], at, 1, in_front))
        order = np.array([numbers[row] for row in rows], np.intp)
        matrices = _fetched(depsgraph, "matrix_world", count, 16, np.float32)[order]
        persistent = _fetched(depsgraph, "persistent_id", count, 8, np.int32)[order]
        owners = np.array([users[row] for row in rows], np.uint32).view(np.int32).reshape(-1, 2)
        # Blender hands matrices over column by column.
        return Instances(tuple(groups), matrices.reshape(-1, 4, 4).transpose(0, 2, 1), _keys(owners, persistent))

    def _batches(
        self,
        depsgraph: bpy.types.Depsgraph,
        meshes: dict[int, tuple[bpy.types.Object, bpy.types.Mesh, set[int]]],
        shader: gpu.types.GPUShader,
    ) -> dict[int, gpu.types.GPUBatch | None]:
        """By address of each mesh; None for one without a triangle."""
        stale = depsgraph_edits.geometry_since(self._edit)
        if depsgraph_edits.everything_since(self._edit):
            self._meshes.clear()
        batches = {}
        for address, (user, mesh, users) in meshes.items():
            known = self._meshes.get(address)
            # An address is taken anew by another mesh at times, whose users then are others.
            if known is None or not users <= known[0] or users & stale:
                if mesh.is_editmode:  # what is edited is elsewhere, and has to be made a mesh first
                    evaluated = user.evaluated_get(depsgraph)
                    known = frozenset(users), _batch(evaluated.to_mesh(), shader)
                    evaluated.to_mesh_clear()
                else:
                    known = frozenset(users), _batch(mesh, shader)
            batches[address] = known
        self._meshes = batches
        return {address: batch for address, (_, batch) in batches.items()}


def _batch(mesh: bpy.types.Mesh, shader: gpu.types.GPUShader) -> gpu.types.GPUBatch | None:
    mesh.calc_loop_triangles()
    if not len(mesh.loop_triangles):
        return None
    places = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", places.reshape(-1))
    corners = np.empty((len(mesh.loop_triangles), 3), np.int32)
    mesh.loop_triangles.foreach_get("vertices", corners.reshape(-1))
    inputs: Any = {"pos": places}
    return batch_for_shader(shader, "TRIS", inputs, indices=corners)


def _fetched(depsgraph: bpy.types.Depsgraph, name: str, count: int, width: int, kind: Any) -> NDArray[Any]:
    """One property of all instances, ``count`` x ``width``: much faster than one by one."""
    values = np.empty(count * width, kind)
    depsgraph.object_instances.foreach_get(name, values)
    return values.reshape(count, width)


def _keys(owners: NDArray[np.int32], persistent: NDArray[np.int32]) -> NDArray[np.int32]:
    """``Instances.keys``: with a number behind what is equal otherwise, so that all differ."""
    keys = np.zeros((len(owners), KEY_LENGTH), np.int32)
    keys[:, :2], keys[:, 2:10] = owners, persistent
    order = np.lexsort(keys.T)
    fresh = np.ones(len(keys), bool)
    fresh[1:] = (keys[order[1:]] != keys[order[:-1]]).any(1)
    places = np.arange(len(keys))
    keys[order, 10] = places - np.maximum.accumulate(np.where(fresh, places, 0))
    return keys
