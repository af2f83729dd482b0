"""A heartbeat, a wire and an engine of chosen speeds on a clock that only counts. For tests of the pace."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from addon.live.pace import Pace


@dataclass
class Shot:
    """One frame's life."""

    id: int
    key: Hashable
    settle: bool
    asked: float
    under_way: int
    """Frames under way just after this one was sent."""
    arrived: float = 0.0
    began: float = 0.0
    """When the engine took it."""
    free: float = 0.0
    """When the engine became free, or this frame arrived if it was free already."""
    answered: float = 0.0
    dropped: bool = False


@dataclass
class Simulation:
    """A client that asks ``Pace`` every ``beat`` seconds, and a server with one engine and a newest-wins mailbox.

    ``engine``: seconds for a frame, drawn anew for each. ``capture`` blocks the client, as it does Blender.
    ``wire``: seconds each way. ``tells``: whether pictures carry the server's times.
    """

    engine: Callable[[random.Random], float]
    beat: float = 0.008
    capture: float = 0.005
    wire: float = 0.002
    settle: bool = True
    tells: bool = True
    settle_factor: float = 4.0
    seed: int = 0
    pace: Pace = field(default_factory=Pace)
    shots: list[Shot] = field(default_factory=list)
    shown: list[tuple[float, Shot]] = field(default_factory=list)
    now: float = 0.0
    busy: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self._running: Shot | None = None
        self._waiting: Shot | None = None
        self._free_at = 0.0
        self._next_beat = 0.0

    def run(self, seconds: float, key_at: Callable[[float], Hashable]) -> Simulation:
        """Go on for ``seconds``; ``key_at`` tells what the view is at a time."""
        end = self.now + seconds
        while self._next_beat < end:
            self._until(self._next_beat)
            self._heartbeat(key_at)
        return self

    def _heartbeat(self, key_at: Callable[[float], Hashable]) -> None:
        key = key_at(self.now)
        want = self.pace.ask(self.now, key, self.settle)
        began = self.now
        if want is not None:
            self._until(self.now + self.capture)  # nothing is received while Blender draws
            self.pace.sent(self.now, want.id, want.settle)
            shot = Shot(want.id, key, want.settle, began, self.pace.under_way)
            self.shots.append(shot)
            self._at(self.now + self.wire, self._arrive, shot)
        # As a timer does: the next beat comes after the pause, however long this one took.
        self._next_beat = max(self.now, began) + self.beat * self._random.uniform(0.8, 1.2)

    def _until(self, time: float) -> None:
        while self._events and self._events[0][0] <= time:
            at, _, call, arguments = heapq.heappop(self._events)
            self.now = max(self.now, at)
            call(*arguments)
        self.now = time

    def _at(self, time: float, call: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._events, (time, next(self._order), call, arguments))

    def _arrive(self, shot: Shot) -> None:
        shot.arrived = self.now
        if self._running is None:
            self._free_at = self.now
            self._begin(shot)
            return
        if self._waiting is not None:
            self._waiting.dropped = True
            self._at(self.now + self.wire, self._tell_dropped, self._waiting)
        self._waiting = shot

    def _begin(self, shot: Shot) -> None:
        shot.began, shot.free, self._running = self.now, self._free_at, shot
        duration = self.engine(self._random) * (self.settle_factor if shot.settle else 1)
        self.busy += duration
        self._at(self.now + duration, self._end, shot, duration)

    def _end(self, shot: Shot, duration: float) -> None:
        self._running, self._free_at = None, self.now
        self._at(self.now + self.wire, self._picture, shot, duration)
        if self._waiting is not None:
            shot, self._waiting = self._waiting, None
            self._begin(shot)

    # What the client hears of between two heartbeats it reads at the next: the pace is told then.
    def _picture(self, shot: Shot, duration: float) -> None:
        self._at(max(self.now, self._next_beat), self._read_picture, shot, duration)

    def _read_picture(self, shot: Shot, duration: float) -> None:
        shot.answered = self.now
        if self.tells:
            assert self.pace.answered(self.now, shot.id, duration, shot.began - shot.arrived)
        else:
            assert self.pace.answered(self.now, shot.id)
        self.shown.append((self.now, shot))

    def _tell_dropped(self, shot: Shot) -> None:
        assert self.pace.dropped(self.now, shot.id)
