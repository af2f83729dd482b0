"""Live's share of Blender's main loop while the user works, with a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.blender.budget import LONGEST, Budget


def orbit(budget: Budget, seconds: float, cost: float, frame: float) -> tuple[int, float]:
    """A user who orbits, ``frame`` seconds a redraw: the captures made, and the part of the time they took."""
    now, captures, turn = 0.0, 0, 0
    while now < seconds:
        now += frame
        turn += 1
        budget.see(now, turn)
        if budget.allows(now):
            budget.spent(now, now + cost, capture=True)
            now += cost
            captures += 1
    return captures, captures * cost / now


@given(st.floats(0.0005, 0.2), st.floats(0.004, 0.1), st.sampled_from([0.12, 0.3, 1.0]))
def test_the_share_is_kept_whatever_a_capture_costs(cost: float, frame: float, share: float) -> None:
    captures, part = orbit(Budget(share), 60.0, cost, frame)
    assert captures > 1 and part <= share * 1.05 + cost / 60


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
    budget.see(0.19, "b")
    assert not budget.allows(0.19)
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
    assert now - 40.0 <= LONGEST + 0.02


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_is_a_part(share: float) -> None:
    with pytest.raises(ValueError, match="share is"):
        Budget(share)
