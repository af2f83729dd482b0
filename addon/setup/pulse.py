"""Whether a process is doing anything: tells a hung server from a busy one. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

HUNG_SECONDS = 6.0
"""So long a server that owes an answer must have done nothing before it counts as hung."""
BLIND_SECONDS = 25.0
"""The same where the system does not say what it did: from its silence alone."""
LEAST_WORK = 0.02
"""Part of one processor; threads that only wait wake now and then, too."""
LONGEST_GAP = 1.0
"""A pause between two looks counts at most this long: Blender may have been busy, and the answer may be there."""


def processor_seconds(pid: int) -> float | None:
    """Processor time that a process has used so far, all threads; None where the system does not say (not Linux).

    A process that waits for a disk counts as one at work: its time is that of the clock.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        state, ticks = fields[0], int(fields[11]) + int(fields[12])
    except (OSError, ValueError, IndexError):
        return None
    if state == "D":
        return float("inf")
    return ticks / float(os.sysconf("SC_CLK_TCK"))


class Pulse:
    """Watches one process while it owes an answer."""

    def __init__(self) -> None:
        self._last: float | None = None  # when it was looked at, while it owes an answer
        self._idle = 0.0  # seconds without work
        self._used: float | None = None  # as these began

    def hangs(self, now: float, owes: bool, used: float | None) -> bool:
        """Whether it has done nothing for as long as that is believed; to be asked several times a second.

        ``now``: seconds of any one clock; ``owes``: whether it owes an answer; ``used``: its
        :func:`processor_seconds`.
        """
        if not owes or used == float("inf"):
            self._last = None
            return False
        if self._last is None:
            self._idle, self._used = 0.0, used
        else:
            self._idle += min(now - self._last, LONGEST_GAP)
        self._last = now
        if used is None or self._used is None:
            return self._idle > BLIND_SECONDS
        if used - self._used > LEAST_WORK * max(self._idle, 1.0):
            self._idle, self._used = 0.0, used
        return self._idle > HUNG_SECONDS
