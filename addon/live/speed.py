"""How fast the link is, told at its beginning. No bpy, no I/O of its own, nothing that waits; time is an argument.

One message goes there and back, then many at once. What the many take longer is their bytes' time. Blender may have
been busy when they came, and that only ever makes a link look slower: in doubt they go again, and the best counts.
"""

from __future__ import annotations

from collections.abc import Callable

from ..wire import Message, Probe
from ..wire.greeting import MAX_PADDING

MANY = 16
TRIES = 4
SLOW = 0.25
"""Seconds for a single one there and back after which nothing more need be asked."""
FAST = 60e6
"""Bytes a second, both ways together, above which making planes small takes longer than it saves.

A frame of 512 x 512 with depth and its picture have 2.1 MB, made small 0.1 MB, and making them so takes 4.5 ms in all.
The probe, read in heartbeats, measures up to 150 MB/s, and 65 MB/s of a gigabit link.
"""
DOUBTFUL = FAST / 8
"""Above this a link that seems slow may be a fast one, read late: asking again costs a quarter of a second at most."""


class Speed:
    """Finds out by ``send`` whether the link :attr:`is_slow`; until that is known it is what is given."""

    def __init__(self, is_slow: bool = True) -> None:
        self.is_slow = is_slow
        self.rate: float | None = None
        """Bytes a second, both ways together, once measured."""
        self._send: Callable[[Message], None] | None = None
        self._waiting = self._tries = 0
        self._began = self._once = 0.0

    def begin(self, now: float, send: Callable[[Message], None]) -> None:
        """Send the first."""
        self._send, self._began, self._waiting = send, now, 1
        send(Probe("x" * MAX_PADDING))

    def came(self, now: float) -> None:
        """One has come back."""
        if self._send is None or self._waiting == 0:
            return
        self._waiting -= 1
        if self._waiting:
            return
        seconds = max(now - self._began, 1e-6)
        if self._once == 0.0:
            self._once = seconds
            self.rate = 2 * MAX_PADDING / seconds
            if seconds < SLOW:
                self._ask_many(now)
            else:
                self.is_slow = True
            return
        # the first one's time holds the way without bytes, and one message's; not both may be taken off
        extra = max(seconds - self._once, seconds / MANY)
        rate = 2 * (MANY - 1) * MAX_PADDING / extra
        self.rate = rate if self._tries == 1 else max(rate, self.rate or 0.0)
        if self.rate >= FAST:
            self.is_slow = False
        elif rate > DOUBTFUL and self._tries < TRIES:
            self._ask_many(now)
        else:
            self.is_slow = True

    def _ask_many(self, now: float) -> None:
        assert self._send is not None
        self._began, self._waiting = now, MANY
        self._tries += 1
        for _ in range(MANY):
            self._send(Probe("x" * MAX_PADDING))
