"""The report, its table, the contact sheet and the animation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from addon.headless.arguments import Options
from addon.headless.plan import Shot
from addon.headless.report import STAGES, overhead, percentile, report, stage_times, table
from addon.headless.run import Outcome, ShotResult
from addon.headless.sheet import CAPTION, GAP, INK, animation, contact_sheet
from addon.headless.values import Move

BLENDER = {"version": "5.0.1", "renderer": "software"}
DRAFT, PICTURE = (200, 40, 30), (20, 60, 220)


def one(index: int, round_: int = 0, moved: bool = False, side: int = 64) -> ShotResult:
    planes = [np.full((side, side, 3), colour, np.uint8) for colour in (DRAFT, PICTURE)]
    times = {name: float(index + 1) for name in STAGES}
    return ShotResult(Shot(index, f"prompt {round_}", round_, 0.0, None, moved), planes[0], planes[1], times)


def test_percentiles_are_numpys() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert percentile(range(101), 0.95) == 95
    assert percentile([], 0.5) == 0


def test_each_stage_has_its_percentiles_those_of_some_frames_too() -> None:
    found = stage_times([{"whole": 10.0, "unet": 5.0}, {"whole": 20.0}])
    assert found == {"whole": {"p50": 15.0, "p95": 19.5}, "unet": {"p50": 5.0, "p95": 5.0}}


def test_each_step_has_its_line_and_all_of_them_one() -> None:
    found = stage_times([{f"step {number}": float(number) for number in range(1, 12)}] * 2)
    assert list(found) == ["step", *[f"step {number}" for number in range(1, 12)]]
    assert found["step"] == {"p50": 6.0, "p95": 10.95} and found["step 3"] == {"p50": 3.0, "p95": 3.0}


def test_a_report_says_what_a_run_was_like() -> None:
    outcome = Outcome([one(index) for index in range(10)], 4.0, 11, 1, "small", "draftglass-server 0.1.0", 10, 20)
    options = Options(Path("a.blend"), ("p",), Path("out"), orbit=10, move=Move("tower", (1, 2, 3)))
    made = json.loads(json.dumps(report(outcome, options, BLENDER, {"torch": "2"})))
    assert (made["frames"], made["frames_per_second"], made["drops"], made["frames_sent"]) == (10, 2.5, 1, 11)
    assert made["stages_ms"]["whole"] == {"p50": 5.5, "p95": 9.55} and made["overhead_ms"]["p50"] == 5.5
    assert made["settings"]["steps"] == 2 and made["settings"]["move"]["name"] == "tower"
    assert made["versions"]["blender"] == "5.0.1" and made["versions"]["torch"] == "2"
    assert made["device"]["drawing"] == "software" and "two frames under way" in made["pacing"]
    lines = table(made).splitlines()
    assert len(lines) == len(STAGES) + 3 and lines[-1] == "10 frames in 4.0 s: 2.50 frames/s, 1 dropped"
    assert [line.split()[0] for line in lines[1:-2]] == list(STAGES)


def test_the_overhead_is_that_of_frames_that_met_no_drawing_of_the_next() -> None:
    shown = [one(index) for index in range(10)]
    assert overhead(shown) == {"p50": 5.5, "p95": 9.55, "frames": 10}
    for frame in shown[4:]:
        frame.behind = True
    assert overhead(shown) == {"p50": 2.5, "p95": 3.85, "frames": 4}
    assert overhead(shown[4:]) == {"p50": 7.5, "p95": 9.75, "frames": 6}, "all of them, where there is no other"


def test_the_sheet_has_each_prompts_drafts_above_its_pictures() -> None:
    shown = [one(index, index // 8) for index in range(16)]
    sheet = np.asarray(contact_sheet(shown))
    assert sheet.shape == (GAP + 2 * (CAPTION + 2 * (64 + GAP) + GAP), GAP + 6 * (64 + GAP), 3)
    for row in range(2):
        top = GAP + row * (CAPTION + 2 * (64 + GAP) + GAP)
        assert (sheet[top : top + CAPTION] == INK).all(-1).any(), "the prompt is written above"
        for column in range(6):
            x = GAP + column * (64 + GAP) + 32
            assert tuple(sheet[top + CAPTION + 32, x]) == DRAFT
            assert tuple(sheet[top + CAPTION + 64 + GAP + 32, x]) == PICTURE


def test_the_sheet_says_where_the_object_has_moved() -> None:
    shown = [one(index, 0, index >= 2, 128) for index in range(4)]
    plain, told = (np.asarray(contact_sheet(shown, name)) for name in ("", "tower"))
    columns = np.nonzero((plain != told).any((0, 2)))[0]
    left = GAP + 2 * (128 + GAP)
    assert left <= columns.min() and columns.max() < left + 128, "above the first view that has it so, nowhere else"


@pytest.mark.parametrize("prompt", ["x" * 4000, "ein Schloß 城\n in two lines", ""])
def test_any_prompt_fits_the_sheet(prompt: str) -> None:
    shown = one(0)
    assert contact_sheet([ShotResult(Shot(0, prompt, 0), shown.draft, shown.picture, {})]).size == (
        GAP + 64 + GAP,
        GAP + CAPTION + 2 * (64 + GAP) + GAP,
    )


def test_the_animation_has_every_frame(tmp_path: Path) -> None:
    shown = [one(index) for index in range(5)]
    for index, frame in enumerate(shown):
        frame.picture[:, : 10 * index] = 255
    animation(shown, tmp_path / "animation.webp")
    with Image.open(tmp_path / "animation.webp") as file:
        assert file.n_frames == 5 and file.info["loop"] == 0  # type: ignore[attr-defined]
        assert file.size == (2 * 64 + 3 * GAP, 64 + CAPTION + 2 * GAP)
