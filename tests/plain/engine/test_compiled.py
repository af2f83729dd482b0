"""The compiled UNet: it takes over when it is done, computes the same, and its failure costs nothing."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from server.engine import ModelSpec
from server.engine.acceleration.compiled import GIVES_WAY, KEPT_COMPILED, Compiler
from server.engine.acceleration.graphs import RecordedPipeline
from server.engine.acceleration.quick_unet import quicken_unet
from server.engine.conditioning.conditions import Conditions
from server.engine.sampling.pipeline import Call, Depth, Guide, Pipeline
from tests.plain.engine.test_graphs import Repeats
from tools.bench.arms import load

NO_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="torch's own compiler needs one of C++ on a CPU")
Inputs = tuple[torch.Tensor, Call, Guide, Depth]


@pytest.fixture(params=["quick", "diffusers'"])
def pipeline(request: Any, model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    parts = load(ModelSpec(model()))
    monkeypatch.setattr("server.engine.acceleration.packed.LARGEST_PACKED", 0)  # as on a GPU
    made = Pipeline(parts.unet, parts.vae, torch.float32, adapter=parts.control)
    if request.param == "quick":
        made.quick = quicken_unet(parts.unet)
        assert made.quick is not None
    return made


@torch.inference_mode()
def inputs(pipeline: Pipeline, side: int = 8, seed: int = 0, rows: int = 1) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    call = Call(torch.tensor(499), torch.tensor(0.5), torch.tensor(0.25), draw(1, 4, side, side).repeat(rows, 1, 1, 1))
    latent = draw(1, 4, side, side).repeat(rows, 1, 1, 1)
    guide = Guide(draw(1, 77, pipeline.unet.config.cross_attention_dim).repeat(rows, 1, 1))
    (call,), guide = Conditions(pipeline.quick).add((call,), guide)
    return latent, call, guide, Depth()


def frames(recorded: RecordedPipeline, given: Inputs, count: int = 4) -> torch.Tensor:
    with torch.inference_mode():
        for _ in range(count):
            recorded.begin()
            result = recorded.step(*given)
        return result


def wait(recorded: RecordedPipeline) -> None:
    assert recorded._compiler is not None and recorded._compiler._thread is not None
    recorded._compiler._thread.join(600)
    assert not recorded.compiling


@pytest.mark.parametrize("pipeline", ["quick"], indirect=True)
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=[pytest.mark.slow, NO_COMPILER])])
def test_it_takes_over_when_it_is_done(pipeline: Pipeline, backend: str) -> None:
    record = Repeats()
    compiler = Compiler(pipeline, backend)
    recorded = RecordedPipeline(pipeline, record, compiler=compiler)
    given = inputs(pipeline)
    with torch.inference_mode():
        expected = pipeline.step(*given)
    assert torch.equal(frames(recorded, given, 1), expected)
    assert compiler._thread is None, "the first frame of a kind may be the only one"
    assert torch.allclose(frames(recorded, given), expected, atol=1e-5)
    wait(recorded)
    made = len(record.made)
    functions = watch(recorded)
    assert torch.allclose(frames(recorded, given), expected, atol=1e-4)
    assert len(record.made) == made + 1, "recorded once more, with what was compiled"
    assert functions == [compiler.stages["step"]]
    other = inputs(pipeline, seed=5)
    with torch.inference_mode():
        assert torch.allclose(frames(recorded, other, 1), pipeline.step(*other), atol=1e-4)


def test_what_is_not_recorded_is_never_compiled_within_a_frame(pipeline: Pipeline) -> None:
    """Its recording given up for others', a step goes the slow way: inputs laid out otherwise would be compiled for."""
    compiler = Compiler(pipeline, "eager")
    recorded = RecordedPipeline(pipeline, Repeats(), compiler=compiler)
    given = inputs(pipeline)
    expected = frames(recorded, given)
    wait(recorded)
    frames(recorded, given)
    recorded._recordings.clear()
    functions = watch(recorded)
    fast = compiler.stages["step"]
    compiler.stages["step"] = lambda *given: pytest.fail("compiled within a frame")
    assert torch.allclose(frames(recorded, given, 1), expected, atol=1e-4)
    compiler.stages["step"] = fast
    assert torch.allclose(frames(recorded, given, 4), expected, atol=1e-4)
    assert functions == [pipeline.step, fast], "then the fast way once more"


def watch(recorded: RecordedPipeline) -> list[Any]:
    """What is recorded from now on."""
    functions: list[Any] = []
    record = recorded._record

    def noting(function: Any, given: tuple[Any, ...]) -> Any:
        functions.append(function)
        return record(function, given)

    recorded._record = noting
    return functions


