"""One live session: Blender's heartbeat between viewport, loop and Image Editor. Imports bpy.

Everything happens in one timer on Blender's main thread, and nothing in it waits.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...live import Address, LiveLoop
from ...live.budget import OWN_SHARE, SHARE, Budget
from ...live.shown import ShownPicture
from ...problems import LiveState, Problem, Report
from ...problems.connection import Paused, Rendering, StartingServer
from ...problems.viewport import NoViewport
from ...problems.words import sentence
from ...version import VERSION
from ...wire import Picture, Request
from ..capture import changes
from ..capture.drafts import Drafts
from ..capture.framing import size_of
from ..capture.jobs import is_drawing, is_rendering
from ..capture.painted_images import Textures
from ..capture.spaces import is_local, release
from ..capture.viewports import Followed, Viewport, is_busy, redraw_panels
from ..capture.windows import Windows
from ..display.editors import open_editor
from ..display.live_view import Display
from ..server.process import ManagedServer
from .memory import Memory

IDLE_SECONDS = 0.25
"""Pause of the heartbeat while there is nothing to follow: no 3D View, or a render under way."""
PANEL_SECONDS = 0.5
"""Between two redraws of the sidebars for numbers alone."""
REST_SECONDS = 1.0
"""Since the last capture, after which a view that rests is believed to stay as it is."""


class LiveSession:
    """From start to stop."""

    def __init__(
        self,
        followed: Followed,
        address: Address | None,
        process: ManagedServer | None,
        tell: Callable[[ShownPicture], None],
    ) -> None:
        client = f"draftglass-blender {VERSION}, Blender {bpy.app.version_string}"
        self._client = client
        self._budget = Budget()
        self.loop = self._new_loop(address) if address is not None else None
        self.process = process
        self.pictures_shown = 0
        self.region = 0
        """The address of the region followed at the last heartbeat."""
        self.followed = followed
        self._memory = Memory()
        self._drafts = Drafts(self._memory.over)
        self._display = Display()
        self._tell = tell
        self._hold: Paused | Rendering | NoViewport | None = None  # why nothing is followed now
        self._panels: tuple[object, float] = (None, 0.0)  # what the sidebars show, and since when
        self._ticks: deque[float] = deque(maxlen=300)
        self._longest_tick = 0.0
        self._opened_for = -1
        self._undos = changes.undos()
        self._windows = Windows()
        self._textures = Textures()
        changes.watch()

    def beat(self, paused: bool = False) -> float:
        """One heartbeat. Returns seconds until the next. ``paused``: nothing is captured or sent."""
        begun = time.perf_counter()
        self._drafts.took = {}
        changes.watch()  # other add-ons empty Blender's lists of handlers at times
        pause = self._beat(paused)
        milliseconds = (time.perf_counter() - begun) * 1000 - self._drafts.took.get("draw", 0.0)
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
        self._textures.close()
        self._display.close()
        self._drafts.free()
        self._memory.free()

    def stats(self) -> dict[str, Any]:
        """Counts, times in milliseconds, and the state in words; plain values."""
        ordered = sorted(self._ticks) or [0.0]
        values: dict[str, Any] = {"state": self.state.value, "sentence": sentence(self.report)}
        values["pictures_shown"] = self.pictures_shown
        if self.loop is not None:
            values = {**self.loop.statistics.snapshot(), **values}
        values |= {"tick_ms_p50": ordered[len(ordered) // 2], "tick_ms_max_outside_draw": self._longest_tick}
        for name in ("frames_sent", "dropped", "fps"):
            values.setdefault(name, 0)
        return values

    @property
    def state(self) -> LiveState:
        """What live is doing."""
        if self.process is not None and self.process.has_failed:
            return LiveState.FAILED
        if self.loop is None or self._starts:
            return LiveState.STARTING
        is_paused = isinstance(self._hold, Paused) and self.loop.state is LiveState.LIVE
        return LiveState.PAUSED if is_paused else self.loop.state

    @property
    def report(self) -> Report:
        """What there is to tell now: a problem, or what is going on."""
        if self.process is not None and self.process.problem is not None and (self.loop or self.process.has_failed):
            return self.process.problem
        if self.loop is None or self._starts:
            return StartingServer()
        held = self._hold if self.loop.state is LiveState.LIVE else None
        return held or self._drafts.trouble or self.loop.report

    @property
    def problem(self) -> Problem | None:
        """What fails now."""
        if self.process is not None and self.process.problem is not None:
            return self.process.problem
        if self._drafts.trouble is not None:
            return self._drafts.trouble
        if isinstance(self._hold, NoViewport):
            return self._hold
        return self.loop.problem if self.loop is not None else None

    @property
    def moving(self) -> bool:
        """Whether the view changes now, so that each redraw of anything is taken from the viewport."""
        return not self._budget.rests(time.perf_counter())

    @property
    def under_way(self) -> Request | None:
        """The newest request whose picture is still to come."""
        return self._drafts.newest if self.loop is not None and self.loop.under_way else None

    @property
    def behind(self) -> bool:
        """Whether the view has changed since the last frame sent."""
        return self._drafts.behind

    def show_picture(self) -> None:
        """Open an Image Editor for the picture on the screen that is shown now, at the next heartbeat."""
        self._opened_for = -1

    def show(self, image: NDArray[np.uint8]) -> None:
        """Show a picture that live did not ask for, such as one of a view that is being stuck (uint8, H x W x 3)."""
        self._display.show(image)

    @property
    def stuck(self) -> bool:
        """Whether the view as it is now gives no frame; ``problem`` says why."""
        return self._drafts.trouble is not None

    @property
    def _starts(self) -> bool:
        return self.process is not None and self.process.starts

    def _beat(self, paused: bool) -> float:
        if self.process is not None:
            address = self.process.poll()
            if self.loop is None:
                if address is None:
                    self._show_state(False)
                    return IDLE_SECONDS
                self.loop = self._new_loop(address)
            elif address is not None:
                self.loop.address = address  # another one after a restart
            self.loop.absent = address is None
        assert self.loop is not None
        if self._windows.changed():
            return IDLE_SECONDS
        if self._windows.take_closed():
            self._drafts.free()
            self._memory.free()
        viewport = self._viewport(paused)
        if viewport is not None and self._opened_for != changes.loads() and not is_busy(viewport.window):
            if self._open_editor(viewport):
                return 0.0  # the split has changed the areas: look again
        self._give_back(viewport)
        if self._undos != changes.undos():
            self._undos = changes.undos()
            self._display.mend()
        key = None
        if viewport is not None:
            self.loop.settle = viewport.scene.draftglass.settle
            self.region = viewport.region.as_pointer()
            key = self._drafts.see(viewport)
            self._budget.share = OWN_SHARE if is_local(viewport.space) else SHARE
        began = time.perf_counter()
        if key is not None and self._budget.rests(began) and self._textures.changed():
            changes.count_edit()
        want = self.loop.poll(key, can_capture=not is_drawing())
        if self.process is not None:  # once what had come is read
            self.process.watch(self.loop.unanswered > 0, self.loop.state is LiveState.LOADING)
        if want is not None and viewport is not None:
            request = self._drafts.request(want, viewport, key, self.loop.newest)
            if request is not None:
                self.loop.send(request, self._drafts.took)
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
            self.loop.shown()
        self._drafts.forget_all_but(self.loop.under_way)
        self._show_state(picture is not None)
        return self.loop.pause if viewport is not None else IDLE_SECONDS

    def _new_loop(self, address: Address) -> LiveLoop:
        return LiveLoop(address, self._client, budget=self._budget)

    def _open_editor(self, viewport: Viewport) -> bool:
        """Have the picture seen beside the viewport; False where that must wait."""
        place = list(viewport.area.regions).index(viewport.region)
        area = open_editor(viewport.window, viewport.area, *size_of(viewport, at_rest=True))
        if area is None:
            return False
        self.followed.move(area, area.regions[place])
        self._opened_for = changes.loads()
        return True

    def _give_back(self, viewport: Viewport | None) -> None:
        """Leave the file as a person would have it saved, once the view has rested for a while or live waits.

        What is changed in other 3D Views for the captures is undone; in those that come to be shown, at once. Blender
        saves by itself from time to time, and tells nobody before.
        """
        assert self.loop is not None
        switched, now = self._windows.switched(), time.perf_counter()
        rests = self._budget.rests(now) and now - self._drafts.drawn > REST_SECONDS and not self.loop.under_way
        if viewport is None or self.loop.state is not LiveState.LIVE or rests:
            release()
            if not isinstance(self._hold, Rendering):  # which may read the Image
                self._display.tidy()
        elif switched:
            release(shown_only=True)

    def _viewport(self, paused: bool) -> Viewport | None:
        """What to follow now, or None, and then why."""
        rendering = is_rendering()
        viewport = None if paused or rendering else self.followed.find()
        self._hold = Paused() if paused else Rendering() if rendering else NoViewport() if viewport is None else None
        return viewport

    def _show_state(self, moved: bool) -> None:
        """Let the sidebars show a new state at once, and new numbers now and then: drawing them costs milliseconds."""
        now, shown = time.perf_counter(), (self.state, self.report)
        if shown != self._panels[0] or (moved and now - self._panels[1] >= PANEL_SECONDS):
            self._panels = shown, now
            redraw_panels()

    def _hand_on(self, picture: Picture) -> None:
        """Say which picture is on show now, and what it was made from."""
        asked = self._drafts.asked.get(picture.id)
        if asked is not None and self.loop is not None:
            request, origin = asked
            server = self.loop.server
            shown = ShownPicture(picture.image, request, picture.model, server, time.time(), picture.timings, origin)
            self._tell(shown)
