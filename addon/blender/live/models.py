"""The server's models: which it has, and what is requested for the scene. Imports bpy."""

from __future__ import annotations

import time

import bpy

from ...live import LiveLoop
from ...problems import LiveState
from ...wire import Entry, ListModels, LoadModel, ModelProgress
from ..capture.viewports import redraw_panels
from . import switch as live

LOOK_SECONDS = 0.5
"""Between two looks at what the server says about models."""
SUITING_SIZE = 512
"""Pixels: models other than the embedded one are made for this or more."""

_asked: tuple[LiveLoop | None, int, str] = (None, 0, "")  # and over which connection, for which model
_lacked = ""
"""The scene's model, while the server's list says that it cannot be loaded."""
_said: object = None
_looked = 0.0


def entries(kind: str = "") -> tuple[Entry, ...]:
    """What the server has or can get, of one kind or all; empty while it has not said so."""
    loop = live.loop()
    known = loop.models.entries if loop is not None and loop.models is not None else ()
    return tuple(entry for entry in known if not kind or entry.kind == kind)


def entry_of(name: str) -> Entry | None:
    """The entry of that name."""
    return next((entry for entry in entries() if entry.name == name), None)


def progress_of(name: str) -> ModelProgress | None:
    """How the newest download or check of a model goes."""
    loop = live.loop()
    return loop.model_progress.get(name) if loop is not None else None


def missing(scene: bpy.types.Scene) -> str:
    """A sentence where the pictures are made with another model than the scene's, as the server lacks that one."""
    loop, wanted = live.loop(), scene.draftglass.models.model
    if loop is None or loop.state is not LiveState.LIVE or loop.models is None or wanted in ("", loop.model):
        return ""
    going = progress_of(wanted)
    if _is_here(wanted) or (going is not None and going.state == "pulling"):
        return ""  # it is on its way, or the state says why not
    return f"The server does not have this scene's model, {wanted}: choose another, or download it."


def _is_here(name: str) -> bool:
    entry = entry_of(name)
    return entry is not None and entry.installed


def ask_again() -> None:
    """Have the scene's model loaded even if that was asked for before: it may have been missing then."""
    global _asked
    _asked = *_asked[:2], ""


def suit(settings: bpy.types.PropertyGroup, entry: Entry) -> None:
    """Set what suits a model: steps, guidance, strength, and a size that is not too small for it."""
    settings.steps, settings.guidance, settings.strength = entry.steps, entry.guidance, entry.strength
    settings.sampler = "AUTO"  # which is what suits it
    if entry.family == "embedded":
        settings.size = min(settings.size, 256)
    else:
        settings.size = max(settings.size, SUITING_SIZE)


def _on_beat() -> None:
    global _asked, _lacked, _said, _looked
    now = time.perf_counter()
    if now - _looked < LOOK_SECONDS:
        return
    _looked = now
    loop = live.loop()
    if loop is None:
        _asked, _said = (None, 0, ""), None
        return
    if _asked[0] is not loop:
        loop.tell(ListModels())
        _asked = loop, 0, ""
    scene = _scene()
    wanted = scene.draftglass.models.model if scene is not None else ""
    if wanted and wanted == _lacked and _is_here(wanted):
        ask_again()  # it was downloaded meanwhile
    _lacked = wanted if loop.models is not None and not _is_here(wanted) else ""
    connections = loop.statistics.connections
    # a server that was started anew has the model that it starts with; which one that is, its first status says
    if loop.state in (LiveState.LIVE, LiveState.LOADING, LiveState.FAILED) and (connections, wanted) != _asked[1:]:
        _asked = loop, connections, wanted
        if wanted and wanted != loop.model:
            loop.tell(LoadModel(wanted))
    said = loop.models, loop.model, loop.model_failure, tuple(loop.model_progress.values())
    if said != _said:
        _said = said
        redraw_panels()


def _scene() -> bpy.types.Scene | None:
    """The scene of the window whose viewport live follows."""
    session, manager = live.session(), bpy.context.window_manager
    for window in manager.windows if session is not None and manager is not None else ():
        for area in window.screen.areas:
            if any(region.as_pointer() == session.region for region in area.regions):
                return window.scene
    return None


def attach() -> None:
    """Listen to live."""
    live.on_beat.append(_on_beat)


def detach() -> None:
    """Listen no more."""
    global _asked, _said
    _asked, _said = (None, 0, ""), None
    if _on_beat in live.on_beat:
        live.on_beat.remove(_on_beat)
