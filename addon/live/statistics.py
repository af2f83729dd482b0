"""Counts and stage times of the live loop. Standard library and the wire; no bpy, no clock, bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..wire import Picture

WINDOW = 300
"""Values kept of each stage."""
RATE_WINDOW = 2.0
"""Seconds over which frames a second are counted."""
MOST_STAGES = 64
CLOCK_WINDOW = 64
"""Frames from which the difference of the clocks is told."""
LONGEST_STAGE = 1e6
"""Milliseconds above which what was measured is no stage's time, but a clock's fault, and nobody is told."""
TOLD = ("capture", "wire", "reply", "display")
"""Stages that the server cannot measure and is told."""


@dataclass
class Times:
    """The clock's readings for one frame under way, in seconds."""

    asked: float
    captured: float
    sent: float | None = None
    """When the system had the message's last byte."""


class Clocks:
    """How far the server's clock is ahead of ours, from the times of newest frames, in seconds.

    Nothing arrives before it is sent: each frame's way there and way back bound what the difference can be. On one
    machine both are usually the same clock; zero is taken wherever the bounds allow it, else their middle.
    """

    def __init__(self) -> None:
        self._there: deque[float] = deque(maxlen=CLOCK_WINDOW)
        self._back: deque[float] = deque(maxlen=CLOCK_WINDOW)

    def ways(self, left: float, arrived: float, sent: float, came: float) -> tuple[float, float]:
        """Return seconds there and back of a frame that left and came by our clock, arrived and was sent by theirs."""
        self._there.append(arrived - left)
        self._back.append(came - sent)
        low, high = -min(self._back), min(self._there)
        if low > high:  # one of the clocks was set, or stood still while its machine slept: only what is new holds
            self._there, self._back = (deque([way[-1]], CLOCK_WINDOW) for way in (self._there, self._back))
            low, high = -self._back[0], self._there[0]
        ahead = 0.0 if low <= 0 <= high else (low + high) / 2
        return max(0.0, arrived - left - ahead), max(0.0, came - sent + ahead)


class Statistics:
    """What happened so far. Stage times are milliseconds, of the newest ``WINDOW`` values of each stage.

    A frame's stages, in their order: ``capture`` (from the Want to send(): the caller's), ``wire`` (from there until
    the server has read it), ``queue``, ``engine`` and its parts as the server measured them (``upload``, ``encode``,
    each ``step``, ``decode``, ``download``, ...), ``reply`` (from the engine's end there to having the picture here),
    ``display`` (from there until :meth:`shown`). ``whole``: from the Want to the picture. ``transport``: ``wire`` and
    ``reply``. Of our own parts in these: ``pack``, ``send`` (until the system has the last byte), ``unpack``,
    ``poll`` (all of a heartbeat). Callers add theirs by :meth:`add`.
    """

    def __init__(self) -> None:
        self.frames_sent = 0
        self.settle_sent = 0
        self.pictures = 0
        self.dropped = 0
        self.failures = 0
        self.ignored = 0
        """Answers to frames that are not under way, and pictures older than one already there."""
        self.attempts = 0
        """Attempts to connect."""
        self.connections = 0
        self.lost = 0
        self.bytes_sent = 0
        self.bytes_received = 0
        self._stages: dict[str, deque[float]] = {}
        self._times: deque[float] = deque(maxlen=1000)
        self._now = 0.0
        self._clocks = Clocks()
        self._came: float | None = None  # when the newest picture came that isn't known to be on show
        self.newest: dict[str, float] = {}
        """Stage times of the newest frame that was answered, in milliseconds."""

    def add(self, stage: str, milliseconds: float) -> None:
        """Note one value of ``stage``. Names beyond the first 64 are ignored: a server may send any."""
        if stage not in self._stages:
            if len(self._stages) >= MOST_STAGES:
                return
            self._stages[stage] = deque(maxlen=WINDOW)
        self._stages[stage].append(milliseconds)

    def connected(self) -> None:
        """Note a new connection: the server's clock may be another one than the last one's."""
        self.connections += 1
        self._clocks = Clocks()

    def left(self, under_way: Iterable[Times], now: float) -> None:
        """Note that the system has the last byte of all frames ``under_way``, since ``now`` at the latest."""
        for times in under_way:
            if times.sent is None:
                times.sent = now
                self.add("send", (now - times.captured) * 1e3)

    def answered(self, times: Times, now: float, picture: Picture) -> None:
        """Note the stages of a frame whose ``picture`` came ``now``."""
        timings = picture.timings
        self.newest = {"capture": (times.captured - times.asked) * 1e3, "whole": (now - times.asked) * 1e3}
        if "engine" in timings:
            spent = timings["engine"] + timings.get("queue", 0.0)
            self.newest["transport"] = max(0.0, (now - times.captured) * 1e3 - spent)
        if picture.arrived and picture.made:
            there, back = self._clocks.ways(times.captured, picture.arrived, picture.made, now)
            self.newest |= {"wire": there * 1e3, "reply": back * 1e3}
        self.newest |= {name: value for name, value in timings.items() if name not in self.newest}
        self._came = now
        for name, value in self.newest.items():
            self.add("step" if is_step(name) else name, value)

    def shown(self, now: float) -> dict[str, float]:
        """Note that the newest picture is on show ``now``; return, once, what the server is told about its frame."""
        if self._came is None:
            return {}
        self.newest["display"] = (now - self._came) * 1e3
        self._came = None
        self.add("display", self.newest["display"])
        known = {name: self.newest[name] for name in TOLD if name in self.newest}
        return {name: value for name, value in known.items() if 0 <= value <= LONGEST_STAGE}

    def tick(self, now: float) -> None:
        """Note the time, in seconds, up to which frames a second are counted."""
        self._now = now
        while self._times and self._times[0] <= now - RATE_WINDOW:
            self._times.popleft()

    def picture(self, now: float) -> None:
        """Note that a picture came."""
        self.pictures += 1
        self._times.append(now)
        self.tick(now)

    @property
    def fps(self) -> float:
        """Pictures a second over the last two seconds; 0 when the view rests."""
        if len(self._times) < 2:
            return 0.0
        span = max(self._times[-1] - self._times[0], 1e-6)
        quiet = self._now - self._times[-1]
        usual = span / (len(self._times) - 1)
        return (len(self._times) - 1) / (span + max(0.0, quiet - usual))

    def stages(self) -> dict[str, tuple[float, float]]:
        """Median and 95th percentile of each stage in milliseconds."""
        return {name: (_percentile(values, 0.5), _percentile(values, 0.95)) for name, values in self._stages.items()}

    def snapshot(self) -> dict[str, Any]:
        """Everything as plain values, for a report or a panel."""
        counts = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        times = {name: {"p50": p50, "p95": p95} for name, (p50, p95) in self.stages().items()}
        return {**counts, "fps": self.fps, "stages_ms": times}


def is_step(name: str) -> bool:
    """Whether a server's timing is that of one step: ``step 1``, ``step 2``, ..."""
    return name.startswith("step ") and name[5:].isdecimal()


def _percentile(values: deque[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]
