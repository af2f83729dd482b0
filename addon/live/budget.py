"""How much of Blender's main loop live may take while the user works. Standard library only; no bpy, no clock.

A capture is drawn in the main loop, so it holds up the viewport by what it costs; and the picture that comes of it has
to be drawn too, by Blender, after the heartbeat. So what a piece of work costs is taken from the viewport itself: by
how much longer it took to its next change than it takes without live. Each piece of work is followed by a pause in
proportion, so that live never takes more than its share. A view at rest is nobody's loss: the last change is captured
at once, and nothing is counted.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Hashable

SHARE = 0.08
"""Of the time while the view changes. The viewport keeps the rest; the aim is at 80 %, and nothing is exact here."""
OWN_SHARE = 0.07
"""The same where captures have to switch the user's own 3D View, as in local view: that redraws it each time."""
STILL, QUIET = 0.15, 3
"""Seconds, and heartbeats, without a change after which the view rests; or twice as long as a capture takes.

Between two frames of a movement there is one heartbeat, however slow the scene is to draw; a view at rest has many.
"""
LONGEST_FIRST, LONGEST = 3.0, 30.0
"""Seconds to pause at most; the first draw of a shading mode compiles for a long time, and is not the rule."""
WINDOW = 9
"""Undisturbed pauses between two changes of the view that the usual one is taken from."""
FRESH = 1.0
"""Seconds of a movement after which live leaves one pause undisturbed, to see what is usual now."""
BLAMED = 0.1
"""Seconds beyond its own time that one piece of work is blamed for at most, or as long as a frame takes, where that is
longer: a hand may have stopped for a moment."""


class Budget:
    """``share``: the part of the time, 0 to 1, that live may take. All times are seconds of any one clock."""

    def __init__(self, share: float = SHARE) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share is {share}, but must be above 0 and at most 1")
        self.share = share
        self._key: Hashable = None
        self._changed = float("-inf")
        self._quiet = 0  # heartbeats since then
        self._undisturbed: deque[float] = deque(maxlen=WINDOW)
        self._learned = float("-inf")  # when the last of these ended
        self._free = float("-inf")
        self._cost: float | None = None
        self._since_change = 0.0  # what live's own work took since then
        self.usual: float | None = None
        """Seconds between two changes of the view when live does nothing; None while that is not known."""

    def see(self, now: float, key: Hashable) -> None:
        """Note what the view looks like ``now``; ``key`` is equal while it looks the same."""
        if key == self._key:
            self._quiet += 1
            return
        if self.rests(now):
            self._learned = self._free = now  # a movement begins: its first capture is not held up
        else:
            self._blame(now - self._changed)
        self._key, self._changed, self._quiet, self._since_change = key, now, 0, 0.0

    def rests(self, now: float) -> bool:
        """Whether the view has not changed for a while."""
        if self._key is None:
            return True
        return self._quiet >= QUIET and now - self._changed >= max(STILL, 2 * (self._cost or 0.0))

    def allows(self, now: float) -> bool:
        """Whether a capture may be made now."""
        return self.rests(now) or (now >= self._free and now - self._learned < FRESH)

    def spent(self, began: float, ended: float, capture: bool = False) -> None:
        """Live has worked in the main loop; ``capture``: by drawing the view, which says what the next one costs."""
        cost = max(0.0, ended - began)
        self._since_change += cost
        longest = LONGEST_FIRST
        if capture:
            if self._cost is not None and cost <= 2 * self._cost:
                longest = LONGEST  # it takes that long each time
            self._cost = cost
        if not self.rests(began):
            self._charge(ended, cost, longest)

    def _blame(self, passed: float) -> None:
        """It took ``passed`` seconds to this change: learn from it, and charge what it took for live's sake."""
        if not self._since_change:
            self._undisturbed.append(passed)
            self.usual, self._learned = statistics.median(self._undisturbed), self._changed + passed
        elif self.usual is not None:
            more = min(passed - self.usual - self._since_change, max(BLAMED, self.usual))
            if more > 0:
                self._charge(self._changed + passed, more, LONGEST)

    def _charge(self, ended: float, cost: float, longest: float) -> None:
        self._free = max(self._free, ended) + min(cost / self.share - cost, longest)
