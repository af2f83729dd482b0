"""Warnings about views that do not show what they should. Imports numpy; no bpy of its own."""

from __future__ import annotations

from enum import Enum

import numpy as np

from ..capture.draft import Draft
from .opening import named

PLAIN = 1.5
"""A picture whose colours spread by no more than this, of 255, is of one shade."""
CLOSE, MOST = 0.3, 0.9
"""A view is blocked where so much of the picture is nearer than this part of the way to what it should show."""


class Finding(Enum):
    """What was found; each value says it of the views that it is about."""

    CUT = "something in front hides what the camera sees, so it is cut off there"
    ABOVE = "nothing of it is seen at the camera's height and distance, so everything is shown from above there"
    PLAIN = "the picture is of next to one shade: a plain surface fills it, or little is in it"
    NOTHING = "nothing is seen"


class Findings:
    """Collects them over a run, for one sentence each."""

    def __init__(self, before: str, after: str) -> None:
        """``before`` and ``after``: what stands round places in a sentence, such as ``frame`` and nothing."""
        self._before, self._after = before, after
        self._places: dict[tuple[Finding, str], list[str]] = {}

    def add(self, finding: Finding, place: str, reason: str = "") -> None:
        """Remember ``finding``, at ``place``, such as a frame's number; ``reason``: the end of a sentence."""
        places = self._places.setdefault((finding, reason), [])
        if place not in places:
            places.append(place)

    def sentences(self) -> list[str]:
        """All of them, in the order in which they were found; without stops."""
        return [
            f"at {self._before}{named(places, quoted=False)}{self._after}, {finding.value}"
            + (f": {reason}" if reason else "")
            for (finding, reason), places in self._places.items()
        ]


def has_depth(draft: Draft) -> bool:
    """Whether any pixel of ``draft`` is a surface's; a volume, for one, leaves none."""
    return draft.inverse_depth is not None and bool(draft.inverse_depth.any())


def is_plain(draft: Draft) -> bool:
    """Whether the picture is of one shade: one surface fills it, or next to nothing is in it."""
    return bool((draft.image[::2, ::2].reshape(-1, 3).std(0) < PLAIN).all())


def is_blocked(draft: Draft, distance: float) -> bool:
    """Whether something stands right before the eye of a view of what is at ``distance``. Perspective only."""
    if draft.inverse_depth is None:
        return False
    near = draft.inverse_depth.astype(np.float32) > 65535 * draft.near / (CLOSE * distance)
    return float(near.mean()) >= MOST
