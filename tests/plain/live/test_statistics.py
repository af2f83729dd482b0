"""Counts, rates and stage times."""

from __future__ import annotations

import json

import pytest

from addon.live.statistics import MOST_STAGES, WINDOW, Statistics


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
