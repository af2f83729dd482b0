"""One live session: Blender's heartbeat between viewport, loop and Image Editor. Imports bpy.

Everything happens in one timer on Blender's main thread, and nothing in it waits.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

import bpy

from .. import __version__
from ..live import FAILED, LIVE, Address, LiveLoop, Want, failures
from ..live.errors import written
from ..live.failures import Problem
from ..wire import Frame, Picture, ProtocolError, Request, Style
from . import changes
from .budget import Budget
from .capture import Capturer, Draft, View, ensure_gpu
from .display import Display, open_editor
from .framing import projection_of, size_of
from .origin import origin_of
from .properties import style_of
from .server_process import ServerProcess
from .shown import Origin, Shown
from .spaces import release
from .viewports import Followed, Viewport, is_busy, redraw_panels
from .windows import Windows

IDLE_SECONDS = 0.25
"""Pause of the heartbeat while there is nothing to follow: no 3D View, or a render under way."""
PANEL_SECONDS = 0.5
"""Between two redraws of the sidebars for numbers alone."""
PAUSED_SENTENCE = "Live is paused."
RENDERING_SENTENCE = "Blender renders; live goes on after that."
NO_VIEW_SENTENCE = failures.problem("no_viewport").sentence


class Session:
    """From start to stop."""

    def __init__(
        self, followed: Followed, address: Address | None, process: ServerProcess | None, tell: Callable[[Shown], None]
    ) -> None:
        client = f"draftglass-blender {__version__}, Blender {bpy.app.version_string}"
        self._client = client
        self.loop = LiveLoop(address, client) if address is not None else None
        self.process = process
        self.trouble = self._trouble_code = ""
        self.pictures_shown = 0
        self.region = 0
        """The address of the region followed at the last heartbeat."""
        self.behind = False
        """Whether the view has changed since the last frame sent."""
        self.followed = followed
        self._capturer = Capturer()
        self._display = Display()
        self._tell = tell
        self._budget = Budget()
        self._no_style = False  # whether the settings make no request, and trouble says why
        self._hold = ""  # why nothing is followed now
        self._asked: dict[int, tuple[Request, Origin]] = {}  # of frames under way
        self._panels: tuple[str, float] = ("", 0.0)  # what the sidebars show, and since when
        self._sent: tuple[Draft, Style, Hashable] | None = None  # the last frame sent, and its key
        self._same: tuple[Hashable, Hashable] | None = None  # a key whose capture equals that of an older key
        self._ticks: deque[float] = deque(maxlen=300)
        self._longest_tick = 0.0
        self._drew = 0.0
        self._opened_for = -1
        self._undos = changes.undos()
        self._windows = Windows()
        changes.watch()

    def beat(self, paused: bool = False) -> float:
        """One heartbeat. Returns seconds until the next. ``paused``: nothing is captured or sent."""
        begun = time.perf_counter()
        self._drew = 0.0
        changes.watch()  # other add-ons empty Blender's lists of handlers at times
        pause = self._beat(paused)
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
        values |= {"tick_ms_p50": ordered[len(ordered) // 2], "tick_ms_max_outside_draw": self._longest_tick}
        for name in ("frames_sent", "dropped", "fps"):
            values.setdefault(name, 0)
        return values

    @property
    def state(self) -> str:
        """One of ``addon.live.STATES``, ``paused``, or ``starting`` while our own server process comes up."""
        if self.process is not None and self.process.failure:
            return FAILED
        if self.loop is not None:
            return "paused" if self._hold == PAUSED_SENTENCE and self.loop.state == LIVE else self.loop.state
        return "starting"

    @property
    def sentence(self) -> str:
        """The state in words."""
        if self.loop is None:
            return (self.process.failure if self.process else "") or "Starting the server."
        if self.process is not None and self.process.problem is not None:
            return self.process.problem.sentence
        return (self._hold if self.loop.state == LIVE else "") or self.trouble or self.loop.sentence

    @property
    def problem(self) -> Problem | None:
        """What fails now, with its remedy and buttons."""
        if self.process is not None and self.process.problem is not None:
            return self.process.problem
        if self.trouble:
            return Problem(self._trouble_code, self.trouble)
        if self._hold == NO_VIEW_SENTENCE:
            return failures.problem("no_viewport")
        return self.loop.problem if self.loop is not None else None

    @property
    def moving(self) -> bool:
        """Whether the view changes now, so that each redraw of anything is taken from the viewport."""
        return not self._budget.rests(time.perf_counter())

    @property
    def under_way(self) -> Request | None:
        """The newest request whose picture is still to come."""
        if self.loop is None or not self.loop.under_way or not self._asked:
            return None
        return self._asked[max(self._asked)][0]

    def _beat(self, paused: bool) -> float:
        if self.process is not None:
            address = self.process.poll()
            if self.loop is None:
                if address is None:
                    self._show_state(False)
                    return IDLE_SECONDS
                self.loop = LiveLoop(address, self._client)
            elif address is not None:
                self.loop.address = address  # another one after a restart
        assert self.loop is not None
        if self._windows.changed():
            return IDLE_SECONDS
        if self._windows.take_closed():
            self._capturer.free()
        viewport = self._viewport(paused)
        if viewport is not None and self._opened_for != changes.loads() and not is_busy(viewport.window):
            width, height = size_of(viewport)
            if open_editor(viewport.window, viewport.area, width, height):
                self._opened_for = changes.loads()
                return 0.0  # the split has changed the areas: look again
        self._give_back(viewport)
        if self._undos != changes.undos():
            self._undos = changes.undos()
            self._display.mend()
        key = None if viewport is None else self._key(viewport)
        if viewport is not None:
            self.region = viewport.region.as_pointer()
            self.behind = self._sent is not None and key != self._sent[2]
        began = time.perf_counter()
        self._budget.see(began, key)
        want = self.loop.poll(key)
        if want is not None and viewport is not None and self._budget.allows(began):
            self._answer(want, viewport, key)
            self._budget.spent(began, time.perf_counter(), capture=True)
        picture = self.loop.take_picture()
        if picture is not None:
            began = time.perf_counter()
            self._display.show(picture.image)
            if picture.settle:
                self._display.keep()
            self.pictures_shown += 1
            self._hand_on(picture)
            ended = time.perf_counter()
            self._budget.spent(began, ended)
            self.loop.statistics.add("display", (ended - began) * 1000)
        self._forget_answered()
        self._show_state(picture is not None)
        return self.loop.pause if viewport is not None else IDLE_SECONDS

    def _give_back(self, viewport: Viewport | None) -> None:
        """Give other 3D Views back what was changed in them: those that come to be shown, and all while live waits."""
        switched = self._windows.switched()
        if viewport is None or (self.loop is not None and self.loop.state != LIVE):
            release()
        elif switched:
            release(shown_only=True)

    def _viewport(self, paused: bool) -> Viewport | None:
        """What to follow now, or None, and then why."""
        rendering = is_rendering()
        viewport = None if paused or rendering else self.followed.find()
        self._hold = PAUSED_SENTENCE if paused else RENDERING_SENTENCE if rendering else ""
        if viewport is None and not self._hold:
            self._hold = NO_VIEW_SENTENCE
        return viewport

    def _show_state(self, moved: bool) -> None:
        """Let the sidebars show a new state at once, and new numbers now and then: drawing them costs milliseconds."""
        now, said = time.perf_counter(), f"{self.state} {self.sentence}"
        if said != self._panels[0] or (moved and now - self._panels[1] >= PANEL_SECONDS):
            self._panels = said, now
            redraw_panels()

    def _hand_on(self, picture: Picture) -> None:
        """Say which picture is on show now, and what it was made from."""
        asked = self._asked.get(picture.id)
        if asked is not None and self.loop is not None:
            request, origin = asked
            server = self.loop.server
            self._tell(Shown(picture.image, request, picture.model, server, time.time(), picture.timings, origin))

    def _forget_answered(self) -> None:
        """Let go of frames that were refused or dropped: each holds its planes."""
        waiting = self.loop.under_way if self.loop is not None else ()
        self._asked = {number: kept for number, kept in self._asked.items() if number in waiting}

    def _key(self, viewport: Viewport) -> Hashable | None:
        """What the picture depends on; None where the settings make no request, which is said then."""
        assert self.loop is not None
        try:
            self.loop.settle = viewport.scene.draftglass.settle
            style = _style(viewport)
        except (ProtocolError, ValueError) as error:  # a text that Blender has cut within a letter is one, too
            self.trouble, self._trouble_code, self._no_style = written(str(error)), "bad_settings", True
            return None
        if self._no_style:
            self.trouble, self._no_style = "", False
        key = (changes.view_key(viewport), style)
        return self._same[1] if self._same is not None and self._same[0] == key else key

    def _answer(self, want: Want, viewport: Viewport, key: Hashable) -> None:
        """Capture the view and send it; or, when it looks as it did in the last frame sent, take it for that one."""
        assert self.loop is not None
        style = _style(viewport)
        try:
            ensure_gpu()
            draft = self._capturer.draw(_view(viewport), style.width, style.height, bool(style.controls))
        except (RuntimeError, SystemError) as error:
            self.trouble, self._trouble_code = failures.problem("no_capture", reason=str(error)).sentence, "no_capture"
            return
        self._drew = draft.draw_ms
        self.loop.statistics.add("draw", draft.draw_ms)
        self.loop.statistics.add("read", draft.read_ms)
        asked = style
        if not want.must_send and self._sent is not None and style == self._sent[1] and draft.is_like(self._sent[0]):
            self._same, self.behind = (key, self._sent[2]), False
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
            self.trouble, self._trouble_code = written(str(error)), "bad_settings"
            return
        self.trouble = ""
        self._asked[want.id] = request, origin_of(viewport)
        self._sent, self._same = (draft, asked, key), None


def is_rendering() -> bool:
    """Whether Blender renders or bakes in the background of its window."""
    return any(bpy.app.is_job_running(job) for job in ("RENDER", "OBJECT_BAKE"))


def _style(viewport: Viewport) -> Style:
    return style_of(viewport.scene.draftglass, size_of(viewport))


def _view(viewport: Viewport) -> View:
    matrix, projection = viewport.view.view_matrix.copy(), projection_of(viewport)
    return View(viewport.scene, viewport.view_layer, viewport.space, viewport.region, matrix, projection)
