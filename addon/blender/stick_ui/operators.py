"""The operators of Stick: shells around ``sticking`` and ``around``. Imports bpy."""

from __future__ import annotations

from typing import Any, ClassVar

import bpy
from bpy.props import IntProperty

from ...problems import Problem
from ...problems.errors import ProblemError
from ...problems.sticking import NoPicture
from ...problems.words import remedy, sentence
from ..capture.offscreen import ensure_gpu
from ..capture.viewports import redraw_panels
from ..live import switch as live
from ..stick.materials import back_to_own, is_stuck, show_again
from . import jobs, overlay
from .renderer import Renderer

TIMER = 0.01
"""Seconds between two beats of a job that is under way."""


class _Modal(bpy.types.Operator):
    """What runs in pieces, so that Blender never waits: Escape ends it, and what is done stays."""

    _renderer: Renderer | None = None
    _timer: Any = None
    _was_paused = False

    def run(self, context: bpy.types.Context, job: jobs.Job) -> set[str]:
        """Begin ``job``."""
        loop = live.loop()
        if loop is None:
            return refuse(self, NoPicture())
        self._job, self._renderer = job, Renderer(job.steps, loop.address, job.style)
        self._was_paused, live.paused = live.paused, True
        self._timer = context.window_manager.event_timer_add(TIMER, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Go on with each tick of the timer."""
        if event.type == "ESC" and event.value == "PRESS":
            return self._end(context)
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}
        assert self._renderer is not None
        try:
            goes_on = self._renderer.beat()
        except ProblemError as error:
            self.report({"ERROR"}, words(error.problem))
            return self._end(context)
        except (RuntimeError, ReferenceError, ValueError) as error:
            self.report({"ERROR"}, str(error))
            return self._end(context)
        self._job.show_newest()
        context.workspace.status_text_set(f"{self._job.progress()}   Esc: stop here, and keep what is done")
        return {"RUNNING_MODAL"} if goes_on else self._end(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender itself ends it, as when a file is loaded."""
        self._end(context)

    def _end(self, context: bpy.types.Context) -> set[str]:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
            live.paused = self._was_paused
            context.window_manager.event_timer_remove(self._timer)
            context.workspace.status_text_set(None)
        done = self._job.finish(context)
        told(self, self._job.refusals)
        if done:
            self.report({"INFO"}, self._job.progress())
        redraw_panels()
        return {"FINISHED"} if done else {"CANCELLED"}


class DRAFTGLASS_OT_stick(_Modal):
    """Lay the settled picture on the surfaces that the view shows: those selected, or all with nothing selected"""

    bl_idname = "draftglass.stick"
    bl_label = "Stick"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In Object Mode."""
        return context.mode == "OBJECT"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Stick at once, or after a larger picture has been made."""
        shown, settings = live.picture(), context.scene.draftglass
        if shown is None or (settings.settle and not shown.settled):
            return refuse(self, NoPicture())
        try:
            ensure_gpu()
            size = context.scene.draftglass_stick.size
            if size > max(shown.size) and not bpy.app.background:
                return self.run(context, jobs.larger(context, shown, size))
            stuck = jobs.stick_shown(context, shown)
        except ProblemError as error:
            return refuse(self, error.problem)
        except (RuntimeError, ValueError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        told(self, stuck.refusals)
        self.report({"INFO"}, f"Stuck to {len(stuck.things)} objects in {stuck.seconds:.1f} s")
        redraw_panels()
        return {"FINISHED"}


class DRAFTGLASS_OT_stick_around(_Modal):
    """Texture the scene all round: this view first, then others, each making only what is still empty"""

    bl_idname = "draftglass.stick_around"
    bl_label = "Stick Around"
    bl_options: ClassVar = {"REGISTER", "UNDO"}
    views: IntProperty(name="Views", description="How many at most; 0 as the scene's setting", default=0, min=0, max=64)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In Object Mode, while live is on."""
        return context.mode == "OBJECT" and live.loop() is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Begin."""
        try:
            return self.run(context, jobs.around(context, self.views))
        except ProblemError as error:
            return refuse(self, error.problem)


class DRAFTGLASS_OT_stick_refine(_Modal):
    """Repaint what this view shows better than the pictures before it, and keep the rest"""

    bl_idname = "draftglass.stick_refine"
    bl_label = "Refine Here"
    bl_options: ClassVar = {"REGISTER", "UNDO"}
    poll = DRAFTGLASS_OT_stick_around.poll

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Begin."""
        try:
            return self.run(context, jobs.around(context, 1))
        except ProblemError as error:
            return refuse(self, error.problem)


class DRAFTGLASS_OT_stick_take_back(bpy.types.Operator):
    """Let the scene be as if this view had never been stuck"""

    bl_idname = "draftglass.stick_take_back"
    bl_label = "Take View Back"
    bl_options: ClassVar = {"REGISTER", "UNDO"}
    number: IntProperty(name="View", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """While the views are known: not after an undo, or in another file."""
        return context.mode == "OBJECT" and jobs.finished() is not None

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Take it back."""
        job = jobs.finished()
        if job is None or all(one.number != self.number for one in job.done):
            return {"CANCELLED"}
        job.take_back(self.number)
        live.after_redraw()
        redraw_panels()
        return {"FINISHED"}


class DRAFTGLASS_OT_stick_back(bpy.types.Operator):
    """Show the objects' own materials again; the textures stay in the file. Run it again to show those"""

    bl_idname = "draftglass.stick_back"
    bl_label = "Back to My Materials"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In Object Mode, in a file where anything is stuck."""
        return context.mode == "OBJECT" and bool(jobs.textured(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Switch those selected, or all with nothing selected."""
        things = jobs.textured(context)
        if any(is_stuck(thing) for thing in things):
            for thing in things:
                back_to_own(thing)
        else:
            for thing in things:
                show_again(thing)
        return {"FINISHED"}


class DRAFTGLASS_OT_stick_coverage(bpy.types.Operator):
    """Colour what is empty (red), seen at a grazing angle (orange) or stretched (blue) in the 3D Views"""

    bl_idname = "draftglass.stick_coverage"
    bl_label = "Show Coverage"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Switch it."""
        overlay.switch()
        return {"FINISHED"}


def told(operator: bpy.types.Operator, refusals: tuple[Problem, ...]) -> None:
    """Say why objects were left out, each in one sentence with what helps; of many, how many more there are."""
    for problem in refusals[:3]:
        operator.report({"WARNING"}, words(problem))
    if len(refusals) > 3:
        operator.report({"WARNING"}, f"{len(refusals) - 3} more objects were left out.")


def refuse(operator: bpy.types.Operator, problem: Problem) -> set[str]:
    """Say it, and that nothing was done."""
    operator.report({"ERROR"}, words(problem))
    return {"CANCELLED"}


def words(problem: Problem) -> str:
    """A sentence, and what helps."""
    return f"{sentence(problem)} {remedy(problem)}".strip()


CLASSES = (
    DRAFTGLASS_OT_stick,
    DRAFTGLASS_OT_stick_around,
    DRAFTGLASS_OT_stick_refine,
    DRAFTGLASS_OT_stick_take_back,
    DRAFTGLASS_OT_stick_back,
    DRAFTGLASS_OT_stick_coverage,
)


def detach() -> None:
    """Let go of everything."""
    jobs.forget()
    overlay.hide()
