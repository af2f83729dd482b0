"""The benchmark as a command, and the loop that it measures: real processes, sockets and shared memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.plain.checkpoints import make_sd15
from tests.plain.live.test_memory import ROOT
from tools.bench import frames
from tools.bench.arguments import parse
from tools.bench.loop import Loops, loop_arm
from tools.bench.measure import LEAST_DECIBELS, Row, interleave

SIDE = 64


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sd15(tmp_path_factory.mktemp("with a space") / "my model", lora="diffusers")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600
    )


def test_a_checkpoint_of_ones_own(small: Path, tmp_path: Path) -> None:
    done = run(
        *("--model", str(small), "--device", "cpu", "--size", str(SIDE), "--steps", "1", "2"),
        *("--rounds", "1", "--no-compiled", "--no-growth", "--out", str(tmp_path), "--name", "mine"),
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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--size", "257"], "size is 257"),
        (["--steps", "0"], "steps are [0]"),
        (["--rounds", "0"], "rounds is 0"),
        (["--minutes", "nan"], "minutes is nan"),
        (["--device", "abacus"], "device is 'abacus'"),
        (["--name", "a/b"], "name is 'a/b'"),
        (["--model", ""], "model is ''"),
        (["--model", "no such thing"], "no such thing"),
        (["--model", "sd15-lcm-of-nobody.safetensors"], "sd15-lcm-of-nobody.safetensors"),
    ],
)
def test_what_cannot_be_measured_is_said_at_once(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([*arguments, "--out", str(tmp_path)])
    said = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2 and said.startswith("python -m tools.bench: error: ") and says in said


def test_an_empty_folder_and_a_torn_file_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    for name in ("empty", "torn.safetensors"):
        with pytest.raises(SystemExit) as ended:
            parse(["--model", str(tmp_path / name), "--out", str(tmp_path)])
        assert ended.value.code == 2 and name in capsys.readouterr().err.splitlines()[-1]


def test_an_interrupted_run_keeps_what_it_has(small: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.bench", "--model", str(small), "--device", "cpu", "--size", str(SIDE)]
    command += ["--steps", "1", "2", "4", "--rounds", "1", "--no-compiled", "--out", str(tmp_path), "--name", "cut"]
    # what a shell starts in its background ignores Ctrl+C, and so would all that the tests start there
    listen = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=listen) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "2 steps at" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130 and "cut off: interrupted" in rest and "Traceback" not in rest
    made = json.loads((tmp_path / "cut.json").read_text())
    assert {row["steps"] for row in made["rows"]} == {1} and made["facts"]["cut off"] == "interrupted"


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
