"""The benchmark as a command, and the loop that it measures: real processes, sockets and shared memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from server.bench import frames, models
from server.bench.loop import Loops, loop_arm
from server.bench.measure import LEAST_DECIBELS, Row, interleave
from tests.plain.live.test_memory import ROOT

SIDE = 64


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.write_small(tmp_path_factory.mktemp("with a space") / "my model", "sd15")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server.bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600
    )


def test_a_checkpoint_of_ones_own(small: Path, tmp_path: Path) -> None:
    done = run(
        *("--model", str(small), "--device", "cpu", "--size", str(SIDE), "--steps", "1", "2"),
        *("--no-compiled", "--no-growth", "--out", str(tmp_path), "--name", "mine"),
    )
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "mine.json").read_text())
    rows = {(row["arm"], row["steps"]): row for row in made["rows"]}
    assert "| my model | 64 | 2 |" in (tmp_path / "mine.md").read_text()
    for steps in (1, 2):
        for way in ("shared memory", "socket"):
            row = rows[f"ours, whole loop over {way}, depth", steps]
            assert not row["failed"] and row["frames"] and row["decibels"] > LEAST_DECIBELS
            assert {"wire", "queue", "engine", "step 1", "reply", "whole"} <= row["stages"].keys()
            assert row["latency"] == row["stages"]["whole"] > row["stages"]["engine"]
            assert ("step 2" in row["stages"]) == (steps == 2), "no stages of another configuration"
    assert str(small) not in json.dumps(made), "no path of this machine"


def test_clients_at_once(small: Path) -> None:
    drafts = [frames.request(index, SIDE, 1, False) for index in range(4)]
    with Loops(str(small), "cpu", "--batch", "2") as loops:
        times, stages = loops.run(lambda index: drafts[index % 4], 12, clients=3)
        assert len(times) == 12 and min(times) >= 0 and 1 <= len(stages) <= 12
        row = Row("small", SIDE, 1, "loop")
        arm = loop_arm(loops, near=False, depth=False)
        interleave([arm], lambda index, depth: drafts[index % 4], [row], rounds=2, frames=3, warm=1)
        assert row.frames == 6 and not row.failed
        wanted = loops.picture(drafts[1], near=True)
        assert np.array_equal(arm.render(drafts[1]), wanted) and not np.array_equal(arm.render(drafts[2]), wanted)
