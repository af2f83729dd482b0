"""One live session: Blender's heartbeat between viewport, loop and Image Editor. Imports bpy.

Everything happens in one timer on Blender's main thread, and nothing in it waits.
"""

from __future__ import annotations

import dataclasses
import time
import traceback
import zlib
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

import bpy

from .. import __version__
from ..live import FAILED, LIVE, STOPPED, Address, LiveLoop, Want, failures
from ..live.failures import Problem
from ..wire import Frame, Picture, ProtocolError, Request, Style
from . import changes
from .capture import Capturer, Draft, View, ensure_gpu
from .display import Display, open_editor
from .preferences import preferences
from .properties import picture_size, style_of
from .server_process import ServerProcess, given_address, given_python
from .shown import Shown
from .viewports import Followed, Viewport

IDLE_SECONDS = 0.25
"""Pause of the heartbeat while there is nothing to follow: no 3D View, or a render under way."""
STOPPED_SENTENCE = "Live is stopped."
PAUSED_SENTENCE = "Live is paused."

paused = False
"""May be set by anyone at any time: nothing is captured or sent then, and the connection is kept."""
on_picture: list[Callable[[Shown], None]] = []
"""Called on the main thread with each picture as it is shown. One that raises is taken out."""

_session: Session | None = None
_last: dict[str, Any] = {}
_newest: Shown | None = None
_ended_by: Problem | None = None


