"""How much of Blender's main loop live may take while the user works. Standard library only; no bpy, no clock.

A capture is drawn in the main loop, so it holds up the viewport by what it costs. While the view changes, each piece
of work is followed by a pause in proportion, so that live never takes more than its share. A view at rest is nobody's
loss: the last change is captured at once, and nothing is counted.
"""

from __future__ import annotations

from collections.abc import Hashable

SHARE = 0.12
"""Of the time while the view changes. The viewport keeps the rest, and shares it with the redraw of the picture."""
STILL = 0.15
"""Seconds without a change after which the view rests; or twice the last capture, where that took long."""
LONGEST = 3.0
"""Seconds to pause at most: the first draw of a shading mode compiles for a long time, and is not the rule."""


class Budget:
    """``share``: the part of the time, 0 to 1, that live may take. All times are seconds of any one clock."""

    def __init__(self, share: float = SHARE) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share is {share}, but must be above 0 and at most 1")
        self.share = share
        self._key: Hashable = None
        self._changed = float("-inf")
        self._free = float("-inf")
        self._cost = 0.0

    def see(self, now: float, key: Hashable) -> None:
        """Note what the view looks like ``now``; ``key`` is equal while it looks the same."""
        if key != self._key:
            self._key, self._changed = key, now

    def rests(self, now: float) -> bool:
        """Whether the view has not changed for a while."""
        return now - self._changed >= max(STILL, 2 * self._cost)

    def allows(self, now: float) -> bool:
        """Whether a capture may be made now."""
        return now >= self._free or self.rests(now)

    def spent(self, began: float, ended: float, capture: bool = False) -> None:
        """Live has worked in the main loop; ``capture``: by drawing the view, which says what the next one costs."""
        cost = max(0.0, ended - began)
        resting = self.rests(began)
        if capture:
            self._cost = cost
        if not resting:
            self._free = max(self._free, began) + cost / self.share
            self._free = min(self._free, ended + LONGEST)
