"""The set-up of the server in Blender: asked for, followed, cancelled, drawn. Imports bpy; nothing here waits."""

from __future__ import annotations

import errno
import textwrap
from pathlib import Path

import bpy

from ..problems import EnvironmentState, Problem, SetUpPhase, SetUpState
from ..problems.errors import ProblemError
from ..problems.setup import (
    BadPipArguments,
    DriverTooOld,
    FolderUnusable,
    GpuUnused,
    NoTorchBuild,
    NotWritable,
    OnlineAccessOff,
    PythonNotStarted,
    SetUpCancelled,
)
from ..problems.viewport import LiveCrashed
from ..problems.words import actions, remedy, sentence
from ..setup import Environment, SetUp
from ..setup import remove_all as remove_environments
from ..setup.machine import BUILDS, Choice, choose
from ..setup.plan import AUTO, Plan
from ..setup.process import Detection
from ..setup.progress import left_in_words, size_in_words
from . import live
from .server_process import NOT_WHOLE, environment, is_own, make_plan, user_folder
from .ui.buttons import BUTTONS
from .viewports import characters

BEAT_SECONDS = 0.1


class Manager:
    """One setup at a time."""

    def __init__(self) -> None:
        self.phase = SetUpPhase.IDLE
        self.problem: Problem | None = None
        """Why the last set-up, or the last start of live, did not succeed."""
        self.run: SetUp | None = None
        self.choice: Choice | None = None
        self._detection: Detection | None = None
        self._plan: Plan | None = None
        self._agreed = self._start_live = False

    def begin(self, agreed: bool, start_live: bool) -> None:
        """Look what the machine has, then ask; or go on at once where a person has agreed already."""
        if self.phase is SetUpPhase.ASKING and agreed:
            self._begin_run()
            return
        if self.phase is SetUpPhase.IDLE:
            self._begin(agreed, start_live)
            _redraw()

    def show(self, error: Exception) -> None:
        """Show why live could not start."""
        is_known = isinstance(error, ProblemError)
        self.problem = error.problem if is_known else LiveCrashed(f"{type(error).__name__}: {error}")
        _redraw()

    def cancel(self) -> None:
        """Take back what was asked for: what was made is removed; :meth:`beat` tells when."""
        if self.phase is SetUpPhase.RUNNING and self.run is not None:
            self.run.cancel()
        elif self.phase in (SetUpPhase.CHECKING, SetUpPhase.ASKING):
            self._close_detection()
            self.phase = SetUpPhase.IDLE
        _redraw()

    def stop(self) -> None:
        """Blender ends, or the add-on is disabled: a set-up under way rolls itself back."""
        self.cancel()
        self.phase = SetUpPhase.IDLE  # nobody looks after it any more; enabled again, the add-on can begin anew
        if bpy.app.timers.is_registered(_beat):
            bpy.app.timers.unregister(_beat)

    def beat(self) -> float | None:
        """One look at what runs. Returns seconds until the next, None when nothing does."""
        if self.phase is SetUpPhase.CHECKING and self._detection is not None:
            self._check(self._detection)
        elif self.phase is SetUpPhase.RUNNING and self.run is not None:
            if self.run.poll():
                _redraw()
            if not self.run.is_under_way:
                self._end(self.run)
        return BEAT_SECONDS if self.phase in (SetUpPhase.CHECKING, SetUpPhase.RUNNING) else None

    def _begin(self, agreed: bool, start_live: bool) -> None:
        self.problem, self.choice, self._agreed, self._start_live = None, None, agreed, start_live
        try:
            self._plan = make_plan()
        except ValueError as error:
            self.problem = BadPipArguments(str(error))
            return
        if not self._plan.is_offline and not bpy.app.online_access:
            self.problem = OnlineAccessOff()
            return
        if self._plan.build != AUTO:
            self.choice = Choice(BUILDS[self._plan.build], "")
            self._ask()
        else:
            try:
                self._detection = Detection(self._plan.python)
            except OSError as error:
                self._fail(PythonNotStarted(str(self._plan.python), error.strerror or str(error)))
                return
            self.phase = SetUpPhase.CHECKING
        _watch()

    def _check(self, detection: Detection) -> None:
        machine = detection.poll()
        if machine is None and not detection.failed:
            return
        failed, python = detection.failed, str(self._plan.python if self._plan else "")
        self._close_detection()
        self.choice = choose(machine) if machine is not None else None
        if machine is None:
            self._fail(PythonNotStarted(python, failed))
        elif self.choice is None:
            self._fail(NoTorchBuild(machine.system, machine.architecture))
        else:
            self._ask()

    def _ask(self) -> None:
        self.phase = SetUpPhase.ASKING
        if self._agreed or (self._plan is not None and self._plan.is_offline):  # nothing is downloaded then
            self._begin_run()
        _redraw()

    def _begin_run(self) -> None:
        assert self._plan is not None
        try:
            self.run = SetUp(self._plan, set_up_log())
        except OSError as error:
            kind = NotWritable if isinstance(error, PermissionError) or error.errno == errno.EROFS else FolderUnusable
            self._fail(kind(str(error.filename or user_folder()), error.strerror or str(error)))
            return
        self.phase = SetUpPhase.RUNNING
        _watch()
        _redraw()

    def _end(self, run: SetUp) -> None:
        self.phase = SetUpPhase.IDLE
        if run.state is SetUpState.DONE:
            self.problem = None
            if self._start_live:
                bpy.app.timers.register(_start_live, first_interval=0.0)
        else:
            self.problem = SetUpCancelled() if run.state is SetUpState.CANCELLED else run.problem
        _redraw()

    def _fail(self, problem: Problem) -> None:
        self.phase, self.problem = SetUpPhase.IDLE, problem
        _redraw()

    def _close_detection(self) -> None:
        if self._detection is not None:
            self._detection.close()
            self._detection = None


