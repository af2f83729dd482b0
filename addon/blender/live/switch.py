"""Live's switch, and what others may know of it: one session at a time, driven by one timer. Imports bpy."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import bpy

from ...live import Address, LiveLoop
from ...live.shown import ShownPicture
from ...problems import LiveState, Problem, words
from ...problems.connection import Stopped
from ...problems.errors import AddressError
from ...problems.viewport import LiveCrashed
from ..capture.viewports import Followed, redraw_panels
from ..preferences import preferences, server_arguments
from ..server.process import ManagedServer, given_address, given_python
from .session import LiveSession

paused = False
"""May be set by anyone at any time: nothing is captured or sent then, and the connection is kept."""
on_picture: list[Callable[[ShownPicture], None]] = []
"""Called on the main thread with each picture as it is shown. One that raises is taken out."""

on_beat: list[Callable[[], None]] = []
"""Called on the main thread after each heartbeat, and once more when live has stopped. One that raises is taken out."""

_session: LiveSession | None = None
_last: dict[str, Any] = {}
_newest: ShownPicture | None = None
_ended_by: Problem | None = None
_redraw: Any = None
"""The draw handler that waits for Blender's own redraw; None: nothing is waited for."""
_redrawn = False


def start(context: bpy.types.Context) -> None:
    """Start following the 3D View of ``context``, or the largest one. Raises AddressError."""
    global _session, _ended_by, paused
    stop()
    _ended_by, paused = None, False
    address, process = server()
    _session = LiveSession(Followed(context.area, context.region), address, process, _tell)
    if not bpy.app.timers.is_registered(_heartbeat):
        bpy.app.timers.register(_heartbeat, first_interval=0.0, persistent=True)


def stop() -> None:
    """Stop at once: nothing is sent or drawn any more, timer and handlers are gone."""
    global _session, _last
    if bpy.app.timers.is_registered(_heartbeat):
        bpy.app.timers.unregister(_heartbeat)
    _stop_waiting()
    if _session is not None:
        ended, _session = _session, None
        _last = ended.stats() | {"fps": 0.0}
        try:
            ended.stop()
        finally:  # whatever that meets, live is off, and what shows it hears of it
            redraw_panels()
            _call(on_beat)


def take_address() -> None:
    """Use the server's address and token as the preferences have them now, from the next attempt to connect on."""
    loop = _session.loop if _session is not None and _session.process is None else None
    if loop is None:
        return
    try:
        address = given_address(preferences())
    except AddressError:
        return  # half of it may be typed by now
    if address is not None:
        loop.address = address


def is_running() -> bool:
    """Whether live is on."""
    return _session is not None


def process() -> ManagedServer | None:
    """The server that the running session started itself; None where it has none."""
    return _session.process if _session is not None else None


def problem() -> Problem | None:
    """What fails now, or made the last session end."""
    return _session.problem if _session is not None else _ended_by


running = is_running


def state() -> LiveState:
    """What live is doing."""
    return _session.state if _session is not None else LiveState.STOPPED


def sentence() -> str:
    """The state in words."""
    return words.sentence(_session.report if _session is not None else Stopped())


def loop() -> LiveLoop | None:
    """The loop of the running session, once it has a server to talk to."""
    return _session.loop if _session is not None else None


def picture() -> ShownPicture | None:
    """The newest picture of this Blender session, also after live was stopped."""
    return _newest


def session() -> LiveSession | None:
    """The running session."""
    return _session


def tick() -> float | None:
    """One heartbeat by hand, for where Blender's timers don't fire (the bpy module)."""
    return _heartbeat()


def stats() -> dict[str, Any]:
    """The running session's statistics, or the last one's with the state ``stopped``."""
    if _session is not None:
        return _session.stats()
    empty = {"frames_sent": 0, "pictures_shown": 0, "dropped": 0, "fps": 0.0}
    return {**empty, **_last, "state": LiveState.STOPPED.value, "sentence": words.sentence(Stopped())}


def after_redraw() -> None:
    """Capture nothing until Blender itself has drawn a 3D View: to be called when its images were made anew.

    Blender 5.2 may crash where such an image is drawn off the screen before it was drawn on it.
    """
    global _redraw, _redrawn
    if _session is not None and _redraw is None and not bpy.app.background:
        _redrawn = False
        _redraw = bpy.types.SpaceView3D.draw_handler_add(_on_redraw, (), "WINDOW", "POST_PIXEL")


def _stop_waiting() -> None:
    global _redraw
    if _redraw is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_redraw, "WINDOW")
        _redraw = None


def _on_redraw() -> None:
    global _redrawn
    _redrawn = True


def _heartbeat() -> float | None:
    global _ended_by
    if _redrawn:
        _stop_waiting()
    if _session is None:
        return None
    try:
        pause = _session.beat(paused or _redraw is not None)
    except Exception as error:
        stop()  # rather no live than an error sixty times a second; Blender prints this one
        _ended_by = LiveCrashed(f"{type(error).__name__}: {error}")
        raise
    _call(on_beat)
    return pause


def _tell(shown: ShownPicture) -> None:
    """Hand the picture to those who asked for it. One that fails is left out from then on, and live goes on."""
    global _newest
    _newest = shown
    _call(on_picture, shown)


def _call(callbacks: list[Callable[..., None]], *values: Any) -> None:
    for callback in tuple(callbacks):
        try:
            callback(*values)
        except Exception:
            callbacks.remove(callback)
            traceback.print_exc()


def server() -> tuple[Address | None, ManagedServer | None]:
    """The server that the preferences name, or else one of our own. Raises AddressError."""
    chosen = preferences()
    address = given_address(chosen)
    return (
        (address, None)
        if address is not None
        else (None, ManagedServer(given_python(chosen), server_arguments(chosen)))
    )
