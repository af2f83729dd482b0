"""From options to shots: which view is taken under which prompt, in which order. Standard library only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from .arguments import Options


@dataclass(frozen=True)
class Shot:
    """One view under one prompt. ``turn``: part of a full turn round the scene, 0 to 1, or None. ``frame``: of the
    animation, or None for the file's current one. ``moved``: whether the object to be moved stands elsewhere by now.
    ``cut``: whether it is another camera's than the frame before, so that a steady film starts anew.
    """

    index: int
    prompt: str
    round: int
    turn: float | None = None
    frame: int | None = None
    moved: bool = False
    cut: bool = False


def shots(options: Options) -> tuple[Shot, ...]:
    """Every shot in order: all views under the first prompt, then all under the next."""
    frames = options.frames
    count = len(frames) if frames is not None else (options.orbit or 0)
    planned: list[Shot] = []
    for number, prompt in enumerate(options.prompts):
        for view in options.only or range(count):
            moved = options.move is not None and 2 * view >= count
            turn, frame = (None, frames[view]) if frames is not None else (view / count, None)
            planned.append(Shot(len(planned), prompt, number, turn, frame, moved))
    return tuple(planned)


def with_cuts(planned: Iterable[Shot], cuts: Collection[int]) -> tuple[Shot, ...]:
    """``planned``, marked as cut where their frame is one of ``cuts``."""
    return tuple(replace(shot, cut=shot.frame in cuts) for shot in planned)


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of the numbers below ``count``, evenly spread, the first always among them."""
    taken = min(count, most)
    return [index * count // taken for index in range(taken)]
