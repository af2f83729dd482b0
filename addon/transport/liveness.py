"""Whether the other end of a connection is alive: when to ping it, how long it has owed an answer. No clock, no I/O."""

from __future__ import annotations

PING_AFTER = 10.0
LOST_AFTER = 40.0
"""Seconds of silence after which a ping is sent, and after which the server counts as gone."""
PING_SOON = 1.5
"""Seconds of silence after which a ping is sent while an answer is awaited: a slow picture, or a server that hangs?"""


class Liveness:
    """Counts silence in seconds, as the caller notes them. Pings are answered beside the engine, however busy it is."""

    def __init__(self) -> None:
        self.silence = 0.0
        """Since the last byte came."""
        self.unanswered = 0.0
        """Since a ping was sent to which nothing came."""
        self._awaited = 0.0  # as long as the silence, but counted from when there was something to answer
        self._pinged = False

    def passed(self, seconds: float, awaits: bool) -> None:
        """So much time has passed without a byte; ``awaits``: whether a request is to be answered."""
        self.silence += seconds
        self._awaited = self._awaited + seconds if awaits else 0.0
        if self._pinged:
            self.unanswered += seconds

    def heard(self) -> None:
        """Something came."""
        self.silence = self.unanswered = self._awaited = 0.0
        self._pinged = False

    def sent(self) -> None:
        """The system has taken bytes that had to wait: what was asked before may only now be on its way."""
        self.unanswered = self._awaited = 0.0

    def wants_ping(self) -> bool:
        """Whether it is time to ask. Once, until something comes."""
        wants = not self._pinged and (self.silence > PING_AFTER or min(self.silence, self._awaited) > PING_SOON)
        self._pinged = self._pinged or wants
        return wants