def test_weights_changed_in_place_are_followed(pipeline: Pipeline) -> None:
    recorded = RecordedPipeline(pipeline, Repeats(), compiler=Compiler(pipeline, "aot_eager"))
    given = inputs(pipeline)
    before = frames(recorded, given)
    wait(recorded)
    frames(recorded, given)
    with torch.inference_mode():
        for weight in pipeline.unet.parameters():
            weight.mul_(1.1)
        expected = pipeline.step(*given)
    assert not torch.allclose(expected, before, atol=1e-2)
    assert torch.allclose(frames(recorded, given), expected, atol=1e-4)


def test_changed_numbers_in_modules_have_it_compiled_anew(pipeline: Pipeline) -> None:
    compiler = Compiler(pipeline, "eager")
    recorded = RecordedPipeline(pipeline, Repeats(), compiler=compiler)
    given = inputs(pipeline)
    frames(recorded, given)
    wait(recorded)
    frames(recorded, given)
    first = compiler._thread
    pipeline.baked += 1
    functions = watch(recorded)
    frames(recorded, given)
    assert functions == [pipeline.step]
    assert compiler._thread is not first
    wait(recorded)


@pytest.mark.parametrize("pipeline", ["quick"], indirect=True)
def test_few_kinds_are_compiled_for(pipeline: Pipeline) -> None:
    compiler = Compiler(pipeline, "eager")
    recorded = RecordedPipeline(pipeline, Repeats(), compiler=compiler)
    threads = set()
    for side in range(8, 8 * (KEPT_COMPILED + 3), 8):
        frames(recorded, inputs(pipeline, side))
        wait(recorded)
        threads.add(compiler._thread)
        frames(recorded, inputs(pipeline, side))
    assert len(threads) == KEPT_COMPILED


@pytest.mark.parametrize("pipeline", ["quick"], indirect=True)
@pytest.mark.parametrize("fails", [False, True])
def test_a_compiler_gives_way_to_frames(pipeline: Pipeline, fails: bool) -> None:
    """It is Python, and a thread that waited for a GPU gets Python back only once the busy one lets go of it."""
    seen: list[float] = []

    def backend(graph: Any, examples: Any) -> Any:
        seen.append(sys.getswitchinterval())
        if fails:
            raise RuntimeError("no compiler here")
        return graph.forward

    before = sys.getswitchinterval()
    recorded = RecordedPipeline(pipeline, Repeats(), compiler=Compiler(pipeline, backend))  # type: ignore[arg-type]
    frames(recorded, inputs(pipeline))
    wait(recorded)
    assert seen == [pytest.approx(GIVES_WAY)] and before > GIVES_WAY
    assert sys.getswitchinterval() == before


def test_what_cannot_be_compiled_goes_on_as_it_was(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(graph: Any, examples: Any) -> Any:
        raise RuntimeError("no compiler here\nand more of it")

    record = Repeats()
    recorded = RecordedPipeline(pipeline, record, compiler=Compiler(pipeline, broken))  # type: ignore[arg-type]
    given = inputs(pipeline)
    with torch.inference_mode():
        expected = pipeline.step(*given)
    frames(recorded, given)
    wait(recorded)
    assert torch.equal(frames(recorded, given), expected)
    assert record.made == ["step"]
    assert capsys.readouterr().err.count("no compiler here") == 1


def test_frames_in_one_go_are_another_kind(pipeline: Pipeline) -> None:
    compiler = Compiler(pipeline, "eager")
    recorded = RecordedPipeline(pipeline, Repeats(), compiler=compiler)
    one = inputs(pipeline)
    frames(recorded, one)
    wait(recorded)
    both = frames(recorded, inputs(pipeline, rows=2), 2)
    assert torch.allclose(both[1:], frames(recorded, one), atol=1e-4)


def test_all_stages_are_compiled_one_after_the_other_and_each_in_one_piece(pipeline: Pipeline) -> None:
    """Whatever Python is left between two pieces would be computed in every frame."""
    pieces: list[Any] = []

    def backend(graph: Any, examples: Any) -> Any:
        pieces.append(graph)
        return graph.forward

    compiler = Compiler(pipeline, backend)  # type: ignore[arg-type]
    recorded = RecordedPipeline(pipeline, Repeats(), compiler=compiler)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (64, 64, 3), dtype=torch.uint8, generator=generator)
    near = torch.rand(64, 64, generator=generator)
    given = inputs(pipeline)

    @torch.inference_mode()
    def frame(stages: Pipeline | RecordedPipeline) -> torch.Tensor:
        latent = stages.encode(image, 64, 64, torch.tensor(0.7), given[0])
        depth = stages.encode_control(near, 64, 64, torch.tensor(0.8), 1)
        return stages.decode(stages.step(latent, given[1], given[2], depth))[0]

    expected = frame(pipeline).int()
    functions = watch(recorded)
    for _ in range(40):
        recorded.begin()
        assert (frame(recorded).int() - expected).abs().max() <= 1
        if compiler._thread is not None:
            compiler._thread.join(600)
    assert set(compiler.stages.values()) <= set(functions)
    assert len(pieces) == len(compiler.stages) == 4
