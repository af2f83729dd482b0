"""Measures the link's speed as a connection begins. No bpy, no I/O of its own, nothing that waits; time is an argument.

One message goes there and back, then many at once, a frame's worth, some times over: what the many take longer than
the one is their bytes' time. Way there: the server says when it had read each, to which no heartbeat of ours adds
anything. Way back: what we see in a heartbeat may have come at any time since the one before; the earliest counts.
So a busy Blender never makes a link look slow. A connection that still gathers speed, or a busy server, does: they go
again, and the second best counts, as a server that was late for the first of them and not for the last misleads too.

Either way for all would cost more: at 150 Mbit/s small planes give four times the pictures, at 2,500 Mbit/s half as
many (docs/benchmarks/link.md).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..wire import Message, Probe

PIECE = np.zeros((128, 160, 3), np.uint8)
MANY = 16
"""Twice as many from the fourth time on, so that a server's being late by milliseconds weighs half."""
SURE, TRIES = 3, 8
"""Times that the many go at once, one behind the other: as many for a slow link, at most so many for one in doubt."""
HOLD = 0.3
"""Seconds that frames wait for it at most: they and it would slow each other."""
LATER = (1.0, 2.0, 4.0, 8.0)
"""Seconds after these, and after each other, and at rest, when one in doubt is tried again: the server was busy."""
SLOW = 0.5
"""Seconds that one there and back, or many, take at least over a link of which nothing more need be asked."""
FAST = 85e6
"""Bytes a second each way from which making planes small takes longer than it saves.

A frame of 512 x 512 with depth and its picture have 2.1 MB, made small 0.1 to 0.3 MB, and making them so takes 5 to 15
ms in all. Pictures a second, small to plain, by tests/plain/live/measure_link.py: 500 Mbit 1.5, 700 1.2, 1 Gbit 0.9.
"""
DOUBTFUL = FAST / 8
"""Above this a link that seems slow may be a fast one to a busy server; trying it takes a tenth of a second."""


class Speed:
    """Finds out by ``send`` whether the link :attr:`is_slow`; until that is known it is what is given."""

    def __init__(self, send: Callable[[Message], None], is_slow: bool = True) -> None:
        self.is_slow = is_slow
        self._rates: list[float] = []
        self._send = send
        self._waiting = self._count = 0
        self._started = self._began = self._first = 0.0
        self._once: float | None = None
        self._next: float | None = None
        """When the many go again."""

    @property
    def rate(self) -> float | None:
        """Bytes a second, of the slower way, as far as it is measured."""
        return sorted(self._rates)[-2:][0] if self._rates else None

    @property
    def busy(self) -> bool:
        """Whether it still measures, or will."""
        return self._waiting > 0 or self._next is not None

    def holds(self, now: float) -> bool:
        """Whether frames should wait for what is being measured."""
        return self.busy and len(self._rates) < TRIES and now - self._started < HOLD

    def begin(self, now: float) -> None:
        """Send the one. Once only."""
        if not self._started:
            self._started = now
            self._ask(now, 1)

    def tick(self, now: float, rests: bool) -> None:
        """One heartbeat. ``rests``: no frame is under way."""
        if self._next is not None and now >= self._next and (rests or len(self._rates) < TRIES):
            self._next = None
            self._count = MANY if len(self._rates) < SURE else 2 * MANY
            self._ask(now, self._count)

    def came(self, probe: Probe, now: float, before: float) -> None:
        """One has come back, since the heartbeat ``before``."""
        if self._waiting == 0:
            return
        if self._waiting == self._count:
            self._first = probe.arrived
        self._waiting -= 1
        if self._waiting:
            return
        surely = max(0.0, before - self._began)
        if self._once is None:
            self._once = now - self._began
            self.is_slow = self.is_slow or surely > SLOW
            self._next = now if surely <= SLOW else None
            return
        there, back = probe.arrived - self._first, surely - self._once
        if probe.arrived == 0:  # a server that doesn't say
            there = now - self._began
        self._rates.append((self._count - 1) * PIECE.nbytes / max(there, back, 1e-6))
        rate, tries = self.rate or 0.0, len(self._rates)
        if rate >= FAST and tries > 1:
            self.is_slow = False
            return
        if surely < SLOW and (tries < SURE or (tries < TRIES and rate > DOUBTFUL)):
            self._next = now
        elif 0 <= tries - TRIES < len(LATER) and rate > DOUBTFUL:
            self._next = now + LATER[tries - TRIES]
        self.is_slow = self.is_slow or self._next is None or (tries >= SURE and rate < FAST / 2)

    def _ask(self, now: float, count: int) -> None:
        self._began, self._waiting = now, count
        for _ in range(count):
            self._send(Probe(PIECE))
