"""Which UV map a picture is laid on, and how large its image is. Imports bpy, mathutils, numpy.

The user's own map where it has no overlaps; else one named "Draftglass". Texels follow what the pictures show: an
object that a picture shows large gets a large image, whatever its size in the world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...geometry.charts import Charts
from ...geometry.packing import pack
from ...problems import Problem
from ...problems.sticking import (
    CopiedByModifier,
    LinkedMesh,
    NoMapAfterModifier,
    SharedInAtlas,
    TooManyMaps,
)
from .materials import NOTE
from .meshes import Triangles, charts_of, triangles, uv_of
from .projection import Projector
from .scale import Scale, are_mixed, needs
from .settings import LEAST_SIZE, Layout, StickSettings

MAP = "Draftglass"
NEAREST = 1.41
"""A side is rounded to the power of two that has the nearest number of texels."""
GUTTER = 4
"""Texels that stay free round each chart: mipmaps down to an eighth keep apart what is not one surface."""
ATLAS = "Draftglass Atlas"
SURFACE = 5.0
"""Of a whole surface to what a view shows of it, with the gutters between: no image has more texels for its pixels."""
OUTGROWN = 3.0
"""The user's own map may have so many times fewer texels along a line than wanted; with still fewer, ours is better."""
TIGHT, MAIN = 0.3, 0.4
"""What has fewer texels along a line than this share of those wanted, and is more than that of all that is shown, may
have an image of the next size: the picture is mostly a small piece of it.
"""
LARGEST = 8
"""Of those who share a mesh and its map, so many tell which of its faces are seen near."""
UNSEEN = Scale(0.0, 0.0, np.empty((0, 4)))


@dataclass(frozen=True, eq=False)
class Place:
    """Where ``thing`` is textured: by the UV map ``layer``, on an image named ``name``, of ``size`` texels a side."""

    thing: bpy.types.Object
    layer: str
    name: str
    size: int
    mesh: Triangles


@dataclass(frozen=True)
class _Wanted:
    """What ``thing`` needs: texels to a unit of length, the largest side to be had, the side of an image with no more
    than is shown, and what that is: ``Scale.points``.
    """

    thing: bpy.types.Object
    texels: float
    most: int
    side: float
    pixels: float
    points: NDArray[np.float64]


