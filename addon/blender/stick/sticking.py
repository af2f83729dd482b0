"""One picture onto the surfaces that its view shows. Imports bpy, mathutils, numpy.

    sticker = Sticker(StickSettings(texture_size=1024))
    stuck = sticker.stick(view, picture, only=None)

``view`` is a ``capture.view.View`` whose projection is that of the picture (``Draft.view`` and ``Draft.projection``,
as matrices); ``picture`` uint8, H x W x 3, sRGB, the top row first; ``only`` the objects to be textured, None for all
in sight. The scene then has for each of ``stuck.things`` a UV map, Images, and a material over its own. Without a
window: ``capture.offscreen.ensure_gpu()`` first.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...problems import Problem
from ...problems.errors import ProblemError
from ...problems.sticking import NothingToStickTo
from ..capture.view import View
from .materials import NOTE, material_for, noted, put_on
from .projection import Projector, Scale, Seen, scales
from .settings import StickSettings
from .targets import targets
from .textures import Kept, Texture
from .unwrap import ATLAS, Place, Unwrapper


class NothingStuck(ProblemError):
    """No object was textured; nothing in the file was changed."""


@dataclass(frozen=True)
class Stuck:
    """What a picture was laid on.

    ``things``: the objects. ``refusals``: why others were left out. ``shares``: by an object's name, how much of its
    image's surface a picture has shown by now, 0 to 1. ``seconds``: what it took.
    """

    things: tuple[bpy.types.Object, ...]
    refusals: tuple[Problem, ...]
    shares: dict[str, float]
    seconds: float


class Sticker:
    """Keeps shaders and targets from one picture to the next."""

    def __init__(self, settings: StickSettings) -> None:
        self.settings = settings
        self._projector = Projector()

    def stick(
        self,
        view: View,
        picture: NDArray[np.uint8],
        only: Collection[bpy.types.Object] | None = None,
        gate: NDArray[np.uint8] | None = None,
    ) -> Stuck:
        """Lay ``picture`` on what ``view`` shows. Raises NothingStuck, and CannotWrite for the textures' folder.

        ``gate``: uint8, H x W, how much of each pixel counts; None: all.
        """
        began = time.perf_counter()
        height, width = picture.shape[:2]
        view.view_layer.update()
        seen = self._projector.see(view, width, height)
        chosen = targets(seen, only)
        if not chosen.things:
            raise NothingStuck(chosen.refusals[0] if chosen.refusals else NothingToStickTo(only is not None))
        places, refusals = self.places(chosen.things, {seen: width})
        if not places:
            raise NothingStuck(refusals[0])
        self._projector.take(seen, picture, self.settings.band, gate)
        shares = self._lay(places, seen)
        view.view_layer.update()
        things = tuple(place.thing for place in places)
        return Stuck(things, (*chosen.refusals, *refusals), shares, time.perf_counter() - began)

    def places(self, things: Sequence[bpy.types.Object], views: dict[Seen, int]) -> tuple[list[Place], list[Problem]]:
        """Where each of ``things`` is textured; ``views``: what shows them, and how wide the pictures are."""
        shown: dict[int, Scale] = {}
        for seen, width in views.items():
            for uid, one in scales(seen, width).items():
                before = shown.get(uid, one)
                shown[uid] = Scale(max(before.pixels, one.pixels), max(before.to_a_unit, one.to_a_unit))
        layer = next(iter(views)).view.view_layer
        unwrapper = Unwrapper(self._projector, layer, self.settings)
        return unwrapper.places(things, shown), unwrapper.refusals

    def free(self) -> None:
        """Give the GPU's memory back."""
        self._projector.free()

    def _lay(self, places: Sequence[Place], seen: Seen) -> dict[str, float]:
        shares = {}
        for group in _by_image(places):
            old = _kept(group[0])
            size = max(place.size for place in group)
            texture = Texture.load(old) if old is not None else None
            if texture is None:
                texture, old = Texture.new(size), None
            elif texture.size < size:
                texture = texture.grown(size)
            for place in group:
                number = seen.numbers[int(place.thing.session_uid)]
                shares[place.thing.name] = texture.take(self._projector.lay(place.mesh, number, texture.size))
            texture.fill()
            kept = texture.save(group[0].name, old, self.settings.folder)
            self._show(group, kept)
        return shares

    def _show(self, group: Sequence[Place], kept: Kept) -> None:
        material: bpy.types.Material | None = None
        for place in group:
            note = noted(place.thing)
            note["image"], note["seen"], note["layer"] = kept.image, kept.seen, place.layer
            note["atlas"] = group[0].name.startswith(ATLAS)
            material = note.get("material") or material
            if material is None:
                material = material_for(place.name, kept.image, place.layer, self.settings.emission)
            note["material"] = material
            put_on(place.thing, material, place.layer)


def view_as(view: View, matrix: Sequence[Sequence[float]], projection: Sequence[Sequence[float]]) -> View:
    """``view`` by other matrices, such as a draft's: ``Draft.view`` and ``Draft.projection``."""
    return View(view.scene, view.view_layer, view.space, view.region, Matrix(matrix), Matrix(projection))


def _by_image(places: Sequence[Place]) -> list[list[Place]]:
    groups: dict[str, list[Place]] = {}
    for place in places:
        groups.setdefault(place.name, []).append(place)
    return list(groups.values())


def _kept(place: Place) -> Kept | None:
    note = place.thing.get(NOTE)
    if note is None or note.get("image") is None or note.get("seen") is None:
        return None
    return Kept(note["image"], note["seen"])
