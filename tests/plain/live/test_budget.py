"""Live's share of Blender's main loop while the user works, with a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.live.budget import LONGEST_FIRST, QUIET, SHARE, Budget


def orbit(
    budget: Budget, seconds: float, cost: float, frame: float, shown: float = 0.0, hidden: float = 0.0, begun: float = 0
) -> tuple[int, float]:
    """A user who orbits, ``frame`` seconds a redraw: the captures made, and the part of the time they took.

    ``shown``: what live takes for each picture; ``hidden``: what Blender takes then, to redraw the Image Editor.
    """
    now, captures, frames, waiting = begun, 0, 0, False
    while now < begun + seconds:
        now += frame
        frames += 1
        budget.see(now, now)
        if waiting:
            budget.spent(now, now + shown)
            now += shown + hidden
            waiting = False
        elif budget.allows(now):
            budget.spent(now, now + cost, capture=True)
            now += cost
            captures += 1
            waiting = shown + hidden > 0
    return captures, 1 - frames * frame / (now - begun)


@settings(deadline=None)
@given(st.floats(0.0005, 0.2), st.floats(0.004, 0.1), st.sampled_from([0.12, 0.3, 1.0]))
def test_the_share_is_kept_whatever_a_capture_costs(cost: float, frame: float, share: float) -> None:
    captures, part = orbit(Budget(share), 60.0, cost, frame)
    assert captures > 1 and part <= share * 1.05 + cost / 60


@settings(deadline=None, max_examples=40)
@given(st.floats(0.0005, 0.3), st.floats(0.004, 0.5), st.floats(0.0005, 0.05), st.floats(0.0, 0.09))
def test_the_redraw_of_the_picture_counts_too(cost: float, frame: float, shown: float, hidden: float) -> None:
    budget = Budget()
    orbit(budget, 10.0, cost, frame, shown, hidden)  # until it knows
    captures, part = orbit(budget, 120.0, cost, frame, shown, hidden, begun=20.0)
    assert captures > 1
    assert part <= 0.2 + (cost + shown + hidden) / 120 or cost + shown < SHARE * frame


@pytest.mark.parametrize(("frame", "cost"), [(0.2, 0.09), (0.5, 0.2), (1.0, 1.0), (1.0, 0.6), (0.25, 2.0)])
def test_a_slow_scene_is_not_taken_for_a_view_at_rest(frame: float, cost: float) -> None:
    budget = Budget()
    orbit(budget, 20.0, cost, frame)
    captures, part = orbit(budget, 200.0, cost, frame, begun=20.0)
    assert captures > 5 and part <= 0.2
    # Whoever stops then waits for a few heartbeats.
    now = 220.0 + frame + cost
    key = budget._key
    for _ in range(QUIET):
        budget.see(now, key)
    assert budget.allows(now + max(2 * cost, 0.2))


@pytest.mark.parametrize("pause", [0.2, 0.5, 1.0, 1.5, 3.0])
def test_single_changes_are_captured_at_once(pause: float) -> None:
    """As those of somebody who types a prompt or clicks; the view rests in between, with its heartbeats."""
    budget, now = Budget(), 0.0
    for change in range(20):
        budget.see(now, change)
        assert budget.allows(now), change
        budget.spent(now, now + 0.02, capture=True)
        end = now + pause
        now += 0.02
        while now < end:
            budget.see(now, change)
            now += 0.016


def test_a_cheap_capture_is_never_held_up() -> None:
    captures, _ = orbit(Budget(), 10.0, 0.001, 1 / 60)
    assert captures > 0.9 * 10 / (1 / 60 + 0.001)


def test_a_view_at_rest_is_captured_at_once_and_costs_nothing_later() -> None:
    budget = Budget()
    budget.see(0.0, "a")
    assert budget.allows(0.0)
    budget.spent(0.0, 0.04, capture=True)
    budget.see(0.05, "b")
    assert not budget.allows(0.05)
    for now in (0.1, 0.15, 0.19):
        budget.see(now, "b")
        assert not budget.allows(now)
    budget.see(0.21, "b")
    assert budget.allows(0.21), "the last change waits for its capture"
    for step in range(20):
        budget.spent(1.0 + step, 1.9 + step)
    budget.see(30.0, "c")
    assert budget.allows(30.0), "what was drawn at rest holds up the next orbit"


def test_one_long_capture_is_not_held_against_the_rest() -> None:
    budget = Budget()
    budget.see(0.0, 0)
    budget.spent(0.0, 40.0, capture=True)
    now = 40.0
    while not budget.allows(now):
        now += 0.01
        budget.see(now, now)
    assert now - 40.0 <= LONGEST_FIRST + 0.02


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_is_a_part(share: float) -> None:
    with pytest.raises(ValueError, match="share is"):
        Budget(share)