class Session:
    """From start to stop."""

    def __init__(self, followed: Followed, address: Address | None, process: ServerProcess | None) -> None:
        client = f"draftglass-blender {__version__}, Blender {bpy.app.version_string}"
        self._client = client
        self.loop = LiveLoop(address, client) if address is not None else None
        self.process = process
        self.trouble = ""
        self.pictures_shown = 0
        self._followed = followed
        self._capturer = Capturer()
        self._display = Display()
        self._requests: dict[int, Request] = {}  # of frames under way
        self._sent: tuple[int, Hashable] | None = None  # what the last frame sent looked like, and its key
        self._same: tuple[Hashable, Hashable] | None = None  # a key whose capture equals that of an older key
        self._ticks: deque[float] = deque(maxlen=300)
        self._longest_tick = 0.0
        self._drew = 0.0
        self._opened_for = -1
        changes.watch()

    def beat(self) -> float:
        """One heartbeat. Returns seconds until the next."""
        begun = time.perf_counter()
        self._drew = 0.0
        pause = self._beat()
        milliseconds = (time.perf_counter() - begun) * 1000 - self._drew
        self._ticks.append(milliseconds)
        self._longest_tick = max(self._longest_tick, milliseconds)
        return pause

    def stop(self) -> None:
        """End at once; the last picture stays."""
        changes.unwatch()
        if self.loop is not None:
            self.loop.stop()
        if self.process is not None:
            self.process.stop()
        self._display.close()
        self._capturer.free()

    def stats(self) -> dict[str, Any]:
        """Counts, times in milliseconds, and the state in words; plain values."""
        ordered = sorted(self._ticks) or [0.0]
        values: dict[str, Any] = {"state": self.state, "sentence": self.sentence, "pictures_shown": self.pictures_shown}
        if self.loop is not None:
            values = {**self.loop.statistics.snapshot(), **values}
        values |= {
            "tick_ms_p50": ordered[len(ordered) // 2],
            "tick_ms_max_outside_draw": self._longest_tick,
        }
        for name in ("frames_sent", "dropped", "fps"):
            values.setdefault(name, 0)
        return values

    @property
    def state(self) -> str:
        """One of ``addon.live.STATES``, ``paused``, or ``starting`` while our own server process comes up."""
        if self.process is not None and self.process.failure:
            return FAILED
        if self.loop is not None:
            return "paused" if paused and self.loop.state == LIVE else self.loop.state
        return "starting"

    @property
    def sentence(self) -> str:
        """The state in words."""
        if self.loop is None:
            return (self.process.failure if self.process else "") or "Starting the server."
        if self.process is not None and self.process.problem is not None:
            return self.process.problem.sentence
        return PAUSED_SENTENCE if self.state == "paused" else self.trouble or self.loop.sentence

    @property
    def problem(self) -> Problem | None:
        """What fails now, with its remedy and buttons."""
        if self.process is not None and self.process.problem is not None:
            return self.process.problem
        if self.trouble:
            return Problem("no_capture", self.trouble)
        return self.loop.problem if self.loop is not None else None

    def _beat(self) -> float:
        if self.process is not None:
            address = self.process.poll()
            if self.loop is None:
                if address is None:
                    return IDLE_SECONDS
                self.loop = LiveLoop(address, self._client)
            elif address is not None:
                self.loop.address = address  # another one after a restart
        assert self.loop is not None
        viewport = None if paused or bpy.app.is_job_running("RENDER") else self._followed.find()
        if viewport is not None and self._opened_for != changes.loads():
            self._opened_for = changes.loads()
            style = _style(viewport)
            open_editor(viewport.window, viewport.area, style.width, style.height)
            return 0.0  # the split has changed the areas: look again
        key = None if viewport is None else self._key(viewport)
        want = self.loop.poll(key)
        if want is not None and viewport is not None:
            self._answer(want, viewport, key)
        picture = self.loop.take_picture()
        if picture is not None:
            began = time.perf_counter()
            self._display.show(picture.image)
            if picture.settle:
                self._display.keep()
            self.pictures_shown += 1
            self._tell(picture)
            self.loop.statistics.add("display", (time.perf_counter() - began) * 1000)
            _redraw_panels()
        return self.loop.pause if viewport is not None else IDLE_SECONDS

    def _tell(self, picture: Picture) -> None:
        """Hand the picture to those who asked for it. One that fails is left out from then on, and live goes on."""
        global _newest
        request = self._requests.get(picture.id)
        self._requests = {number: kept for number, kept in self._requests.items() if number > picture.id}
        if request is None or self.loop is None:
            return
        _newest = Shown(picture.image, request, picture.model, self.loop.server, time.time(), picture.timings)
        for callback in tuple(on_picture):
            try:
                callback(_newest)
            except Exception:
                on_picture.remove(callback)
                traceback.print_exc()

    def _key(self, viewport: Viewport) -> Hashable:
        settings = viewport.scene.draftglass
        assert self.loop is not None
        self.loop.settle = settings.settle
        key = (changes.view_key(viewport), _style(viewport))
        return self._same[1] if self._same is not None and self._same[0] == key else key

    def _answer(self, want: Want, viewport: Viewport, key: Hashable) -> None:
        """Capture the view and send it; or, when it looks as it did in the last frame sent, take it for that one."""
        assert self.loop is not None
        style = _style(viewport)
        try:
            ensure_gpu()
            draft = self._capturer.draw(_view(viewport), style.width, style.height, bool(style.controls))
        except (RuntimeError, SystemError) as error:
            self.trouble = failures.problem("no_capture", reason=str(error)).sentence
            return
        self._drew = draft.draw_ms
        self.loop.statistics.add("draw", draft.draw_ms)
        self.loop.statistics.add("read", draft.read_ms)
        look = _checksum(draft, style)
        if not want.settle and self._sent is not None and self._sent[0] == look:
            self._same = (key, self._sent[1])
            return
        if want.settle:
            style = dataclasses.replace(style, steps=max(style.steps, viewport.scene.draftglass.settle_steps))
        frame = Frame(
            want.id, draft.image, draft.inverse_depth, draft.near, draft.view, draft.projection, time.perf_counter()
        )
        try:
            request = Request(frame, style, want.settle)
            self.loop.send(request)
        except ProtocolError as error:
            self.trouble = str(error)
            return
        self.trouble = ""
        self._requests[want.id] = request
        self._sent, self._same = (look, key), None


def start(context: bpy.types.Context) -> None:
    """Start following the 3D View of ``context``, or the largest one. Raises AddressError with a sentence."""
    global _session, _ended_by
    stop()
    _ended_by = None
    address, process = _server()
    _session = Session(Followed(context.area, context.region), address, process)
    if not bpy.app.timers.is_registered(_heartbeat):
        bpy.app.timers.register(_heartbeat, first_interval=0.0, persistent=True)


def stop() -> None:
    """Stop at once: nothing is sent or drawn any more, timer and handlers are gone."""
    global _session, _last
    if bpy.app.timers.is_registered(_heartbeat):
        bpy.app.timers.unregister(_heartbeat)
    if _session is not None:
        session, _session = _session, None
        _last = session.stats() | {"fps": 0.0}
        session.stop()
        _redraw_panels()


def is_running() -> bool:
    """Whether live is on."""
    return _session is not None


def process() -> ServerProcess | None:
    """The server that the running session started itself; None where it has none."""
    return _session.process if _session is not None else None


def problem() -> Problem | None:
    """What fails now, or made the last session end."""
    return _session.problem if _session is not None else _ended_by


def running() -> bool:
    """Whether live is on."""
    return _session is not None


def state() -> str:
    """``stopped``, ``paused``, ``starting``, or one of the loop's (``addon.live.STATES``)."""
    return _session.state if _session is not None else STOPPED


def sentence() -> str:
    """The state in words."""
    return _session.sentence if _session is not None else STOPPED_SENTENCE


def loop() -> LiveLoop | None:
    """The loop of the running session, once it has a server to talk to."""
    return _session.loop if _session is not None else None


def picture() -> Shown | None:
    """The newest picture of this Blender session, also after live was stopped."""
    return _newest


def tick() -> float | None:
    """One heartbeat by hand, for where Blender's timers don't fire (the bpy module)."""
    return _heartbeat()


def stats() -> dict[str, Any]:
    """The running session's statistics, or the last one's with the state ``stopped``."""
    if _session is not None:
        return _session.stats()
    empty = {"frames_sent": 0, "pictures_shown": 0, "dropped": 0, "fps": 0.0}
    return {**empty, **_last, "state": STOPPED, "sentence": STOPPED_SENTENCE}


def _heartbeat() -> float | None:
    global _ended_by
    if _session is None:
        return None
    try:
        return _session.beat()
    except Exception as error:
        stop()  # rather no live than an error sixty times a second; Blender prints this one
        _ended_by = failures.problem("internal", reason=f"{type(error).__name__}: {error}")
        raise


def _server() -> tuple[Address | None, ServerProcess | None]:
    chosen = preferences()
    address = given_address(chosen)
    return (address, None) if address is not None else (None, ServerProcess(given_python(chosen)))


def _style(viewport: Viewport) -> Style:
    settings = viewport.scene.draftglass
    return style_of(settings, picture_size(settings.size, viewport.region.width, viewport.region.height))


def _view(viewport: Viewport) -> View:
    return View(
        viewport.scene,
        viewport.view_layer,
        viewport.space,
        viewport.region,
        viewport.view.view_matrix.copy(),
        viewport.view.window_matrix.copy(),
    )


def _checksum(draft: Draft, style: Style) -> int:
    total = zlib.crc32(draft.image)
    if draft.inverse_depth is not None:
        total = zlib.crc32(draft.inverse_depth, total)
    return hash((total, style, draft.view, draft.projection))


def _redraw_panels() -> None:
    """Let the sidebars show the new state; only the sidebars, or each picture would redraw the viewport."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager is not None else ():
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "IMAGE_EDITOR"}:
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
