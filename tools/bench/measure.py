"""Arms timed in turn, so that whatever slows the machine slows all of them. numpy and torch, no bpy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from addon.wire import Request

from .arms import Arm, LeftOut, Picture, psnr

LEAST_DECIBELS = 40.0
COMPARED = 3
"""Number of the frame whose pictures are compared."""
AGAIN = 2
"""Frames that an arm makes untimed at the beginning of each turn: the arm before it has emptied the caches."""

SLOW, TURN = 2.0, 10.0
"""Seconds: an arm whose frames take longer than the first is warm after two, and a turn ends after the second."""


@dataclass
class Row:
    """What one arm took in one configuration: milliseconds a frame, and how near its pictures are to the reference.

    ``low``, ``high``: the 10th and 90th percentile. ``latency``: from an input to its own output. ``failed``: why
    there is no figure. ``decibels`` is None for an arm that is the reference itself, and for those that do not make
    the same noise. ``turns``: the median of each turn, in the order in which the arms took them.
    """

    model: str
    size: int
    steps: int
    arm: str
    frames: int = 0
    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    latency: float = 0.0
    decibels: float | None = None
    floor: float | None = None
    failed: str = ""
    stages: dict[str, float] = field(default_factory=dict)
    turns: list[float] = field(default_factory=list)

    @property
    def fps(self) -> float:
        return 1000 / self.median if self.median else 0.0

    def times(self, other: Row) -> float:
        """How many times as long as ``other`` this takes: the median of both in each turn, and the median of those.

        A machine whose speed wanders from one minute to the next slows both in the same turn.
        """
        shares = [mine / its for mine, its in zip(self.turns, other.turns, strict=False)]
        return float(np.median(shares)) if shares else self.median / other.median

    def written(self) -> dict[str, Any]:
        return {**asdict(self), "fps": self.fps}


def interleave(
    arms: Sequence[Arm],
    requests: Callable[[int, bool], Request],
    rows: Sequence[Row],
    rounds: int,
    frames: int,
    warm: int,
    enough: Callable[[], bool] = lambda: False,
    references: Mapping[bool, Picture] | None = None,
) -> None:
    """Fill ``rows``, one for each of ``arms``. ``requests(index, depth)`` gives the frame number ``index``.

    Each arm makes ``warm`` frames untimed, then all take turns, ``rounds`` times ``frames`` frames after ``AGAIN``
    untimed ones, every other round backwards. An arm that fails is told in its row and left out. ``enough`` ends it
    after a whole round. ``references``: what pictures of frame number :data:`COMPARED` are compared with, without
    and with depth; where there is none, the first arm's of the kind.
    """
    times: list[list[float]] = [[] for _ in arms]
    known = dict(references or {})
    for arm, row in zip(arms, rows, strict=True):
        try:
            arm.before(requests(0, arm.depth))
            _warm_up(arm, [requests(index, arm.depth) for index in range(warm)])
            if arm.same_noise:
                for _ in range(1 + arm.delay_frames(requests(COMPARED, arm.depth)) // arm.batch):
                    picture = arm.render(
                        requests(COMPARED, arm.depth)
                    )  # until what comes is a picture of this very frame
                if arm.depth not in known:
                    known[arm.depth] = picture
                else:
                    row.decibels = psnr(known[arm.depth], picture)
        except Exception as error:  # one arm that cannot run here must not cost the others their figures
            row.failed = told(error)
    index = 0
    order = [number for number, row in enumerate(rows) if not row.failed]
    for turn in range(rounds):
        for number in order if turn % 2 == 0 else reversed(order):
            arm = arms[number]
            if rows[number].failed:
                continue
            made = [requests(index + each, arm.depth) for each in range(frames)]
            try:
                took = _timed(arm, made)
                times[number] += took
                rows[number].turns.append(float(np.median(took)))
            except Exception as error:
                rows[number].failed = told(error)
        index += frames
        if enough():
            break
    for number in order:
        if rows[number].failed:
            continue
        fill(rows[number], times[number])
        delay = arms[number].delay_frames(requests(0, arms[number].depth))
        rows[number].stages = arms[number].stages()
        rows[number].latency = rows[number].stages.get("whole", rows[number].median * (1 + delay))


def told(error: Exception) -> str:
    """``error`` in a table's cell."""
    if isinstance(error, LeftOut):
        return f"left out: {error}"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]


def _warm_up(arm: Arm, requests: Sequence[Request]) -> None:
    for number, request in enumerate(requests):
        begun = time.perf_counter()
        arm.render(request)
        if number and time.perf_counter() - begun > SLOW:  # the first may have compiled something
            break


def _timed(arm: Arm, requests: Sequence[Request]) -> list[float]:
    """Have ``arm`` make pictures of ``requests``, as many as fit into a turn; returns the milliseconds of each."""
    if arm.timed is not None:
        return arm.timed(list(requests))
    _warm_up(arm, requests[:AGAIN])
    times: list[float] = []
    for begin in range(0, len(requests), arm.batch):
        few = list(requests[begin : begin + arm.batch])
        begun = time.perf_counter()
        if arm.together is None:
            arm.render(few[0])
        else:
            arm.together(few)
        times += [(time.perf_counter() - begun) * 1e3 / len(few)] * len(few)
        if sum(times) > TURN * 1e3:
            break
    return times


def fill(row: Row, times: Sequence[float]) -> None:
    """Put median and spread of ``times`` in milliseconds into ``row``."""
    row.frames = len(times)
    row.median, row.low, row.high = (float(np.percentile(times, share)) for share in (50, 10, 90))
    row.latency = row.median


def even(times: Sequence[float], every: int) -> list[float]:
    """The means of ``every`` of ``times`` each: pictures that are made in one go come all at once, and then none."""
    return [float(np.mean(times[at : at + every])) for at in range(0, len(times) - every + 1, every)]


def void(rows: Sequence[Row]) -> list[Row]:
    """The rows whose pictures differ from the reference: a run with such is no comparison."""
    return [row for row in rows if row.decibels is not None and row.decibels < LEAST_DECIBELS]
