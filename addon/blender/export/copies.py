"""What a 3D View shows, as plain meshes in a scene of its own. Imports bpy, mathutils, numpy.

Exporters take a scene as it is built; players take it as it looks only where it is plain. So modifiers are applied,
what is hidden is left out, and mirrored or sheared placements, which few of them draw right, go into the mesh. Copies
of one mesh share it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from .materials import Glow, glow_of, uv_layers
from .names import Names

NOT_SOLID = frozenset({"BOUNDS", "WIRE"})
SHEAR = 1e-5
"""How far a placement may be from place, turn and size, as a part of its largest entry."""


class Copies:
    """A scene of copies while it is entered; the user's own is as it was afterwards.

    ``replace``: makes the material that the format has for one that only gives off an image.
    """

    def __init__(
        self,
        view_layer: bpy.types.ViewLayer,
        space: bpy.types.SpaceView3D,
        replace: Callable[[Glow], bpy.types.Material],
    ) -> None:
        """Copy what ``space`` shows of ``view_layer``."""
        self.view_layer, self._space, self._replace = view_layer, space, replace
        self._names = Names()
        self._meshes: dict[tuple[Any, ...], bpy.types.Mesh | None] = {}
        self._materials: dict[int, bpy.types.Material] = {}
        self.scene: bpy.types.Scene
        self.count = 0

    def __enter__(self) -> Copies:
        """Make them."""
        self.scene = bpy.data.scenes.new("Scene")
        try:
            self._copy_all()
            self._names.lend()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove them."""
        self._remove()

    def _copy_all(self) -> None:
        user_scene = self.view_layer.id_data
        units = user_scene.unit_settings
        metres = Matrix.Scale(units.scale_length if units.system != "NONE" else 1.0, 4)
        self.view_layer.update()
        depsgraph = self.view_layer.depsgraph
        found = []
        for instance in depsgraph.object_instances:
            shown = instance.object
            if shown.type == "MESH" and self._is_shown(instance, shown):
                maker = instance.parent.original if instance.is_instance else None
                placement = metres @ instance.matrix_world.copy()
                if not np.isfinite(np.array(placement)).all():
                    continue
                plain = is_plain(placement)
                key: tuple[Any, ...] = (shown.data.as_pointer(), *map(_address, _own_materials(shown).values()))
                key += () if plain else (np.array(placement).tobytes(),)
                if key not in self._meshes:
                    self._meshes[key] = self._mesh(shown, depsgraph, None if plain else placement)
                mesh = self._meshes[key]
                if mesh is not None:
                    original = shown.original if maker is None or shown.original.data is not None else maker
                    found.append((original, mesh, placement if plain else Matrix()))
        for original, mesh, placement in found:
            copy = bpy.data.objects.new("copy", mesh)
            copy.matrix_world = placement
            self.scene.collection.objects.link(copy)
            self._names.add(original, copy)
        self.count = len(found)

    def _is_shown(self, instance: Any, shown: bpy.types.Object) -> bool:
        if not instance.show_self or shown.display_type in NOT_SOLID:
            return False
        return bool((instance.parent if instance.is_instance else shown).visible_in_viewport_get(self._space))

    def _mesh(
        self, shown: bpy.types.Object, depsgraph: bpy.types.Depsgraph, placement: Matrix | None
    ) -> bpy.types.Mesh | None:
        """The evaluated mesh of ``shown`` as one of its own; None without any faces."""
        mesh = bpy.data.meshes.new_from_object(shown, preserve_all_data_layers=True, depsgraph=depsgraph)
        mesh.validate(clean_customdata=False)
        if not len(mesh.polygons):
            bpy.data.meshes.remove(mesh)
            return None
        own = _own_materials(shown)
        for number, material in enumerate(mesh.materials):
            material = own.get(number, material)
            mesh.materials[number] = self._material(material.original) if material is not None else None
        _drop_unused_layers(mesh)
        if placement is not None:
            mesh.transform(placement)
            if placement.determinant() < 0:
                mesh.flip_normals()
        if shown.original.data is not None:
            self._names.add(shown.original.data, mesh)
        return mesh

    def _material(self, material: bpy.types.Material) -> bpy.types.Material:
        """What stands for ``material``; itself where the exporters read it right."""
        if material.as_pointer() not in self._materials:
            glow = glow_of(material)
            if glow is None:
                return material
            made = self._materials[material.as_pointer()] = self._replace(glow)
            self._names.add(material, made)
        return self._materials[material.as_pointer()]

    def _remove(self) -> None:
        meshes = [mesh for mesh in self._meshes.values() if mesh is not None]
        bpy.data.batch_remove([*self.scene.collection.objects, *meshes, *self._materials.values(), self.scene])
        self._names.give_back()


def is_plain(placement: Matrix) -> bool:
    """Whether ``placement`` is but a place, a turn and a positive size along the axes."""
    place, turn, size = placement.decompose()
    if min(size.x, size.y, size.z) <= 0:
        return False
    again = np.array(Matrix.LocRotScale(place, turn, size))
    given = np.array(placement)
    return bool(np.abs(again - given)[:3, :3].max() <= SHEAR * np.abs(given[:3, :3]).max())


def _drop_unused_layers(mesh: bpy.types.Mesh) -> None:
    """Leave the UV layers that the materials read: many players know but the first."""
    active = next((layer.name for layer in mesh.uv_layers if layer.active_render), "")
    wanted = {name or active for material in mesh.materials if material is not None for name in uv_layers(material)}
    if wanted and not wanted & set(mesh.uv_layers.keys()):  # the material's own is gone: the active one is shown
        wanted.add(active)
    for name in [layer.name for layer in mesh.uv_layers if layer.name not in wanted]:
        mesh.uv_layers.remove(mesh.uv_layers[name])
    for layer in mesh.uv_layers:
        if layer.name == active or len(mesh.uv_layers) == 1:
            layer.active = layer.active_render = True


def _own_materials(shown: bpy.types.Object) -> dict[int, bpy.types.Material | None]:
    """By number of the slot: those that belong to the object, in place of its mesh's."""
    return {number: slot.material for number, slot in enumerate(shown.material_slots) if slot.link == "OBJECT"}


def _address(block: bpy.types.ID | None) -> int:
    return block.as_pointer() if block is not None else 0
