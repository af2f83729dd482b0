"""Which arms a model gets on a GPU: the same code on a CPU, told that it is one. Real processes."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from server.bench import frames, loop, models, stock
from server.bench.arguments import parse
from server.bench.loop import Loops
from server.bench.measure import LEAST_DECIBELS
from server.bench.run import Bench
from server.engine import ModelSpec


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    folder = models.write_small(tmp_path / "sd15", "sd15")
    monkeypatch.setattr(models, "find", lambda name, work, device: (ModelSpec(folder), str(folder)))
    monkeypatch.setattr(stock, "_compile", lambda module: None)  # takes a minute
    arguments = ["--size", "64", "--rounds", "1", "--no-growth", "--device", "cpu", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(Bench, "_frames", 2)
    monkeypatch.setattr(Bench, "_warm", 1)
    monkeypatch.setattr(loop, "QUIET", 1.0)
    made = Bench(torch.device("cpu"), tmp_path, parse(arguments))
    made._cuda, made._dtype = True, torch.bfloat16
    made._given.steps = [2, 1]
    return made


def test_all_arms_of_a_gpu(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[int] = []
    settle = Loops.settle

    def watched(self: Loops, request: object, near: bool) -> None:
        settled.append(1)
        settle(self, request, near)  # type: ignore[arg-type]

    monkeypatch.setattr(Loops, "settle", watched)
    bench.model("sd15")
    rows = {(row.arm, row.steps): row for row in bench.rows}
    failed = [row.failed for row in bench.rows if row.failed and "streamdiffusion" not in row.failed]
    assert not failed and [row.steps for row in bench.rows] == sorted((row.steps for row in bench.rows), reverse=True)
    for steps in (1, 2):
        assert rows["diffusers, bfloat16", steps].decibels > LEAST_DECIBELS, "held against fp32, though it is the first"
        assert rows["ours, whole loop over shared memory, compiled, depth", steps].decibels > LEAST_DECIBELS
        assert rows["ours, bfloat16, depth by a ControlNet", steps].decibels is None
        assert rows["ours, bfloat16, compiled, depth", steps].decibels > LEAST_DECIBELS
    assert len(settled) == 2, "once before each number of steps is timed"


def test_without_references_the_first_arm_has_to_do(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*given: object) -> list[object]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("server.bench.run.references", none)
    bench._given.steps, bench._given.no_compiled = [1], True
    bench.model("sd15")
    rows = {row.arm: row for row in bench.rows}
    assert rows["diffusers, float32, to compare with"].failed == "OutOfMemoryError: CUDA out of memory"
    assert rows["diffusers, bfloat16"].decibels is None and rows["diffusers, bfloat16"].frames
    assert rows["ours, bfloat16"].decibels > LEAST_DECIBELS
    assert rows["ours, whole loop over shared memory, compiled, depth"].failed == "left out: --no-compiled"


def test_the_most_important_comes_first(tmp_path: Path) -> None:
    assert parse(["--out", str(tmp_path)]).steps == [4, 2, 1]
    assert parse(["--steps", "2", "8", "4", "--out", str(tmp_path)]).steps == [2, 8, 4]


BUSY = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\nprint('idle', flush=True)\n"


@contextmanager
def server_that_computes(seconds: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Loops, Any, list[str]]]:
    """A server whose process computes for so many processor seconds and then idles."""
    command = [sys.executable, "-c", BUSY.format(seconds) + "time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        loops, seen = Loops.__new__(Loops), []
        loops._server = SimpleNamespace(check=lambda: None)  # type: ignore[assignment]
        loops._processes = {psutil.Process(process.pid)}
        monkeypatch.setattr(loops, "run", lambda requests, count, near: seen.append("frames"))
        monkeypatch.setattr(loop, "QUIET", 1.0)
        try:
            yield loops, process.stdout, seen
        finally:
            process.kill()


def test_a_server_that_compiles_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with server_that_computes(1.5, monkeypatch) as (loops, output, seen):
        loops.settle(frames.request(0, 64, 1, False), near=True)
        assert select.select([output], [], [], 0)[0], "it was still computing"
        assert seen == ["frames", "frames"], "what was compiled is recorded after it"


def test_a_server_that_never_ends_compiling_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "COMPILING", 1.5)
    with server_that_computes(600, monkeypatch) as (loops, _, seen):
        with pytest.raises(RuntimeError, match="still compiling"):
            loops.settle(frames.request(0, 64, 1, False), near=True)
        assert seen == ["frames"]