class Unwrapper:
    """Finds a place for each of some objects; ``refusals``: why some have none."""

    def __init__(self, projector: Projector, view_layer: bpy.types.ViewLayer, settings: StickSettings) -> None:
        self._projector, self._layer, self._settings = projector, view_layer, settings
        self.refusals: list[Problem] = []
        self._pixels = 0.0

    def places(self, things: Sequence[bpy.types.Object], shown: Mapping[int, Scale]) -> list[Place]:
        """The place of each of ``things``; ``shown``: by ``session_uid``, how large pictures show it."""
        found, wanted = [], []
        self._pixels = sum(one.pixels for one in shown.values())
        for thing in things:
            one = self._wanted(thing, shown.get(int(thing.session_uid), UNSEEN))
            place = self._kept(one)
            if place is None:
                place = self._own(one)
            if place is None:
                wanted.append(one)
            else:
                found.append(place)
        return [*found, *self._made(wanted)]

    def _wanted(self, thing: bpy.types.Object, shown: Scale) -> _Wanted:
        """Texels follow pixels: along a line, and in all, so that a wide ground of which little is seen gets little."""
        density = self._settings.density
        side, most = np.sqrt(SURFACE * shown.pixels) * density + 6 * GUTTER, LEAST_SIZE
        while most * NEAREST < side and most < self._settings.texture_size:
            most *= 2
        return _Wanted(thing, shown.to_a_unit * density, most, float(side), shown.pixels, shown.points)

    def _kept(self, one: _Wanted) -> Place | None:
        """The place that it has from before; None where it has none, or its mesh has been changed since."""
        thing = one.thing
        note = thing.get(NOTE) or {}
        image, layer = note.get("image"), note.get("layer")
        if image is None or note.get("seen") is None or layer not in thing.data.uv_layers or not image.size[0]:
            return None
        mesh = triangles(thing, self._layer.depsgraph, layer)
        if mesh is None or self._projector.overlaps(mesh.uv):
            return None
        most = one.most if layer == MAP else self._most(one)
        size = image.size[0] if note.get("atlas") else max(image.size[0], _size(self._side(mesh, one), most))
        return Place(thing, layer, image.name, size, mesh)

    def _own(self, one: _Wanted) -> Place | None:
        """A place on one of the user's own maps, the one that is shown first; None where all have overlaps."""
        if self._settings.layout is Layout.ATLAS:
            return None
        thing = one.thing
        layers = sorted(thing.data.uv_layers, key=lambda one: (not one.active_render, not one.active))
        for layer in layers:
            mesh = triangles(thing, self._layer.depsgraph, layer.name)
            if mesh is not None and len(mesh.uv) and not self._projector.overlaps(mesh.uv):
                side = self._side(mesh, one)
                # A small piece is seen from very near: on a map of ours, only that gets so many texels.
                outgrown = side > max(OUTGROWN * self._most(one), 2 * one.side)
                if outgrown and not thing.modifiers and self._refusal(thing) is None:
                    return None
                return Place(thing, layer.name, f"Draftglass {thing.name}", _size(side, self._most(one)), mesh)
        return None

    def _most(self, one: _Wanted) -> int:
        """The largest side on a map of the user's own, whose charts are packed less tightly than ours."""
        return min(2 * one.most, self._settings.texture_size)

    def _side(self, mesh: Triangles, one: _Wanted) -> float:
        """The side of an image on which a unit of length has as many texels as wanted."""
        world, flat = _area(mesh.places), _area(np.pad(mesh.uv, ((0, 0), (0, 1))).astype(np.float64))
        return float(one.texels * np.sqrt(world / flat)) if flat > 0 else 0.0

    def _made(self, wanted: Sequence[_Wanted]) -> list[Place]:
        """Places on maps of ours, for those that have no other."""
        chosen = [one for one in wanted if self._may_have_map(one.thing)]
        groups = [chosen] if self._settings.layout is Layout.ATLAS else _by_mesh(chosen)
        sizes: dict[bpy.types.Object, int] = {}
        for group in groups:
            if group:
                size = self._write(group, apart=False)
                if any(self._projector.overlaps(_corners(mesh)) for mesh in {one.thing.data for one in group}):
                    size = self._write(group, apart=True)
                for one in group:
                    sizes[one.thing] = size
        self._layer.update()
        found = []
        for thing, size in sizes.items():
            mesh = triangles(thing, self._layer.depsgraph, MAP)
            refusal = self._refused(thing, mesh)
            if refusal is not None or mesh is None:
                self.refusals.append(refusal or NoMapAfterModifier(thing.name, _last(thing)))
                _remove(thing)
                continue
            atlas = self._settings.layout is Layout.ATLAS
            found.append(Place(thing, MAP, ATLAS if atlas else f"Draftglass {thing.name}", size, mesh))
        return found

    def _may_have_map(self, thing: bpy.types.Object) -> bool:
        refusal = self._refusal(thing)
        if refusal is not None:
            self.refusals.append(refusal)
        return refusal is None

    def _refusal(self, thing: bpy.types.Object) -> Problem | None:
        """Why ``thing`` can have no map of ours."""
        mesh = thing.data
        refusal: Problem | None = None
        if mesh.library is not None:
            refusal = LinkedMesh(thing.name, mesh.library.filepath)
        elif MAP not in mesh.uv_layers and len(mesh.uv_layers) >= 8:
            refusal = TooManyMaps(thing.name)
        elif self._settings.layout is Layout.ATLAS:
            count = sum(one.data == mesh for one in self._layer.objects)
            refusal = SharedInAtlas(thing.name, count) if count > 1 else None
        return refusal

    def _write(self, group: Sequence[_Wanted], apart: bool) -> int:
        """Unwrap all meshes of ``group`` into one square; return its side in texels."""
        known: dict[bpy.types.Mesh, tuple[Charts, float]] = {}
        sharing: dict[bpy.types.Mesh, list[_Wanted]] = {}
        for one in group:
            texels = max(one.texels, 1e-6)
            mesh: Any = one.thing.data
            sharing.setdefault(mesh, []).append(one)
            if mesh in known:
                charts, other = known[mesh]
                known[mesh] = charts, max(other, texels)
            else:
                known[mesh] = charts_of(mesh, np.array(one.thing.matrix_world), apart), texels
        boxes = np.concatenate([charts.sizes * texels for charts, texels in known.values()])
        atlas = self._settings.layout is Layout.ATLAS
        most = self._settings.texture_size if atlas else max(one.most for one in group)
        packed = pack(boxes, LEAST_SIZE, most, GUTTER)
        shares = np.ones(len(boxes))
        if packed.scale < 1:  # rather fewer texels for what is not shown, or far away
            parts = []
            for mesh, (charts, texels) in known.items():
                ones, most_texels = sharing[mesh], texels / self._settings.density
                largest = sorted(ones, key=lambda one: -one.pixels)[:LARGEST]
                needed = np.max([needs(one.thing, one.points, one.pixels, most_texels) for one in largest], 0)
                kinds = np.ceil(np.log2(needed)).astype(np.intp)
                if not apart and are_mixed(charts.of_face, kinds):
                    charts = charts_of(mesh, np.array(ones[0].thing.matrix_world), apart, kinds - kinds.min(initial=0))
                    known[mesh] = charts, texels
                share = np.zeros(len(charts.sizes))
                np.maximum.at(share, charts.of_face, needed)
                parts.append(share)
            boxes = np.concatenate([charts.sizes * texels for charts, texels in known.values()])
            shares = np.concatenate(parts)
            packed = pack(boxes * shares[:, None], LEAST_SIZE, most, GUTTER)
            main = max(one.pixels for one in group) > MAIN * self._pixels
            if main and packed.scale < TIGHT and most < self._settings.texture_size:
                packed = pack(boxes * shares[:, None], LEAST_SIZE, 2 * most, GUTTER)
        first = 0
        for mesh, (charts, texels) in known.items():
            corners = packed.corners[first : first + len(charts.sizes)]
            share = shares[first : first + len(charts.sizes)]
            first += len(charts.sizes)
            chart = charts.of_face[_face_of_corner(mesh)]
            uv = (charts.corners * (texels * packed.scale * share[chart])[:, None] + corners[chart]) / packed.size
            layer = mesh.uv_layers.get(MAP) or mesh.uv_layers.new(name=MAP, do_init=False)
            layer.uv.foreach_set("vector", np.clip(uv, 0, 1).astype(np.float32).reshape(-1))
            mesh.update()
        return packed.size

    def _refused(self, thing: bpy.types.Object, mesh: Triangles | None) -> Problem | None:
        if mesh is None:
            return NoMapAfterModifier(thing.name, _last(thing))
        if thing.modifiers and self._projector.overlaps(mesh.uv):
            return CopiedByModifier(thing.name, _first(thing))
        return None


