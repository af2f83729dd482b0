"""When to capture the next frame: just in time, and within the budget. Standard library only; no bpy, no clock, no I/O.

At most two frames are under way. The first is asked for as soon as the view has changed. The second is asked for
only when the engine is about to finish the first, or when the picture comes, so that what the engine draws next
is (nearly) the newest view and no capture is made in vain. A view at rest gets one settle frame; then nothing is
sent until something changes. Times are seconds of any one clock, given as arguments.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field

from .budget import Budget

MOST_UNDER_WAY = 2
WINDOW = 8
"""Frames that the prediction looks back on."""
MARGIN = 0.004
"""Seconds that a frame should lie at the server before its turn, against small delays."""
LONGEST_BEAT = 0.1
"""A pause between two heartbeats longer than this was a hitch and says nothing about the next."""
USUAL_WIRE, LONGEST_WIRE = 0.008, 0.25
"""Seconds both ways between add-on and engine: assumed before one was measured, and believed at most."""
AGAIN_AFTER = 0.25
"""Seconds until a frame that the server dropped for no newer one is asked for again."""


@dataclass(frozen=True)
class Want:
    """Capture the view now and send it as frame ``id``; ``settle`` asks for the better picture of a view at rest.

    ``must_send``: even if it looks just as it did in the last frame, whose picture was lost or is another model's.
    """

    id: int
    settle: bool = False
    must_send: bool = field(default=True, compare=False)


@dataclass
class _UnderWay:
    id: int
    key: Hashable
    settle: bool
    sent: float
    alone: bool
    """Whether no other frame was under way when this one was sent."""


class Pace:
    """Decides, heartbeat by heartbeat, whether a frame should be captured. ``rest``: stillness before the settle frame.

    Ids grow by one with each frame that is sent, over the whole life, reconnections included.
    """

    def __init__(self, rest: float = 0.3, budget: Budget | None = None) -> None:
        """``budget``: how much of the caller's time captures may take; without one, as much as they do."""
        self.rest = rest
        self._budget = budget
        self.credits = MOST_UNDER_WAY
        self._newest_sent = 0
        self._key: Hashable = None
        self._changed = 0.0
        self._sent_key: Hashable = None
        self._settled_key: Hashable = None
        self._failed_key: Hashable = None
        self._not_before = 0.0
        self._want: tuple[Want, Hashable, float] | None = None
        self._under_way: dict[int, _UnderWay] = {}
        self._answered = 0.0
        self._last_ask: float | None = None
        self._beats: deque[float] = deque(maxlen=WINDOW)
        self._captures: deque[float] = deque(maxlen=WINDOW)
        self._wire: float | None = None
        self._waits: deque[float] = deque(maxlen=WINDOW)
        self._services: dict[bool, deque[float]] = {kind: deque(maxlen=WINDOW) for kind in (False, True)}

    @property
    def under_way(self) -> int:
        """Frames sent and not yet answered."""
        return len(self._under_way)

    @property
    def ids(self) -> Collection[int]:
        """The ids of the frames under way."""
        return self._under_way.keys()

    @property
    def newest(self) -> int | None:
        """The id of the newest frame under way."""
        return max(self._under_way, default=None)

    def ask(self, now: float, key: Hashable, settle: bool = True, can_send: bool = True) -> Want | None:
        """One heartbeat: the frame to capture now, or None. ``key``: what the picture depends on; None for no view.

        A Want that was not sent before the next call is void. ``settle``: whether settle frames are wanted.
        ``can_send``: whether one could be captured now, and a server would take it.
        """
        if self._budget is not None:
            self._budget.see(now, key)
        if not can_send:
            return None
        if self._last_ask is not None and now - self._last_ask <= LONGEST_BEAT:
            self._beats.append(now - self._last_ask)
        self._last_ask = now
        self._want = None
        if key != self._key:
            self._key, self._changed = key, now
        if key is None or now < self._not_before or (self._budget is not None and not self._budget.allows(now)):
            return None
        if key == self._sent_key:
            if settle and self._is_settle_due(now):
                return self._give(now, True)
            return None
        if settle and key == self._settled_key:  # only after a reconnection: the settled picture is still on show
            return self._give(now, True) if not self._under_way else None
        return self._give(now, False) if self._is_turn(now) else None

    def sent(self, now: float, frame_id: int, settle: bool = False) -> float:
        """The frame of the last Want is on its way: when that was asked for. Raises ValueError for another frame."""
        if self._want is None or self._want[0].id != frame_id:
            wanted = "none" if self._want is None else str(self._want[0].id)
            raise ValueError(f"frame id is {frame_id}, but the frame wanted now is {wanted}")
        if settle != self._want[0].settle:
            raise ValueError(f"settle is {settle}, but the frame wanted now has {self._want[0].settle}")
        (want, key, asked), self._want = self._want, None
        self._captures.append(now - asked)
        self._under_way[frame_id] = _UnderWay(frame_id, key, want.settle, now, not self._under_way)
        self._newest_sent, self._sent_key = frame_id, key
        self._settled_key = key if want.settle else None
        self._failed_key = None
        return asked

    def answered(self, now: float, frame_id: int, engine: float | None = None, waited: float = 0.0) -> bool:
        """The frame has its picture. Returns False for a frame that is not under way.

        ``engine``, ``waited``: seconds that it spent in the engine, if known, and waiting for it.
        """
        frame = self._under_way.pop(frame_id, None)
        if frame is None:
            return False
        service = now - max(frame.sent, self._answered)
        self._services[frame.settle].append(service)
        if engine is not None:
            self._measure_wire(waited, service - waited - engine if frame.alone else None)
        self._answered = now
        return True

    def dropped(self, now: float, frame_id: int) -> bool:
        """The server dropped the frame for a newer one. False for a frame not known."""
        frame = self._under_way.pop(frame_id, None)
        if frame is not None and frame_id == self._newest_sent:
            # There is no newer one. Ask again, but not so fast that a confused server keeps us busy.
            self._forget_sent(frame)
            self._not_before = now + AGAIN_AFTER
        return frame is not None

    def failed(self, now: float, frame_id: int) -> bool:
        """The frame failed: the same view is not sent again before it changes. False for a frame not known."""
        frame = self._under_way.pop(frame_id, None)
        if frame is None:
            return False
        self._answered = now
        if frame.settle:
            self._settled_key = None
        if frame.key == self._sent_key:
            self._failed_key = frame.key  # more steps would fail too
        return True

    def retry(self) -> None:
        """Let the newest view be asked for again although it was sent: what hindered its picture is gone."""
        self._sent_key = self._settled_key = self._failed_key = None

    def forget(self) -> None:
        """The connection is gone, and the frames under way with it; the newest view will be asked for again."""
        for frame in self._under_way.values():
            self._forget_sent(frame)
        self._under_way.clear()
        self._want = None
        self._sent_key = self._failed_key = None
        self._not_before = 0.0
        self.credits = MOST_UNDER_WAY
        self._wire = None
        self._waits.clear()
        for services in self._services.values():
            services.clear()

    def _forget_sent(self, frame: _UnderWay) -> None:
        if frame.key == self._sent_key:
            self._sent_key = None
        if frame.settle and frame.key == self._settled_key:
            self._settled_key = None

    def _give(self, now: float, settle: bool) -> Want:
        want = Want(self._newest_sent + 1, settle, settle or self._sent_key is None)
        self._want = (want, self._key, now)
        return want

    def _is_settle_due(self, now: float) -> bool:
        done = self._key in (self._settled_key, self._failed_key)
        return not done and not self._under_way and now - self._changed >= self.rest

    def _measure_wire(self, waited: float, seconds: float | None) -> None:
        """Learn what the wire takes: ``seconds``, measured on a frame alone under way, None for one that was not.

        A frame is alone when the lead was too short. While none is, it may be too long: then even the frame that
        ``waited`` shortest for the engine was there early. So one bad measurement does no harm for long.
        """
        if seconds is not None:
            seconds = min(max(0.0, seconds), LONGEST_WIRE)
            self._wire = seconds if self._wire is None else (self._wire + seconds) / 2
            self._waits.clear()
            return
        self._waits.append(waited)
        if self._wire is not None and len(self._waits) == WINDOW:
            self._wire = max(0.0, self._wire - max(0.0, min(self._waits) - MARGIN) / 2)
            self._waits.clear()

    def _is_turn(self, now: float) -> bool:
        if not self._under_way:
            return True
        if len(self._under_way) >= min(self.credits, MOST_UNDER_WAY):
            return False
        (frame,) = self._under_way.values()
        services = self._services[frame.settle]
        if not services:
            return False  # nothing to predict from: wait for the picture
        # Rather a little early than late: an idle engine costs frames, an early capture costs milliseconds of age.
        service = min(services) if len(services) < 4 else sorted(services)[len(services) // 4]
        finish = max(frame.sent, self._answered) + service
        return now + self.lead >= finish

    @property
    def lead(self) -> float:
        """Seconds before the engine's predicted end at which the next frame must be asked for.

        One heartbeat, as the next chance to ask is that far off; the capture; the wire; a margin.
        """
        wire = USUAL_WIRE if self._wire is None else self._wire
        return _median(self._beats) + _median(self._captures) + wire + MARGIN


def _median(values: deque[float]) -> float:
    return statistics.median(values) if values else 0.0
