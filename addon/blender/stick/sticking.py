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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...geometry.spread import spread
from ...problems import Problem
from ...problems.errors import ProblemError
from ...problems.sticking import NothingToStickTo
from ..capture.view import View
from .flatten import flattened
from .materials import NOTE, material_for, noted, put_on
from .projection import Projector, Seen
from .scale import Scale, scales
from .settings import StickSettings
from .targets import targets
from .textures import NEWER, Kept, Texture
from .unwrap import ATLAS, GUTTER, Place, Unwrapper

COARSE = 256
"""Texels along a side in which what no picture shows is coloured: it has no detail."""


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
        self._textures: dict[str, tuple[int, Texture]] = {}  # by the name of the image, with what tells that

    def stick(self, view: View, picture: NDArray[np.uint8], only: Collection[bpy.types.Object] | None = None) -> Stuck:
        """Lay ``picture`` on what ``view`` shows. Raises NothingStuck, and CannotWrite for the textures' folder."""
        began = time.perf_counter()
        view.view_layer.update()
        picture = self.flat(view, picture)
        seen = self.see(view, picture.shape[1], picture.shape[0])
        chosen = targets(seen, only)
        if not chosen.things:
            raise NothingStuck(chosen.refusals[0] if chosen.refusals else NothingToStickTo(only is not None))
        places, refusals = self.places(chosen.things, {seen: picture.shape[1]})
        if not places:
            raise NothingStuck(refusals[0])
        shares = self.lay(places, seen, picture)
        self._tint(places, seen, picture)
        self.keep(places)
        view.view_layer.update()
        things = tuple(place.thing for place in places)
        return Stuck(things, (*chosen.refusals, *refusals), shares, time.perf_counter() - began)

    def _tint(self, places: Sequence[Place], seen: Seen, picture: NDArray[np.uint8]) -> None:
        """Give what is shown by so few pixels that none fell on a texel the mean colour of these."""
        step = seen.number.shape[0] // picture.shape[0]
        for group in by_image(places):
            texture = self.texture(group)
            if texture.changed or texture.states[..., 0].any():
                continue
            numbers = [seen.numbers.get(int(place.thing.session_uid), -1) for place in group]
            rows, columns = np.nonzero(np.isin(seen.number, numbers))
            if len(rows):
                texture.colours[:] = picture[rows // step, columns // step].mean(0).astype(np.uint8)
                texture.changed = True

    def flat(self, view: View, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``picture`` of ``view`` without the viewport's light, if the settings say so."""
        return flattened(view, picture) if self.settings.flatten_light else picture

    def see(self, view: View, width: int, height: int) -> Seen:
        """What ``view`` shows, for pictures of ``width`` x ``height`` pixels."""
        return self._projector.see(view, width, height)

    def places(
        self, things: Sequence[bpy.types.Object], views: Mapping[Seen, int]
    ) -> tuple[list[Place], list[Problem]]:
        """Where each of ``things`` is textured; ``views``: what shows them, and how wide the pictures are."""
        shown: dict[int, Scale] = {}
        for seen, width in views.items():
            for uid, one in scales(seen, width).items():
                shown[uid] = shown[uid].joined(one) if uid in shown else one
        layer = next(iter(views)).view.view_layer
        unwrapper = Unwrapper(self._projector, layer, self.settings)
        return unwrapper.places(things, shown), unwrapper.refusals

    def lay(
        self,
        places: Sequence[Place],
        seen: Seen,
        picture: NDArray[np.uint8],
        gate: NDArray[np.uint8] | None = None,
        newer: float = NEWER,
    ) -> dict[str, float]:
        """Lay ``picture`` of what was ``seen`` on ``places``; nothing in the file changes before :meth:`keep`.

        ``gate``: uint8, H x W, how much of each pixel counts; None: all. ``newer``: how much more this picture counts
        than those before. Returns ``Stuck.shares`` of what is in sight.
        """
        self._projector.take(seen, picture, self.settings.band, gate)
        shares = {}
        for group in by_image(places):
            texture = self.texture(group)
            for place in group:
                number = seen.numbers.get(int(place.thing.session_uid))
                if number is not None:
                    shares[place.thing.name] = texture.take(
                        self._projector.lay(place.mesh, number, texture.size), newer
                    )
        return shares

    def texture(self, group: Sequence[Place]) -> Texture:
        """The texels of the image that ``group`` shares, as they are now."""
        size, name = max(place.size for place in group), group[0].name
        known = self._textures.get(name)
        old = kept_of(group[0].thing)
        number = old.image.session_uid if old is not None else 0
        if known is None or known[0] != number:
            loaded = Texture.load(old) if old is not None else None
            known = number, loaded or Texture.new(size)
        if known[1].size < size:
            known = number, known[1].grown(size)
        self._textures[name] = known
        return known[1]

    def set_texture(self, name: str, texture: Texture) -> None:
        """Have the image ``name`` be this."""
        self._textures[name] = self._textures[name][0], texture

    def keep(self, places: Sequence[Place]) -> None:
        """Fill what no picture shows, and show all on the objects. Raises CannotWrite."""
        for group in by_image(places):
            texture = self.texture(group)
            if not texture.changed:
                continue
            highest = max((float(place.mesh.uv[:, 1].max()) for place in group if len(place.mesh.uv)), default=1.0)
            texture.fill(int(np.ceil(highest * texture.size)) + GUTTER, self._under(texture, group))
            kept = texture.save(group[0].name, kept_of(group[0].thing), self.settings.folder)
            self._textures[group[0].name] = kept.image.session_uid, texture
            self._show(group, kept)

    def _under(self, texture: Texture, group: Sequence[Place]) -> NDArray[np.uint8] | None:
        """Colours for what no picture shows, from what lies next to it on each mesh."""
        coarse = min(texture.size, COARSE)
        result: NDArray[np.uint8] | None = None
        for place in group:
            mesh, corners = place.mesh, texture.at_corners(place.mesh)
            if not corners[:, 3].any() or corners[:, 3].all():
                continue
            count = int(mesh.vertex.max()) + 1
            total = np.stack([np.bincount(mesh.vertex, plane, count) for plane in corners.T], 1)
            known = total[:, 3] > 0
            means = (total[:, :3] / np.maximum(total[:, 3:], 1)).astype(np.float32)
            ends = mesh.vertex.reshape(-1, 3)
            colours, reached = spread(means, known, ends.reshape(-1), np.roll(ends, -1, 1).reshape(-1))
            paint = np.concatenate([colours, reached[:, None]], 1).astype(np.float32)[mesh.vertex]
            drawn = self._projector.coloured(mesh, paint, coarse)
            result = drawn if result is None else np.where(drawn[..., 3:] > 0, drawn, result)
        if result is None:
            return None
        times = texture.size // coarse
        return np.repeat(np.repeat(result, times, 0), times, 1)

    def forget(self) -> None:
        """Let go of the texels, which are loaded again when they are needed."""
        self._textures.clear()

    def free(self) -> None:
        """Give all memory back."""
        self.forget()
        self._projector.free()

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


def by_image(places: Sequence[Place]) -> list[list[Place]]:
    """``places`` in groups that share an image."""
    groups: dict[str, list[Place]] = {}
    for place in places:
        groups.setdefault(place.name, []).append(place)
    return list(groups.values())


def kept_of(thing: bpy.types.Object) -> Kept | None:
    """The Images of what is stuck to ``thing``; None where there are none, or one has been deleted."""
    note = thing.get(NOTE)
    if note is None or note.get("image") is None or note.get("seen") is None:
        return None
    return Kept(note["image"], note["seen"])
