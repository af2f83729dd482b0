"""The set-up of the server in Blender: asked for, followed, cancelled, drawn. Imports bpy; nothing here waits."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...live import LiveError
from ...problems.failures import Problem, problem
from ...setup import SetUp
from ...setup import remove_all as remove_environments
from ...setup.folder import COMPLETE
from ...setup.machine import BUILDS, Choice, choose
from ...setup.plan import AUTO, Plan
from ...setup.process import CANCELLED, DONE, Detection
from .process import environment, is_own, make_plan, user_folder

IDLE, CHECKING, ASKING, RUNNING = "idle", "checking", "asking", "running"
BEAT_SECONDS = 0.1


class Manager:
    """One set-up at a time. ``phase``: idle, checking the machine, asking the person, or running."""

    def __init__(self) -> None:
        self.phase = IDLE
        self.problem: Problem | None = None
        """Why the last set-up, or the last start of live, did not succeed."""
        self.run: SetUp | None = None
        self.choice: Choice | None = None
        self._detection: Detection | None = None
        self._plan: Plan | None = None
        self._agreed = self._start_live = False

    def begin(self, agreed: bool, start_live: bool) -> None:
        """Look what the machine has, then ask; or go on at once where a person has agreed already."""
        if self.phase == ASKING and agreed:
            self._begin_run()
            return
        if self.phase == IDLE:
            self._begin(agreed, start_live)
            _redraw()

    def show(self, error: Exception) -> None:
        """Show why live could not start."""
        if isinstance(error, LiveError):
            self.problem = Problem(getattr(error, "code", "bad_address"), str(error))
        else:
            self.problem = problem("internal", reason=f"{type(error).__name__}: {error}")
        _redraw()

    def cancel(self) -> None:
        """Take back what was asked for: what was made is removed; :meth:`beat` tells when."""
        if self.phase == RUNNING and self.run is not None:
            self.run.cancel()
        elif self.phase in (CHECKING, ASKING):
            self._close_detection()
            self.phase = IDLE
        _redraw()

    def stop(self) -> None:
        """Blender ends, or the add-on is disabled: a set-up under way rolls itself back."""
        self.cancel()
        self.phase = IDLE  # nobody looks after it any more; enabled again, the add-on can begin anew
        if bpy.app.timers.is_registered(_beat):
            bpy.app.timers.unregister(_beat)

    def beat(self) -> float | None:
        """One look at what runs. Returns seconds until the next, None when nothing does."""
        if self.phase == CHECKING and self._detection is not None:
            self._check(self._detection)
        elif self.phase == RUNNING and self.run is not None:
            if self.run.poll():
                _redraw()
            if not self.run.is_under_way:
                self._end(self.run)
        return BEAT_SECONDS if self.phase in (CHECKING, RUNNING) else None

    def _begin(self, agreed: bool, start_live: bool) -> None:
        self.problem, self.choice, self._agreed, self._start_live = None, None, agreed, start_live
        try:
            self._plan = make_plan()
        except ValueError as error:
            self.problem = Problem("bad_options", str(error))
            return
        if not self._plan.is_offline and not bpy.app.online_access:
            self.problem = problem("offline")
            return
        if self._plan.build != AUTO:
            self.choice = Choice(BUILDS[self._plan.build], "")
            self._ask()
        else:
            try:
                self._detection = Detection(self._plan.python)
            except OSError as error:
                self._fail("no_python", python=str(self._plan.python), reason=error.strerror or str(error))
                return
            self.phase = CHECKING
        _watch()

    def _check(self, detection: Detection) -> None:
        machine = detection.poll()
        if machine is None and not detection.failed:
            return
        failed, python = detection.failed, str(self._plan.python if self._plan else "")
        self._close_detection()
        self.choice = choose(machine) if machine is not None else None
        if machine is None:
            self._fail("no_python", python=python, reason=failed)
        elif self.choice is None:
            self._fail("no_build", machine=f"{machine.system} on {machine.architecture}")
        else:
            self._ask()

    def _ask(self) -> None:
        self.phase = ASKING
        if self._agreed or (self._plan is not None and self._plan.is_offline):  # nothing is downloaded then
            self._begin_run()
        _redraw()

    def _begin_run(self) -> None:
        assert self._plan is not None
        try:
            self.run = SetUp(self._plan, set_up_log())
        except OSError as error:
            code = "read_only" if isinstance(error, PermissionError) or error.errno == 30 else "folder"
            self._fail(code, place=str(error.filename or user_folder()), named=error.strerror or str(error))
            return
        self.phase = RUNNING
        _watch()
        _redraw()

    def _end(self, run: SetUp) -> None:
        self.phase = IDLE
        if run.state == DONE:
            self.problem = None
            if self._start_live:
                bpy.app.timers.register(_start_live, first_interval=0.0)
        else:
            self.problem = problem("cancelled") if run.state == CANCELLED else problem(run.code, **run.fields)
        _redraw()

    def _fail(self, code: str, **fields: str) -> None:
        self.phase, self.problem = IDLE, problem(code, **fields)
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
    return found is None or found.state != COMPLETE


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
        manager.phase = IDLE  # nobody looks after it any more: the process that makes it rolls back by itself
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
