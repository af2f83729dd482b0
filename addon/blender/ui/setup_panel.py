"""The setup of the server as panels show it: what is asked, how far it is, what failed and what helps. Imports bpy."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import bpy

from ...problems import Action, EnvironmentState, Problem, SetUpPhase
from ...problems.setup import DriverTooOld, FolderUnusable, GpuUnused, SetUpCancelled
from ...problems.words import actions, remedy, sentence
from ...setup import Environment, SetUp
from ...setup.machine import Choice
from ...setup.progress import left_in_words, size_in_words
from ..capture.viewports import characters
from ..live import switch as live
from ..server.process import NOT_WHOLE, environment, is_own, user_folder
from ..server.setup import manager


@dataclass(frozen=True)
class Button:
    """What a button does: ``operator``, under ``label``."""

    operator: str
    label: str
    icon: str


BUTTONS = {
    Action.SET_UP: Button("draftglass.set_up", "Set Up the Server", "IMPORT"),
    Action.TRY_SET_UP_AGAIN: Button("draftglass.set_up", "Try Again", "FILE_REFRESH"),
    Action.RESTART_SERVER: Button("draftglass.restart_server", "Restart the Server", "FILE_REFRESH"),
    Action.OPEN_LOG: Button("draftglass.open_log", "Open the Log", "TEXT"),
    Action.OPEN_PREFERENCES: Button("draftglass.open_preferences", "Open the Preferences", "PREFERENCES"),
    Action.OPEN_FOLDER: Button("draftglass.open_folder", "Open the Folder", "FILE_FOLDER"),
    Action.ALLOW_ONLINE_ACCESS: Button("draftglass.allow_online", "Allow Online Access", "INTERNET"),
    Action.CONNECT_NOW: Button("draftglass.reconnect", "Connect Now", "FILE_REFRESH"),
    Action.START_LIVE: Button("draftglass.start", "Start Live", "PLAY"),
    Action.HALVE_SIZE: Button("draftglass.smaller", "Halve the Size", "FULLSCREEN_EXIT"),
    Action.USE_SOLID_SHADING: Button("draftglass.use_solid", "Use Solid Shading", "SHADING_SOLID"),
    Action.USE_THIS_MACHINE: Button("draftglass.use_own_server", "Use This Machine", "HOME"),
}
"""The button for each action that helps against a problem."""


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
    if found.wants_gpu and found.about.get("computes_on") == "cpu":
        draw_problem(layout, GpuUnused(), width)
    return False


def _draw_question(box: bpy.types.UILayout, choice: Choice, width: int) -> None:
    build = choice.build
    found = f", because this machine has {choice.words}" if choice.words else ""
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