manager = Manager()


def set_up_log() -> Path:
    """What pip said in the last set-up."""
    return user_folder() / "logs" / "set-up.log"


def is_needed() -> bool:
    """Whether live can't start before the server is set up."""
    if not is_own():
        return False
    found = environment()
    return found is None or found.state is not EnvironmentState.COMPLETE


def remove_all() -> None:
    """Remove every environment; models and logs stay. Raises OSError."""
    if not remove_environments(user_folder()):
        raise OSError(None, "another Blender is setting the server up", str(user_folder()))
    manager.problem = None
    _redraw()


def draw_setup(layout: bpy.types.UILayout, context: bpy.types.Context) -> bool:
    """Draw what there is to do or to wait for, and what fails with what helps; returns whether there was something."""
    width = characters(context)
    if manager.phase is SetUpPhase.CHECKING:
        layout.box().label(text="Looking at this machine", icon="SORTTIME")
    elif manager.phase is SetUpPhase.ASKING and manager.choice is not None:
        _draw_question(layout.box().column(align=True), manager.choice, width)
    elif manager.phase is SetUpPhase.RUNNING and manager.run is not None:
        _draw_progress(layout.box().column(align=True), manager.run, width)
    elif manager.problem is not None:
        draw_problem(layout, manager.problem, width, "INFO" if isinstance(manager.problem, SetUpCancelled) else "ERROR")
    elif (found := live.problem()) is not None:
        draw_problem(layout, found, width)
    elif is_own():
        return _draw_environment(layout, environment(), width)
    else:
        return False
    return True


def draw_problem(layout: bpy.types.UILayout, found: Problem, width: int, icon: str = "ERROR") -> None:
    """A problem's sentence, what helps, and its buttons."""
    box = layout.box().column(align=True)
    draw_text(box, sentence(found), width, icon)
    draw_text(box, remedy(found), width, "BLANK1")
    for button in (BUTTONS[action] for action in actions(found)):
        box.operator(button.operator, text=button.label, icon=button.icon)


def draw_text(layout: bpy.types.UILayout, text: str, width: int, icon: str = "NONE") -> None:
    """``text`` in as many lines as it takes at ``width`` characters; the first has the icon."""
    for line in textwrap.wrap(text, width) or [""]:
        layout.label(text=line, icon=icon)
        icon = "NONE" if icon == "NONE" else "BLANK1"


def _draw_environment(layout: bpy.types.UILayout, found: Environment | None, width: int) -> bool:
    if found is None:
        draw_problem(layout, FolderUnusable(str(user_folder()), "its lists cannot be read"), width)
        return True
    if found.state is not EnvironmentState.COMPLETE:
        draw_problem(layout, NOT_WHOLE[found.state], width, "INFO")
        return True
    built = found.about.get("build", "")
    if built.startswith(("cuda", "rocm")) and found.about.get("found", "").endswith("the CPU"):
        draw_problem(layout, GpuUnused(), width)
    return False


def _draw_question(box: bpy.types.UILayout, choice: Choice, width: int) -> None:
    build = choice.build
    found = f", as this machine has {choice.words}" if choice.words else ""
    draw_text(box, f"Draftglass makes its pictures with PyTorch: {build.words}{found}.", width, "IMPORT")
    download, disk = size_in_words(build.download), size_in_words(build.disk)
    draw_text(box, f"Download: about {download}. On the disk: about {disk}.", width, "BLANK1")
    if choice.hint == "old_driver":
        draw_text(box, remedy(DriverTooOld()), width, "BLANK1")
    box.operator("draftglass.set_up", text="Download and Set Up", icon="IMPORT").agreed = True
    box.operator("draftglass.cancel_set_up", text="Not Now")


def _draw_progress(box: bpy.types.UILayout, run: SetUp, width: int) -> None:
    box.progress(factor=run.fraction, text=f"Setting up the server: {run.fraction:.0%}", type="BAR")
    box.label(text=textwrap.shorten(run.words, width, placeholder="…"), icon="SORTTIME")
    left = ", ".join(part for part in (run.detail, left_in_words(run.seconds_left)) if part)
    box.label(text=textwrap.shorten(left, width, placeholder="…"), icon="BLANK1")  # always there: nothing jumps
    box.operator("draftglass.cancel_set_up", text="Cancel", icon="X")


def _beat() -> float | None:
    try:
        return manager.beat()
    except Exception as error:
        manager.cancel()
        manager.phase = (
            SetUpPhase.IDLE
        )  # nobody looks after it any more: the process that makes it rolls back by itself
        manager.show(error)
        raise


def _start_live() -> None:
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window):
        if bpy.ops.draftglass.start.poll():
            bpy.ops.draftglass.start()


def _watch() -> None:
    if not bpy.app.timers.is_registered(_beat):
        bpy.app.timers.register(_beat, first_interval=BEAT_SECONDS, persistent=True)


def _redraw() -> None:
    """Let the sidebars and the preferences show the news; not the viewports."""
    windows = bpy.context.window_manager.windows if bpy.context.window_manager is not None else ()
    for window in windows:
        for area in window.screen.areas:
            for region in area.regions:
                if region.type == "UI" or area.type == "PREFERENCES":
                    region.tag_redraw()


def detach() -> None:
    """End what runs."""
    manager.stop()
