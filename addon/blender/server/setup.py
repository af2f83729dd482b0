"""The setup of the server in Blender: asked for, followed, cancelled. Imports bpy; nothing here waits."""

from __future__ import annotations

import errno
from pathlib import Path

import bpy

from ...problems import EnvironmentState, Problem, SetUpPhase, SetUpState
from ...problems.errors import ProblemError
from ...problems.setup import (
    BadPipArguments,
    FolderUnusable,
    NoTorchBuild,
    NotWritable,
    OnlineAccessOff,
    PythonNotStarted,
    SetUpCancelled,
)
from ...problems.viewport import LiveCrashed
from ...setup import SetUp
from ...setup import remove_all as remove_environments
from ...setup.machine import BUILDS, Choice, choose
from ...setup.plan import AUTO, Plan
from ...setup.process import Detection
from .process import environment, is_own, make_plan, user_folder

BEAT_SECONDS = 0.1


class Manager:
    """One setup at a time."""

    def __init__(self) -> None:
        self.phase = SetUpPhase.IDLE
        self.problem: Problem | None = None
        """Why the last setup, or the last start of live, did not succeed."""
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
        """Blender ends, or the add-on is disabled: a setup under way rolls itself back."""
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
    """What pip said in the last setup."""
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


def _beat() -> float | None:
    try:
        return manager.beat()
    except Exception as error:
        manager.cancel()
        manager.phase = SetUpPhase.IDLE  # nobody looks after it any more; its process rolls back by itself
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
