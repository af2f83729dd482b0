"""What the numbers over the picture say, without Blender."""

from __future__ import annotations

import pytest

from addon.live.hud_words import BAD, BUSY, CALM, GRACE, OLD, Facts, Lag, Status, brief, numbers, status, table
from addon.problems import LiveState

STAGES = {
    "poll": (0.1, 0.2),
    "capture": (8.04, 12.0),
    "wire": (0.42, 1.0),
    "queue": (0.1, 0.4),
    "engine": (71.6, 90.0),
    "reply": (2.0, 3.0),
    "display": (2.51, 4.0),
    "whole": (101.7, 120.0),
}


@pytest.mark.parametrize(
    ("facts", "words", "part", "tone"),
    [
        (Facts(LiveState.LIVE, settled=True), "Settled", None, CALM),
        (Facts(LiveState.LIVE, "Cycles draws no drafts.", old=True, stuck=True), "Cycles draws no drafts.", None, BAD),
        (Facts(LiveState.LIVE), "At rest", None, CALM),
        (Facts(LiveState.LIVE, step=1, steps=2), "Following", None, BUSY),
        (Facts(LiveState.LIVE, step=2, steps=8, settling=True), "Settling: step 2 of 8", 0.25, BUSY),
        (
            Facts(LiveState.LIVE, step=1, steps=2, old=True),
            "Outdated picture, making a new one: step 1 of 2",
            0.5,
            OLD,
        ),
        (Facts(LiveState.LIVE, old=True), "Outdated picture, making a new one", None, OLD),
        (Facts(LiveState.PAUSED, "Live is paused."), "Live is paused.", None, CALM),
        (Facts(LiveState.LOADING, "Loading the model: 40 %."), "Loading the model: 40 %.", None, BUSY),
        (Facts(LiveState.WAITING, "No server."), "No server.", None, BUSY),
        (Facts(LiveState.FAILED, "No model."), "No model.", None, BAD),
    ],
)
def test_the_state_in_one_line(facts: Facts, words: str, part: float | None, tone: str) -> None:
    assert status(facts) == Status(words, part, tone)


def test_numbers_name_rate_time_dropped_model_and_stages() -> None:
    facts = Facts(LiveState.LIVE, model="embedded", fps=9.77, dropped=3, stages=STAGES)
    assert numbers(facts) == [
        "9.8 frames/s   102 ms   3 dropped   embedded",
        "capture 8.0   wire 0.4   engine 72   reply 2.0   display 2.5 ms",
    ]
    assert numbers(Facts(LiveState.LIVE)) == ["0.0 frames/s   0 dropped"]


def test_a_queue_is_named_where_frames_wait_in_it() -> None:
    assert "queue 14" in numbers(Facts(LiveState.LIVE, stages={"queue": (14.0, 20.0)}))[1]


def test_the_table_has_every_stage_in_its_order() -> None:
    assert [row[0] for row in table(STAGES)] == list(STAGES)
    assert table(STAGES)[1] == ("capture", "8.0", "12")


@pytest.mark.parametrize(
    ("value", "told"), [(0.0, "0.0"), (0.449, "0.4"), (9.94, "9.9"), (10.4, "10"), (1234.5, "1234")]
)
def test_times_are_brief(value: float, told: str) -> None:
    assert brief(value) == told


def test_a_picture_is_old_once_it_lags_for_longer_than_usual() -> None:
    lag = Lag()
    assert not lag.see(0.0, behind=True, arrived=False)
    assert not lag.see(GRACE * 0.9, behind=True, arrived=False)
    assert lag.see(GRACE, behind=True, arrived=False)
    assert not lag.see(GRACE + 0.1, behind=True, arrived=True), "a new one came, if of a view that is gone too"
    assert lag.see(2 * GRACE + 0.11, behind=True, arrived=False)
    assert not lag.see(5.0, behind=False, arrived=False)
    assert not lag.see(9.0, behind=True, arrived=False), "it counts anew"


def test_at_several_pictures_a_second_none_is_called_old() -> None:
    lag = Lag()
    assert not any(lag.see(beat * 0.01, behind=True, arrived=beat % 10 == 0) for beat in range(1000))
