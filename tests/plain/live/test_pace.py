"""The pace, against simulated engines on a simulated clock."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from addon.live.budget import SHARE, Budget
from addon.live.pace import AGAIN_AFTER, MARGIN, USUAL_WIRE, Pace, Want
from tests.plain.live.simulation import Simulation


def thirty_a_second(now: float) -> int:
    return int(now * 30)


def test_a_view_is_asked_for_at_once_and_only_once() -> None:
    pace = Pace()
    assert pace.ask(0.0, "a") == Want(1)
    pace.sent(0.01, 1)
    assert [pace.ask(0.02 + 0.01 * beat, "a") for beat in range(100)] == [None] * 100


def test_no_view_asks_for_nothing() -> None:
    pace = Pace()
    assert [pace.ask(0.1 * beat, None) for beat in range(50)] == [None] * 50
    assert pace.ask(6.0, "a") == Want(1)


def test_a_want_that_was_not_sent_is_void_at_the_next_heartbeat_and_its_id_is_the_next_ones() -> None:
    pace = Pace()
    first, second = pace.ask(0.0, "a"), pace.ask(0.1, "a")
    assert (first, second) == (Want(1), Want(1))
    with pytest.raises(ValueError, match="frame id is 2, but the frame wanted now is 1"):
        pace.sent(0.2, 2)
    with pytest.raises(ValueError, match="settle is True, but the frame wanted now has False"):
        pace.sent(0.2, 1, True)
    assert pace.sent(0.2, 1) == 0.1, "when it was asked for"
    with pytest.raises(ValueError, match="frame id is 1, but the frame wanted now is none"):
        pace.sent(0.2, 1)


def test_nothing_is_asked_for_that_could_not_be_sent_or_is_not_allowed() -> None:
    budget = Budget()
    pace = Pace(budget=budget)
    assert pace.ask(0.0, "a", can_send=False) is None
    assert pace.ask(0.01, "a") == Want(1), "the first capture of a movement is free"
    pace.sent(0.02, 1)
    budget.spent(0.01, 0.03, capture=True)  # 20 ms of 8 % of the time: the next in 0.23 s
    pace.answered(0.04, 1)
    now, given = 0.04, []
    while now < 0.4:
        given += [now] if pace.ask(now, now) else []
        now += 0.01
    assert given[0] == pytest.approx(0.03 + 0.02 / SHARE - 0.02, abs=0.011)


def test_answers_to_frames_that_are_not_under_way_are_told_apart() -> None:
    pace = Pace()
    assert not pace.answered(0.0, 7) and not pace.dropped(0.0, 7) and not pace.failed(0.0, 7)
    pace.ask(0.0, "a")
    pace.sent(0.0, 1)
    assert pace.answered(0.1, 1) and not pace.answered(0.1, 1)


@pytest.mark.parametrize("tells", [True, False])
def test_an_engine_of_half_a_second_always_gets_the_newest_view(tells: bool) -> None:
    run = Simulation(lambda _: 0.5, tells=tells, settle=False).run(60, thirty_a_second)
    done = [shot for shot in run.shots if shot.began][2:]
    assert len(done) > 100
    # Captured no earlier than two heartbeats, the capture, the wire and the margin before the engine was free.
    assert max(shot.free - shot.asked for shot in done) < 2 * 1.2 * run.beat + run.capture + 4 * run.wire + 2 * MARGIN
    assert max(shot.under_way for shot in run.shots) == 2
    assert not any(shot.dropped for shot in run.shots), "each frame dropped was captured in vain"
    # What is on show is never older than the frame that was under way before it, plus its own time.
    gaps = [later.asked - earlier.asked for earlier, later in itertools.pairwise(done)]
    assert max(gaps) < 0.5 + 3 * run.beat + run.capture


@settings(deadline=None, max_examples=60)
@given(
    engine=st.floats(0.02, 0.5),
    jitter=st.floats(0, 0.25),
    beat=st.floats(0.002, 0.016),
    capture=st.floats(0.001, 0.03),
    wire=st.floats(0.0005, 0.02),
    tells=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_engines_of_any_speed_stay_busy_with_new_views(
    engine: float, jitter: float, beat: float, capture: float, wire: float, tells: bool, seed: int
) -> None:
    assume(capture + 1.2 * beat < 0.8 * engine)  # else no pace could keep the engine busy: the client is too slow
    # While the engine draws one of the two frames, the other must come back, be captured anew and arrive.
    assume(2 * wire + capture + 2.4 * beat < 1.2 * engine)
    assume(tells or 2 * wire <= USUAL_WIRE)  # a wire that nobody measures is taken for a usual one
    run = Simulation(
        lambda random: engine * random.uniform(1 - jitter, 1 + jitter),
        beat=beat,
        capture=capture,
        wire=wire,
        tells=tells,
        settle=False,
        seed=seed,
    )
    run.run(150 * engine, lambda now: now)
    assert run.busy / run.now >= 0.85
    assert max(shot.under_way for shot in run.shots) <= 2
    assert [shot.id for _, shot in run.shown] == sorted(shot.id for _, shot in run.shown)
    early = [shot.free - shot.asked for shot in run.shots if shot.began]
    spread = 2 * jitter * engine
    assert max(early[10:]) <= 2.4 * beat + capture + 4 * wire + 0.008 + 2 * MARGIN + spread + 1.2 * beat + capture
    assert statistics.median(early[10:]) <= 1.2 * beat + 2 * capture + 4 * wire + 0.008 + MARGIN + spread / 2 + beat


def test_with_one_credit_only_one_frame_is_under_way() -> None:
    run = Simulation(lambda _: 0.1, settle=False)
    run.pace.credits = 1
    run.run(5, lambda now: now)
    assert {shot.under_way for shot in run.shots} == {1}
    assert len(run.shown) > 35


def test_an_engine_that_becomes_slower_or_faster_is_followed() -> None:
    durations = {"now": 0.05}
    run = Simulation(lambda _: durations["now"], settle=False).run(5, lambda now: now)
    durations["now"] = 0.4
    run.run(10, lambda now: now)
    late = [shot.free - shot.asked for shot in run.shots if shot.began][-10:]
    assert max(late) < 0.05
    durations["now"] = 0.05
    run.run(3, lambda now: now)
    busy, now = run.busy, run.now
    run.run(5, lambda now: now)
    assert (run.busy - busy) / (run.now - now) >= 0.9


def test_one_bad_measurement_of_the_wire_does_not_make_frames_early_for_good() -> None:
    run = Simulation(lambda _: 0.3, settle=False)
    run.pace.ask(0.0, "warm")
    run.pace.sent(0.0, 1)
    run.pace.answered(5.0, 1, engine=0.1)
    run.now = run._next_beat = 5.0
    run.run(60, lambda now: now)
    assert max(shot.free - shot.asked for shot in run.shots[-20:] if shot.began) < 0.05


def test_a_hitch_of_the_client_is_not_taken_for_its_heartbeat() -> None:
    pace = Pace()
    for beat in range(20):
        pace.ask(beat * 0.01, None)
    before = pace.lead
    for beat in range(20):
        pace.ask(10 + beat * 5.0, None)
    assert pace.lead == before


def test_a_view_at_rest_gets_exactly_one_settle_frame() -> None:
    run = Simulation(lambda _: 0.1).run(3, lambda now: min(now, 1.0))
    settles = [shot for shot in run.shots if shot.settle]
    assert len(settles) == 1 and settles[0] is run.shots[-1]
    assert settles[0].asked >= 1.0 + run.pace.rest
    assert run.shots[-2].key == settles[0].key == 1.0, "the last live frame is of the view at rest"
    assert settles[0].asked >= run.shots[-2].answered, "its picture has come before the settle frame is asked for"
    assert len(run.shown) == len(run.shots)


def test_a_settle_frame_waits_for_rest_and_not_only_for_the_picture() -> None:
    run = Simulation(lambda _: 0.02).run(2, lambda now: int(now / 0.2) if now < 1 else "rest")
    assert [shot.key for shot in run.shots if shot.settle] == ["rest"]


def test_without_settle_frames_nothing_is_sent_at_rest() -> None:
    run = Simulation(lambda _: 0.1, settle=False).run(5, lambda now: "still")
    assert len(run.shots) == 1


def test_a_settle_frame_under_way_is_followed_just_in_time() -> None:
    def view(now: float) -> object:
        return int(now / 3) if now % 3 < 1.5 else now if now % 3 < 1.9 else int(now / 3) + 0.5

    run = Simulation(lambda _: 0.1, settle_factor=5).run(30, view)
    assert sum(shot.settle for shot in run.shots) >= 18
    after = [b for a, b in zip(run.shots, run.shots[1:], strict=False) if a.settle and b.under_way == 2]
    assert all(shot.free - shot.asked < 0.05 for shot in after[2:])


def test_going_back_to_an_earlier_view_sends_it_again() -> None:
    run = Simulation(lambda _: 0.05).run(4, lambda now: "a" if now < 1 or now > 2 else "b")
    assert [(shot.key, shot.settle) for shot in run.shots] == [
        ("a", False), ("a", True), ("b", False), ("b", True), ("a", False), ("a", True),
    ]  # fmt: skip


def test_after_a_lost_connection_the_newest_view_is_asked_for_again() -> None:
    pace = Pace()
    pace.ask(0.0, "a")
    pace.sent(0.0, 1)
    pace.forget()
    assert pace.under_way == 0
    assert pace.ask(0.1, "a") == Want(2)
    assert not pace.answered(0.2, 1), "the answer to a frame of the old connection"


def test_after_a_lost_connection_a_settled_picture_is_not_replaced_by_a_rough_one() -> None:
    run = Simulation(lambda _: 0.05).run(2, lambda now: "a")
    run.pace.forget()
    run.run(2, lambda now: "a")
    assert [shot.settle for shot in run.shots] == [False, True, True]


def test_a_settle_frame_that_was_lost_is_made_again_after_a_live_one() -> None:
    pace = Pace()
    pace.ask(0.0, "a")
    pace.sent(0.0, 1)
    pace.answered(0.1, 1)
    assert pace.ask(0.5, "a") == Want(2, settle=True)
    pace.sent(0.5, 2, True)
    pace.forget()
    assert pace.ask(0.6, "a") == Want(3)


def test_a_frame_dropped_for_no_newer_one_is_asked_for_again_after_a_pause() -> None:
    pace = Pace()
    pace.ask(0.0, "a")
    pace.sent(0.0, 1)
    pace.dropped(0.1, 1)
    assert pace.ask(0.11, "a") is None
    assert pace.ask(0.1 + AGAIN_AFTER, "a") == Want(2)


def test_a_view_that_failed_is_not_sent_again_before_it_changes() -> None:
    pace = Pace()
    pace.ask(0.0, "a")
    pace.sent(0.0, 1)
    pace.failed(0.1, 1)
    assert [pace.ask(0.2 + beat, "a") for beat in range(20)] == [None] * 20
    assert pace.ask(30.0, "b") == Want(2)
    pace.sent(30.0, 2)
    pace.answered(30.1, 2)
    assert pace.ask(31.0, "b") == Want(3, settle=True)
    pace.sent(31.0, 3, True)
    pace.failed(31.5, 3)
    assert [pace.ask(32.0 + beat, "b") for beat in range(20)] == [None] * 20


def test_retry_asks_for_the_view_again() -> None:
    pace = Pace()
    pace.ask(0.0, "a")
    pace.sent(0.0, 1)
    pace.failed(0.1, 1)
    pace.retry()
    assert pace.ask(0.2, "a") == Want(2)
