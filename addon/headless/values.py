"""Values of the command line, each checked by one function that says what would be right. Standard library only.

All of them raise ValueError with a sentence that names the option, what was given and what would be right.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

LAST_FRAME = 1_048_574
"""Blender's own last frame; its first one is the negative of it."""


@dataclass(frozen=True)
class Move:
    """An object that stands elsewhere in the second half of the shots: by ``offset`` (x, y, z) in scene units."""

    name: str
    offset: tuple[float, float, float]


def whole(name: str, text: str | None, low: int, high: int, default: int = 0, multiple: int = 1) -> int:
    """A whole number from ``low`` to ``high``, a multiple of ``multiple``; ``default`` where none was given."""
    if text is None:
        return default
    value = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None
    if value is None or not low <= value <= high or value % multiple:
        rule = f"a whole number from {low} to {high}" + (f", a multiple of {multiple}" if multiple > 1 else "")
        raise ValueError(f"{name} is {text!r}, but must be {rule}")
    return value


def power_of_two(name: str, text: str | None, low: int, high: int, default: int) -> int:
    """A power of two from ``low`` to ``high``; ``default`` where none was given."""
    value = default if text is None else int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0
    if not low <= value <= high or value & (value - 1):
        raise ValueError(f"{name} is {text!r}, but must be a power of two from {low} to {high}, such as {default}")
    return value


def number(name: str, text: str | None, low: float, high: float, default: float) -> float:
    """A number from ``low`` to ``high``; ``default`` where none was given."""
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # NaN fails too
        raise ValueError(f"{name} is {text!r}, but must be a number from {low:g} to {high:g}")
    return value


def frame_range(text: str) -> range:
    """Frames of an animation: ``A`` alone, ``A:B`` with both ends, or every STEP-th by ``A:B:STEP``."""
    parts = re.fullmatch(r"(-?[0-9]{1,7})(?::(-?[0-9]{1,7})(?::([0-9]{1,7}))?)?", text)
    first, last, step = (1, 0, 1)
    if parts:
        first, last, step = int(parts[1]), int(parts[2] or parts[1]), int(parts[3] or 1)
    if not -LAST_FRAME <= first <= last <= LAST_FRAME or step < 1:
        raise ValueError(
            f"--frames is {text!r}, but must be A:B, the first frame and the last, such as 1:24 or -10:10; A alone "
            f"for one frame, or A:B:STEP; from -{LAST_FRAME} to {LAST_FRAME}"
        )
    return range(first, last + 1, step)


def views_range(text: str, views: int | None) -> range:
    """``A:B``, both ends among the ``views`` of an orbit, which begin at 0; or ``A`` alone."""
    if views is None:
        raise ValueError("--only A:B chooses some of an orbit's views: give --orbit N too, or leave it out")
    parts = re.fullmatch(r"([0-9]{1,7})(?::([0-9]{1,7}))?", text)
    first, last = (int(parts[1]), int(parts[2] or parts[1])) if parts else (1, 0)
    if not first <= last < views:
        raise ValueError(
            f"--only is {text!r}, but must be A:B, the first view and the last of the {views} that begin at 0, such as "
            f"0:{views - 1}; or A alone"
        )
    return range(first, last + 1)


def move(text: str) -> Move:
    """``NAME=X,Y,Z``: an object's name, which may have an equals sign, and three finite numbers."""
    name, _, numbers = text.rpartition("=")
    try:
        x, y, z = (float(part) for part in numbers.split(","))
    except ValueError:
        x = y = z = math.nan
    if not name or not all(math.isfinite(value) for value in (x, y, z)):
        raise ValueError(f"--move is {text!r}, but must be NAME=X,Y,Z, an object's name and three numbers")
    return Move(name, (x, y, z))
