"""What a 3D View shows: every visible instance, with its mesh on the GPU. Imports bpy, gpu, numpy.

Listing goes through all instances in Python, so it is done again only after an edit that may have changed them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import bpy
import gpu
import numpy as np
from numpy.typing import NDArray

from ..spaces import visibility
from . import depsgraph_edits
from .meshes import Mesh, Meshes, Use

KEY_LENGTH = 11
KINDS = {
    "MESH": "mesh",
    "CURVES": "curves",
    "GPENCIL": "grease_pencil",
    "GREASEPENCIL": "grease_pencil",
    "POINTCLOUD": "pointcloud",
    "VOLUME": "volume",
}
"""Types of objects that are drawn, and how a 3D View's setting that hides them ends. All but the first are loose:
without triangles. Curves, texts and metaballs come as instances of meshes."""
MAKERS = {**KINDS, "CURVE": "curve", "SURFACE": "surf", "META": "meta", "FONT": "font", "EMPTY": "empty"}
NOT_SOLID = frozenset({"BOUNDS", "WIRE"})
"""Kinds of display that overlays draw."""
MOST_LOOSE = 256
"""Things without triangles that are told apart: each is compared with pixels by itself."""
SHARE = 0.2
"""Of the time that listing a large scene may take while it is edited: in between there is no list."""
AT_ONCE = 0.02
"""Seconds: a list that takes less is made after every edit."""


@dataclass(frozen=True, eq=False)
class Loose:
    """A thing without triangles: its row in the list, and the box round it in its own space, 2 x 3."""

    row: int
    box: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Instances:
    """What is shown. Rows with triangles come first, those of one mesh side by side, those In Front last.

    ``meshes``: by number. ``mesh``: intp, T, the mesh of each of the first T rows. ``in_front``: bool, N.
    ``matrices``: float32, N x 4 x 4, row-major, instance to world. ``loose``: the rows without triangles.
    ``has_loose``: whether anything without triangles may be seen; of hair on a mesh, there are no rows.
    ``middles``, ``radii``: float32, T x 3 and T, of a ball round each row with triangles, in the world.
    ``keys``: int32, N x 11: what an instance is known by from one list to the next. The ``session_uid`` of its
    object and of what made it (0 for none), Blender's persistent id, and a number where all that is equal.
    """

    meshes: tuple[Mesh, ...]
    mesh: NDArray[np.intp]
    in_front: NDArray[np.bool_]
    matrices: NDArray[np.float32]
    middles: NDArray[np.float32]
    radii: NDArray[np.float32]
    loose: tuple[Loose, ...]
    has_loose: bool
    keys: NDArray[np.int32]


class InstanceList:
    """The newest list, and its meshes.

    ``patient``: whether a list is made whatever it costs. ``clock``: seconds, to tell what it costs.
    """

    def __init__(self, patient: bool, clock: Callable[[], float] = time.perf_counter) -> None:
        self._meshes = Meshes()
        self._listed: tuple[Hashable, Instances] | None = None
        self._edit = -1
        self._patient, self._clock = patient, clock
        self._next = float("-inf")

    def get(
        self, view_layer: bpy.types.ViewLayer, space: bpy.types.SpaceView3D, shader: gpu.types.GPUShader, normals: bool
    ) -> Instances | None:
        """What ``space`` shows of ``view_layer``; the depsgraph has to be up to date, as after a draw.

        None while so large a scene is edited that listing it after each edit would hold Blender up.
        ``shader``, ``normals``: what the meshes are for.
        """
        depsgraph_edits.listen()
        key = (view_layer.id_data.session_uid, view_layer.name, visibility(space), normals)
        edit = depsgraph_edits.edits()
        if self._listed is not None and self._listed[0] == key and self._edit == edit:
            return self._listed[1]
        began = self._clock()
        if began < self._next and not self._patient:
            return None
        if self._listed is not None and self._listed[0] != key:
            self._meshes.free()
        self._listed = key, self._list(view_layer.depsgraph, space, shader, normals)
        self._edit = edit
        ended = self._clock()
        if ended - began > AT_ONCE:
            self._next = ended + (ended - began) * (1 / SHARE - 1)
        return self._listed[1]

    def free(self) -> None:
        """Let go of everything, and stop listening to the depsgraph."""
        self._meshes.free()
        self._listed, self._edit, self._next = None, -1, float("-inf")
        depsgraph_edits.unlisten()

    def _list(
        self, depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D, shader: gpu.types.GPUShader, normals: bool
    ) -> Instances:
        kinds, numbers, kind_of, count = _seen(depsgraph, space)
        made = self._meshes.update(depsgraph, _uses(kinds), self._edit, shader, normals)
        meshes = [mesh for mesh in made.values() if mesh is not None]
        place = {id(mesh): number for number, mesh in enumerate(meshes)}
        loose_place = len(meshes)  # behind all that have triangles
        mesh_of_kind = np.array(
            [loose_place if kind.mesh is None else place.get(id(made[kind.address]), -1) for kind in kinds], np.intp
        )
        in_front_of_kind = np.array([kind.in_front for kind in kinds], bool)
        owners_of_kind = np.array([kind.owners for kind in kinds], np.uint32).reshape(-1, 2).view(np.int32)
        mesh, in_front = mesh_of_kind[kind_of], in_front_of_kind[kind_of]
        order = np.lexsort((mesh, in_front, mesh == loose_place))
        order = order[mesh[order] >= 0]
        kind_of, numbers, mesh = kind_of[order], numbers[order], mesh[order]
        first = int(np.count_nonzero(mesh < loose_place))
        loose = tuple(Loose(row, kinds[kind_of[row]].box) for row in range(first, min(len(order), first + MOST_LOOSE)))
        # Blender hands matrices over column by column.
        matrices = _fetched(depsgraph, "matrix_world", count, 16, np.float32)[numbers].reshape(-1, 4, 4)
        matrices = np.ascontiguousarray(matrices.transpose(0, 2, 1))
        persistent = _fetched(depsgraph, "persistent_id", count, 8, np.int32)[numbers]
        return Instances(
            tuple(meshes),
            mesh[:first],
            in_front[order],
            matrices,
            *_balls(meshes, mesh[:first], matrices[:first]),
            loose,
            any(kind.has_loose for kind in kinds),
            _keys(owners_of_kind[kind_of], persistent),
        )


@dataclass(frozen=True, eq=False)
class _Kind:
    """What all instances of one object have in common. ``owners``: ``session_uid`` of object and maker."""

    mesh: bpy.types.Mesh | None
    address: int
    user: bpy.types.Object
    owners: tuple[int, int]
    in_front: bool
    box: NDArray[np.float32]
    has_loose: bool


def _seen(
    depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D
) -> tuple[list[_Kind], NDArray[np.intp], NDArray[np.intp], int]:
    """The kinds, the depsgraph's number and the kind of each instance that is shown, and how many there are in all."""
    kinds: list[_Kind] = []
    known: dict[tuple[int, int, int], int] = {}
    numbers: list[int] = []
    kind_of: list[int] = []
    count = 0
    for number, instance in enumerate(depsgraph.object_instances):
        count = number + 1
        shown: Any = instance.object
        if instance.is_instance:  # there may be very many: each question to Blender counts
            data = shown.data
            what = (
                instance.instance_object.as_pointer(),
                instance.parent.as_pointer(),
                data.as_pointer() if data is not None else 0,
            )
            kind = known.get(what, -2)
            if kind == -2:
                kind = known[what] = _noted(kinds, instance, shown, instance.parent.original, space)
        else:
            kind = _noted(kinds, instance, shown, None, space)
        if kind >= 0:
            numbers.append(number)
            kind_of.append(kind)
    return kinds, np.array(numbers, np.intp), np.array(kind_of, np.intp), count


