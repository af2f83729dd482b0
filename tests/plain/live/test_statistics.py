"""Counts, rates and stage times."""

from __future__ import annotations

import json

import numpy as np
import pytest

from addon.live.statistics import LONGEST_STAGE, MOST_STAGES, WINDOW, Clocks, Statistics, Times
from addon.wire import Picture


def test_median_and_95th_percentile_are_of_the_newest_values() -> None:
    statistics = Statistics()
    for value in [1e6] * 50 + list(range(WINDOW)):
        statistics.add("pack", value)
    assert statistics.stages() == {"pack": (150, 284)}
    statistics.add("unpack", 7.0)
    assert statistics.stages()["unpack"] == (7.0, 7.0)


def test_frames_a_second_follow_the_pictures_and_fall_when_none_come() -> None:
    statistics = Statistics()
    assert statistics.fps == 0
    for number in range(100):
        statistics.picture(number / 25)
    assert statistics.fps == pytest.approx(25, rel=0.01)
    statistics.tick(99 / 25 + 1.0)
    assert 0 < statistics.fps < 15
    statistics.tick(99 / 25 + 3.0)
    assert statistics.fps == 0
    assert statistics.pictures == 100


def test_a_server_cannot_fill_memory_with_names_of_stages() -> None:
    statistics = Statistics()
    for number in range(1000):
        statistics.add(f"stage {number}", 1.0)
    assert len(statistics.stages()) == MOST_STAGES


def test_the_snapshot_is_plain_json() -> None:
    statistics = Statistics()
    statistics.frames_sent = 3
    statistics.add("pack", 2.0)
    snapshot = json.loads(json.dumps(statistics.snapshot()))
    assert snapshot["frames_sent"] == 3 and snapshot["fps"] == 0
    assert snapshot["stages_ms"] == {"pack": {"p50": 2.0, "p95": 2.0}}


def picture(arrived: float = 0.0, made: float = 0.0, **timings: float) -> Picture:
    names = {name.replace("_", " "): value for name, value in timings.items()}
    return Picture(1, np.zeros((8, 8, 3), np.uint8), timings=names, arrived=arrived, made=made)


def test_a_frames_way_is_told_by_stage() -> None:
    statistics = Statistics()
    times = Times(asked=10.0, captured=10.004)
    statistics.answered(times, 10.104, picture(10.010, 10.101, queue=6.0, engine=80.0, step_1=30.0, step_2=40.0))
    stages = {name: p50 for name, (p50, _) in statistics.stages().items()}
    assert stages["capture"] == pytest.approx(4) and stages["whole"] == pytest.approx(104)
    assert stages["wire"] == pytest.approx(6) and stages["reply"] == pytest.approx(3)
    assert stages["transport"] == pytest.approx(100 - 86)
    assert statistics.stages()["step"] == (30.0, 40.0), "of each step"
    assert statistics.newest["step 2"] == 40.0
    told = statistics.shown(10.1065)
    assert told == pytest.approx({"capture": 4, "wire": 6, "reply": 3, "display": 2.5})
    assert statistics.stages()["display"][0] == pytest.approx(2.5)
    assert statistics.shown(11.0) == {} and len(statistics._stages["display"]) == 1, "each frame is told once"


def test_a_server_that_does_not_say_when_it_had_the_frame_leaves_the_ways_out() -> None:
    statistics = Statistics()
    statistics.answered(Times(1.0, 1.0), 1.1, picture(engine=50.0))
    assert "wire" not in statistics.stages() and statistics.stages()["transport"][0] == pytest.approx(50)


@pytest.mark.parametrize("ahead", [-5e6, -3.0, 3.0, 5e6])
def test_clocks_of_two_machines_are_told_apart(ahead: float) -> None:
    """Ways of 2 to 12 ms there and 1 to 4 back: neither is ever negative, and none is far off."""
    clocks = Clocks()
    random = np.random.default_rng(3)
    for number in range(50):
        there, back = random.uniform(0.002, 0.012), random.uniform(0.001, 0.004)
        arrived = number + there + ahead
        found = clocks.ways(number, arrived, arrived + 0.05, number + there + 0.05 + back)
        assert min(found) >= 0 and sum(found) == pytest.approx(there + back, abs=1e-6)
    assert found[0] == pytest.approx(there, abs=0.001), "half of what the shortest ways differ by"


def test_one_clock_needs_no_guess() -> None:
    clocks = Clocks()
    assert clocks.ways(100.0, 100.009, 100.2, 100.201) == pytest.approx((0.009, 0.001))


def test_a_clock_that_was_set_is_believed_again_at_once() -> None:
    clocks = Clocks()
    for second in range(5):
        assert clocks.ways(second, second + 0.003, second + 0.05, second + 0.054) == pytest.approx((0.003, 0.004))
    ahead = 3e6  # the server's machine has started anew, or slept
    for second in range(5, 10):
        there, back = clocks.ways(second, second + ahead + 0.003, second + ahead + 0.05, second + 0.054)
        assert 0 <= there <= 0.01 and 0 <= back <= 0.01


def test_nobody_is_told_what_no_stage_can_take() -> None:
    statistics = Statistics()
    statistics.answered(Times(1.0, 1.1), 3e9, Picture(1, np.zeros((8, 8, 3), np.uint8)))
    told = statistics.shown(3e9 + 0.002)
    assert "display" in told and all(value <= LONGEST_STAGE for value in told.values())


def test_a_new_connection_begins_with_new_clocks() -> None:
    statistics = Statistics()
    clocks = statistics._clocks
    statistics.connected()
    assert statistics.connections == 1 and statistics._clocks is not clocks
