"""How far a setup is and how long it will take. Standard library only; no bpy, no I/O, a clock as argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

STEPS = {"environment": 0.03, "lookup": 0.07, "download": 0.60, "install": 0.24, "check": 0.06}
"""The steps in their order, and about which part of the whole each takes."""
WINDOW = 20.0
"""The time left follows the pace of so many seconds."""


class Progress:
    """The whole setup as one fraction that never falls, and the seconds left by the pace of late."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()
        self.fraction = 0.0
        self._paces: deque[tuple[float, float]] = deque()
        self._left: float | None = None

    def at(self, step: str, part: float) -> None:
        """Note that ``step`` is done to ``part``, 0 to 1."""
        before = 0.0
        for name, share in STEPS.items():
            if name == step:
                self.fraction = max(self.fraction, min(1.0, before + share * min(1.0, max(0.0, part))))
                break
            before += share
        now = self._clock()
        self._paces.append((now, self.fraction))
        while len(self._paces) > 2 and now - self._paces[0][0] > WINDOW:
            self._paces.popleft()
        (begun, first), (last, newest) = self._paces[0], self._paces[-1]
        if last - begun >= 1.0 and newest > first:
            left = (1.0 - newest) * (last - begun) / (newest - first)
            left = min(left, 2 * (1.0 - newest) * (now - self._begun) / newest)  # a step that stands still for once
            self._left = left if self._left is None else 0.85 * self._left + 0.15 * left

    @property
    def seconds_left(self) -> float | None:
        """None while there is nothing to go by."""
        return self._left


def left_in_words(seconds: float | None) -> str:
    """ "about 3 min left"; "" for None."""
    if seconds is None:
        return ""
    if seconds < 55:
        return f"about {max(5, round(seconds / 5) * 5):.0f} s left"
    if seconds < 3300:
        return f"about {max(1, round(seconds / 60)):.0f} min left"
    return f"about {seconds / 3600:.1f} h left"


def size_in_words(count: float) -> str:
    """ "2.2 GB", "184 MB": decimal, as shops and disks count."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