def _noted(kinds: list[_Kind], instance: Any, shown: Any, maker: Any, space: bpy.types.SpaceView3D) -> int:
    """The number of a new kind; -1 where it is not shown."""
    solid = shown.type == "MESH"
    if shown.type not in KINDS or not instance.show_self or shown.display_type in NOT_SOLID:
        return -1
    if maker is None:
        visible = shown.visible_in_viewport_get(space)
    else:  # Blender has no true answer for an instance, which is hidden by its own type, or with what made it
        visible = _shows_kind(space, KINDS[shown.type]) and _is_visible(instance.parent, space)
    if not visible:
        return -1
    original = shown.original
    owners = original.session_uid, maker.session_uid if maker is not None else 0
    box = np.array(shown.bound_box, np.float32)
    mesh = shown.data if solid else None
    address = mesh.as_pointer() if mesh is not None else 0
    box = np.array((box.min(0), box.max(0)))
    has_loose = not solid or len(shown.particle_systems) > 0
    kinds.append(_Kind(mesh, address, original, owners, shown.show_in_front, box, has_loose))
    return len(kinds) - 1


def _shows_kind(space: bpy.types.SpaceView3D, kind: str) -> bool:
    return getattr(space, f"show_object_viewport_{kind}", True)


def _is_visible(maker: bpy.types.Object, space: bpy.types.SpaceView3D) -> bool:
    """Whether what ``maker`` makes is visible: hiding all of its own type hides but itself."""
    if _shows_kind(space, MAKERS.get(maker.type, maker.type.lower())):
        return maker.visible_in_viewport_get(space)
    return space.local_view is None or maker.local_view_get(space)


def _uses(kinds: list[_Kind]) -> dict[int, Use]:
    uses: dict[int, Use] = {}
    for kind in kinds:
        if kind.mesh is not None:
            uses.setdefault(kind.address, Use(kind.mesh, kind.user, set())).users.update(kind.owners)
    return uses


def _balls(
    meshes: list[Mesh], mesh: NDArray[np.intp], matrices: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Middles and radii in the world of balls round the instances of ``matrices``."""
    if not len(mesh):
        return np.empty((0, 3), np.float32), np.empty(0, np.float32)
    middles = np.array([one.middle for one in meshes], np.float32)[mesh]
    radii = np.array([one.radius for one in meshes], np.float32)[mesh]
    turns = matrices[:, :3, :3]
    # The Frobenius norm is at least as much as any direction is stretched by.
    stretch = np.sqrt(np.square(turns).sum((1, 2)))
    return np.einsum("nij,nj->ni", turns, middles) + matrices[:, :3, 3], radii * stretch


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