def _size(side: float, most: int) -> int:
    """The power of two that has ``side`` texels, give or take one in a hundred, or ``most``."""
    size = LEAST_SIZE
    while size * 1.01 < min(side, most):
        size *= 2
    return size


def _by_mesh(wanted: Sequence[_Wanted]) -> list[list[_Wanted]]:
    groups: dict[bpy.types.Mesh, list[_Wanted]] = {}
    for one in wanted:
        groups.setdefault(one.thing.data, []).append(one)
    return list(groups.values())


def _face_of_corner(mesh: bpy.types.Mesh) -> NDArray[np.intp]:
    totals = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_total", totals)
    return np.repeat(np.arange(len(totals)), totals)


def _corners(mesh: bpy.types.Mesh) -> NDArray[np.float32]:
    """Our map of the user's own mesh, by triangle."""
    mesh.calc_loop_triangles()
    corner = np.empty(len(mesh.loop_triangles) * 3, np.int32)
    mesh.loop_triangles.foreach_get("loops", corner)
    return uv_of(mesh, MAP)[corner]


def _area(places: NDArray[np.float64]) -> float:
    corners = places.reshape(-1, 3, 3)
    return float(np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum())


def _first(thing: bpy.types.Object) -> str:
    copying = {"MIRROR", "ARRAY", "SCREW", "NODES", "SOLIDIFY", "SKIN", "BOOLEAN"}
    found = [one.name for one in thing.modifiers if one.show_viewport and one.type in copying]
    return found[0] if found else _last(thing)


def _last(thing: bpy.types.Object) -> str:
    return thing.modifiers[-1].name if len(thing.modifiers) else ""


def _remove(thing: bpy.types.Object) -> None:
    """Take our map away again, which nobody uses."""
    mesh = thing.data
    layer = mesh.uv_layers.get(MAP)
    if layer is not None and not any(one.data == mesh and one.get(NOTE) is not None for one in bpy.data.objects):
        mesh.uv_layers.remove(layer)
