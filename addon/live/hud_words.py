"""The words of the heads-up display, from plain values. Standard library only; no bpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..problems import LiveState

GRACE = 0.3
"""Seconds that a picture may lag behind the view before it is called old: at several a second each one does."""
STAGES = ("capture", "wire", "queue", "engine", "reply", "display")
"""The stages of one line; with ``queue`` only where frames do wait."""
WAITING = {LiveState.CONNECTING, LiveState.STARTING, LiveState.LOADING, LiveState.WAITING}
CALM, BUSY, OLD, BAD = "calm", "busy", "old", "bad"


@dataclass(frozen=True)
class Facts:
    """What is known at a heartbeat. ``stages``: median and 95th percentile in milliseconds.

    ``step`` of ``steps`` UNet calls of the frame under way are done; ``steps`` is 0 while none is under way.
    ``settling``: that frame is the better picture of a view at rest. ``old``: the view is another one by now.
    ``stuck``: as long as the view is as it is, there is no picture of it, for the reason in ``sentence``.
    """

    state: LiveState = LiveState.STOPPED
    sentence: str = ""
    model: str = ""
    fps: float = 0.0
    dropped: int = 0
    stages: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    step: int = 0
    steps: int = 0
    settling: bool = False
    settled: bool = False
    old: bool = False
    stuck: bool = False


@dataclass(frozen=True)
class Status:
    """One line of state. ``part``: how much of the work is done, 0 to 1, or None. ``tone``: what colour it has."""

    words: str
    part: float | None
    tone: str


def status(facts: Facts) -> Status:
    """What goes on now."""
    if facts.state is LiveState.FAILED:
        return Status(facts.sentence, None, BAD)
    if facts.state is LiveState.LIVE and facts.stuck:
        return Status(facts.sentence, None, BAD)
    if facts.state is not LiveState.LIVE:
        tone = BUSY if facts.state in WAITING else CALM
        return Status(facts.sentence or facts.state.capitalize(), None, tone)
    part = facts.step / facts.steps if facts.steps else None
    if facts.steps and facts.settling:
        return Status(f"Settling: step {facts.step} of {facts.steps}", part, BUSY)
    if facts.old:
        at = f": step {facts.step} of {facts.steps}" if facts.steps else ""
        return Status(f"Outdated picture, making a new one{at}", part, OLD)
    if facts.steps:
        return Status("Following", None, BUSY)
    return Status("Settled" if facts.settled else "At rest", None, CALM)


def numbers(facts: Facts) -> list[str]:
    """Rate, frames dropped and model; then the milliseconds of each stage that was measured."""
    first = [f"{facts.fps:.1f} frames/s"]
    if "whole" in facts.stages:
        first.append(f"{facts.stages['whole'][0]:.0f} ms")
    first.append(f"{facts.dropped} dropped")
    if facts.model:
        first.append(facts.model)
    known = [(name, facts.stages[name][0]) for name in STAGES if name in facts.stages]
    told = [f"{name} {brief(value)}" for name, value in known if name != "queue" or value >= 0.5]
    return ["   ".join(first), *(["   ".join(told) + " ms"] if told else [])]


def table(stages: Mapping[str, tuple[float, float]]) -> list[tuple[str, str, str]]:
    """Every stage with its median and 95th percentile, in the order in which they were first measured."""
    return [(name, brief(median), brief(high)) for name, (median, high) in stages.items()]


def brief(milliseconds: float) -> str:
    """Two digits that count: ``0.4``, ``7.3``, ``102``."""
    return f"{milliseconds:.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"


class Lag:
    """How long the picture on show has been behind the view. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._since: float | None = None

    def see(self, now: float, behind: bool, arrived: bool) -> bool:
        """One heartbeat; returns whether the picture is old. ``arrived``: a new one has just come."""
        if not behind:
            self._since = None
        elif arrived or self._since is None:
            self._since = now
        return self._since is not None and now - self._since >= GRACE
