"""Counts and stage times of the live loop. Standard library only; no bpy, no clock of its own, bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WINDOW = 300
"""Values kept of each stage."""
RATE_WINDOW = 2.0
"""Seconds over which frames a second are counted."""
MOST_STAGES = 64


@dataclass
class Times:
    """The clock's readings for one frame under way, in seconds."""

    asked: float
    packed: float
    sent: float | None = None
    """When the system had its last byte."""


class Statistics:
    """What happened so far. Stage times are milliseconds, of the newest ``WINDOW`` values of each stage.

    The loop's own stages: ``capture`` (from the Want to send(): the caller's), ``pack``, ``send`` (masking, until
    the system has the last byte), ``reply`` (from there to the picture), ``transport`` (``reply`` without the
    server's queue and engine), ``unpack``, ``whole`` (from the Want to the picture), ``poll`` (all of a
    heartbeat). The server's stages keep their names: ``queue``, ``engine``, ... Callers add theirs by :meth:`add`.
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

    def add(self, stage: str, milliseconds: float) -> None:
        """Note one value of ``stage``. Names beyond the first 64 are ignored: a server may send any."""
        if stage not in self._stages:
            if len(self._stages) >= MOST_STAGES:
                return
            self._stages[stage] = deque(maxlen=WINDOW)
        self._stages[stage].append(milliseconds)

    def answered(self, times: Times, now: float, timings: Mapping[str, float]) -> None:
        """Note the stages of a frame whose picture came ``now``; ``timings``: the server's own, in milliseconds."""
        self.add("whole", (now - times.asked) * 1e3)
        if times.sent is not None:
            reply = (now - times.sent) * 1e3
            self.add("reply", reply)
            if "engine" in timings:
                self.add("transport", max(0.0, reply - timings["engine"] - timings.get("queue", 0.0)))
        for name, value in timings.items():
            self.add(name, value)

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


def _percentile(values: deque[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]
