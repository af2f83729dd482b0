"""When to try to connect again, and at which of an address's hosts. Standard library only; no clock of its own."""

from __future__ import annotations

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0
"""Seconds before the first new attempt to connect, doubled with each until the longest."""
SOUND_AFTER = 15.0
"""Seconds after which a connection counts as sound, as it does with its first picture: the pauses begin anew."""


class Retry:
    """Pauses between attempts. ``now``, here and below: seconds of any one clock. The first attempt is due at once."""

    def __init__(self, now: float) -> None:
        self.host = 0
        """How many hosts of the address were given up on: the next one is that much further in their list."""
        self._attempts = 0
        self._next = now

    def is_due(self, now: float) -> bool:
        """Whether an attempt may be made."""
        return now >= self._next

    def seconds(self, now: float) -> float:
        """Until the next attempt; below zero when it is overdue."""
        return self._next - now

    def began(self) -> None:
        """An attempt is made."""
        self._attempts += 1

    def sound(self) -> None:
        """The connection has shown that it holds."""
        self._attempts = 0

    def failed(self, now: float, reached: bool, for_good: bool) -> None:
        """The attempt, or the connection that came of it, has ended.

        ``reached``: the server answered. ``for_good``: a person has to do something, so there is no hurry.
        """
        self.host += not reached
        pause = LONGEST_PAUSE if for_good else FIRST_PAUSE * 2 ** min(max(0, self._attempts - 1), 16)
        self._next = now + min(pause, LONGEST_PAUSE)
