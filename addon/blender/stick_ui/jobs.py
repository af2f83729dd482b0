"""What the operators do, from the context and the scene's settings. Imports bpy, numpy."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import bpy
import numpy as np
from numpy.typing import NDArray

from ...live.shown import ShownPicture
from ...problems import Problem
from ...problems.sticking import NoPicture
from ...wire import Style
from ..capture.draft import Draft
from ..capture.framing import picture_size, projection_of, size_of
from ..capture.offscreen import Capturer
from ..capture.spaces import any_space
from ..capture.surfaces import depsgraph_edits
from ..capture.view import View
from ..capture.viewports import Followed, Viewport
from ..live import switch as live
from ..properties import style_of
from ..stick.around import Around
from ..stick.materials import NOTE
from ..stick.sticking import NothingStuck, Sticker, Stuck, view_as
from .properties import around_settings, stick_settings
from .renderer import Steps

_last: tuple[Around, int] | None = None
"""The newest job all round, and the edit that it is valid from: an undo makes its references void."""


@dataclass(eq=False)
class Job:
    """Work under way. ``around``: what it does all round; None for one picture."""

    steps: Steps
    style: Style
    around: Around | None = None
    stuck: Stuck | None = None
    _shown: int = 0

    @property
    def refusals(self) -> tuple[Problem, ...]:
        """Why objects were left out."""
        if self.around is not None:
            return self.around.refusals
        return self.stuck.refusals if self.stuck is not None else ()

    def progress(self) -> str:
        """How far it is."""
        if self.around is None:
            return "Sticking" if self.stuck is None else f"Stuck to {len(self.stuck.things)} objects"
        count, views = len(self.around.done), self.around.settings.views
        last = f", the last one {self.around.done[-1].new:.0%} new" if count else ""
        return f"{count} of {views} views{last}"

    def show_newest(self) -> None:
        """Show the picture of the newest view where live shows its own."""
        session = live.session()
        if self.around is not None and session is not None and len(self.around.done) > self._shown:
            self._shown = len(self.around.done)
            session.show(self.around.done[-1].picture)

    def finish(self, context: bpy.types.Context) -> bool:
        """Show what was done; whether anything was."""
        global _last
        done = bool(self.around.done) if self.around is not None else self.stuck is not None
        if self.around is not None:
            if done:
                forget()
                depsgraph_edits.listen()
                _last = self.around, depsgraph_edits.edits()
            else:
                _free(self.around)
        if done:
            show_textured(context)
        return done


def stick_shown(context: bpy.types.Context, shown: ShownPicture) -> Stuck:
    """Lay the picture that live showed on what its view shows. Raises NothingStuck, CannotWrite."""
    frame = shown.request.frame
    view = view_as(_view(context), frame.view, frame.projection)
    stuck = _stick(context, view, shown.image)
    show_textured(context)
    return stuck


def larger(context: bpy.types.Context, shown: ShownPicture, size: int) -> Job:
    """The view of ``shown`` made again at ``size``, and stuck."""
    frame = shown.request.frame
    view = view_as(_view(context), frame.view, frame.projection)
    width, height = picture_size(size, *shown.size)

    def steps() -> Generator[Draft | None, NDArray[np.uint8] | None, None]:
        capturer = Capturer(patient=True)
        try:
            picture = yield capturer.draw(view, width, height)
            assert picture is not None, "a draft is answered by its picture"
            job.stuck = _stick(context, view, picture)
        finally:
            capturer.free()

    job = Job(steps(), shown.request.style)
    return job


def around(context: bpy.types.Context, views: int = 0) -> Job:
    """All round from the view that live follows. ``views``: how many; 0 as the scene's setting. Raises NothingStuck."""
    viewport, chosen = _viewport(context), context.scene.draftglass_stick
    if viewport is None:
        raise NothingStuck(NoPicture())
    size = size_of(viewport, at_rest=True)
    if chosen.size > max(size):
        size = picture_size(chosen.size, *size)
    style = style_of(viewport.scene.draftglass, size)
    style = replace(style, steps=max(style.steps, viewport.scene.draftglass.settle_steps))
    settings = around_settings(chosen)
    if views:
        settings = replace(settings, views=views)
    matrix, projection = viewport.view.view_matrix.copy(), projection_of(viewport, at_rest=True)
    # of the picture's aspect: what is captured is the middle of the view where that has another
    width, height = size
    own, wanted = abs(projection[1][1] / projection[0][0]), width / height
    scaled = [list(row) for row in projection]
    axis, factor = (0, own / wanted) if own > wanted else (1, wanted / own)
    scaled[axis] = [value * factor for value in scaled[axis]]
    view = view_as(_view(context), matrix, scaled)
    only = list(context.selected_objects) or None
    job = Around(Sticker(stick_settings(chosen)), Capturer(patient=True), view, size, settings, None, only)
    return Job(job.steps(), style, job)


def finished() -> Around | None:
    """The newest job all round, while its views can be taken back."""
    if _last is None:
        return None
    depsgraph_edits.listen()
    if depsgraph_edits.everything_since(_last[1]):
        forget()
        return None
    return _last[0]


def forget() -> None:
    """Let go of the newest job."""
    global _last
    if _last is not None:
        last, _last = _last, None
        _free(last[0])


def textured(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The objects that something was stuck to: those selected, or all with nothing selected."""
    chosen = list(context.selected_objects) or list(context.view_layer.objects)
    return [one for one in chosen if (one.get(NOTE) or {}).get("material") is not None]


def show_textured(context: bpy.types.Context) -> None:
    """Let the 3D View look textured, where that is a matter of its settings: in Solid shading."""
    live.after_redraw()
    viewport = _viewport(context)
    if viewport is not None and viewport.space.shading.type == "SOLID":
        shading = viewport.space.shading
        if shading.color_type != "TEXTURE":
            shading.color_type = "TEXTURE"
        if context.scene.draftglass_stick.emission and shading.light != "FLAT":
            shading.light = "FLAT"


def _stick(context: bpy.types.Context, view: View, picture: NDArray[np.uint8]) -> Stuck:
    chosen = context.scene.draftglass_stick
    sticker = Sticker(stick_settings(chosen))
    try:
        return sticker.stick(view, picture, list(context.selected_objects) or None)
    finally:
        sticker.free()


def _viewport(context: bpy.types.Context) -> Viewport | None:
    session = live.session()
    if session is not None:
        return session.followed.find()
    return Followed(context.area, context.region).find()


def _view(context: bpy.types.Context) -> View:
    """The 3D View that live follows, or any; its matrices are to be replaced."""
    found = _viewport(context)
    if found is not None:
        scene, layer, space, region, seen = found.scene, found.view_layer, found.space, found.region, found.view
    else:
        space, region = any_space()
        scene, layer, seen = context.scene, context.view_layer, space.region_3d
    return View(scene, layer, space, region, seen.view_matrix, seen.window_matrix)


def _free(job: Around) -> None:
    job.free()
    job.sticker.free()
    job.capturer.free()
