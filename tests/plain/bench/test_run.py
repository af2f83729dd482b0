"""Which arms a model gets on a GPU: the same code on a CPU, told that it is one. Real processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from addon.live import Address
from addon.wire import Request
from server.engine import ModelSpec, StableDiffusionLcm
from server.serving.model_in_use import EngineOutput
from tests.plain.server.engines import Lent
from tests.plain.server.rig import serving
from tools.bench import frames, jpeg, loop, models, stock
from tools.bench.arguments import parse
from tools.bench.loop import Loops
from tools.bench.measure import LEAST_DECIBELS
from tools.bench.report import table
from tools.bench.run import Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    folder = models.write_small(tmp_path / "sd15", "sd15")
    monkeypatch.setattr(models, "find", lambda name, work, device: (ModelSpec(folder), str(folder)))
    monkeypatch.setattr(stock, "_compile", lambda module: None)  # takes a minute
    arguments = ["--size", "64", "--rounds", "1", "--no-growth", "--device", "cpu", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(Bench, "_frames", 2)
    monkeypatch.setattr(Bench, "_warm", 1)
    made = Bench(torch.device("cpu"), tmp_path, parse(arguments))
    made._cuda, made._dtype = True, torch.bfloat16
    made._given.steps = [2, 1]
    return made


@pytest.mark.slow
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

    monkeypatch.setattr("tools.bench.run.references", none)
    bench._given.steps, bench._given.no_compiled = [1], True
    bench.model("sd15")
    rows = {row.arm: row for row in bench.rows}
    assert rows["diffusers, float32, to compare with"].failed == "OutOfMemoryError: CUDA out of memory"
    assert rows["diffusers, bfloat16"].decibels is None and rows["diffusers, bfloat16"].frames
    assert rows["ours, bfloat16"].decibels > LEAST_DECIBELS
    assert rows["ours, whole loop over shared memory, compiled, depth"].failed == "left out: --no-compiled"


def test_growth_that_there_is_no_time_for_is_told(bench: Bench) -> None:
    bench._end = 0.0
    bench.growth(["sd15"])
    assert len(bench.grown) == 4 + 4 + 2, "sizes, steps, clients of two servers"
    assert {row.failed for row in bench.grown} == {"left out: out of time, --minutes gives more"}
    assert "| by steps | left out: out of time" in table(bench.grown, compared=False)


def test_the_most_important_comes_first(tmp_path: Path) -> None:
    assert parse(["--out", str(tmp_path)]).steps == [4, 2, 1]
    assert parse(["--steps", "2", "8", "4", "--out", str(tmp_path)]).steps == [2, 8, 4]


class Compiles(Lent):
    """Compiles for so many seconds, once, from the end of its first frame on."""

    def __init__(self, engine: StableDiffusionLcm, seconds: float) -> None:
        super().__init__(engine)
        self._lasts, self._end, self.frames = seconds, 0.0, [0, 0]

    @property
    def compiling(self) -> bool:
        return time.monotonic() < self._end

    def render(self, request: Request, on_step: Any = None) -> EngineOutput:
        self.frames[self._end > 0 and not self.compiling] += 1
        rendered = super().render(request, on_step)
        self._end = self._end or time.monotonic() + self._lasts
        return rendered


@contextmanager
def loops_of(engine: Compiles) -> Iterator[Loops]:
    with serving(engine.load) as (address, _):
        loops = Loops.__new__(Loops)
        loops._server = SimpleNamespace(check=lambda: None, stop=lambda: None)  # type: ignore[assignment]
        loops._address = Address(f"ws://127.0.0.1:{address.port}/live", address.token)
        loops._last, loops._loops = None, {True: [], False: []}
        with loops:
            yield loops


def test_a_server_that_compiles_is_waited_for(engine: StableDiffusionLcm) -> None:
    compiles = Compiles(engine, 3.0)
    with loops_of(compiles) as loops:
        loops.settle(frames.request(0, 64, 1, False), near=True)
        assert not compiles.compiling
        assert compiles.frames[1] >= loop.STAGES_TO_RECORD, "what was compiled is recorded after it"


def test_a_server_that_never_ends_compiling_is_given_up(
    engine: StableDiffusionLcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "COMPILING", 1.5)
    compiles = Compiles(engine, 600)
    with loops_of(compiles) as loops:
        with pytest.raises(RuntimeError, match="still compiling"):
            loops.settle(frames.request(0, 64, 1, False), near=True)
        assert compiles.frames[1] == 0


def test_each_codec_for_a_slow_link_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    cpu = torch.device("cpu")
    made = jpeg.measure(jpeg.codecs(cpu), cpu, 128, turns=2)
    assert list(made) == ["simplejpeg", "Pillow"]
    for milliseconds, size, decibels in made.values():
        assert milliseconds > 0 and 2_000 < size < 128 * 128 and decibels > 35
    assert "no nvJPEG: it needs CUDA" in capsys.readouterr().err
