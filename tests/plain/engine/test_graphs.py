"""Recordings: the same pictures, made when due, bounded, and never a reason for a frame to fail."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from server.engine import StableDiffusionLcm
from server.engine.acceleration.graphs import CudaGraphs, Inbox, RecordedPipeline
from server.engine.acceleration.priority import NICENESS, give_way
from server.engine.acceleration.tensor_trees import map_tensors
from tests.plain.engine.conftest import make_request

Engine = Callable[..., StableDiffusionLcm]


class Repeats:
    """What a CUDA graph does, on a CPU: the function, on inputs that stay where they are."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, function: Callable[..., Any], given: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], Any]:
        self.made.append(function.__name__)
        inputs = Inbox(given)

        def repeat(values: tuple[Any, ...]) -> Any:
            inputs.put(values)
            return map_tensors(function(*inputs.held), torch.clone)

        return repeat


@pytest.fixture
def recorded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> tuple[StableDiffusionLcm, Repeats]:
    made, record = engine(), Repeats()
    monkeypatch.setattr(made, "_sums", RecordedPipeline(made._pipeline, record))
    return made, record


def test_pictures_stay_the_same(recorded: tuple[StableDiffusionLcm, Repeats], engine: Engine) -> None:
    made, record = recorded
    requests = [
        make_request(steps=steps, seed=seed, strength=strength, depth=depth, frame_seed=seed, prompt=prompt)
        for seed in (1, 2, 3)
        for steps, strength, depth, prompt in ((2, 0.5, 0.0, "a"), (4, 0.8, 0.7, "b"), (1, 1.0, 0.0, "a"))
    ]
    plain = RecordedPipeline(made._pipeline, record)
    plain.sound = False
    fast = [made.render(request).image for _ in range(3) for request in requests]
    made._sums = plain
    slow = [made.render(request).image for request in requests]
    assert set(record.made) == {"encode", "encode_control", "step", "decode"}
    for index, picture in enumerate(fast):
        assert np.array_equal(picture, slow[index % len(slow)])


def test_a_frame_records_one_stage_at_most(recorded: tuple[StableDiffusionLcm, Repeats]) -> None:
    made, record = recorded
    counts = []
    for seed in range(8):
        made.render(make_request(steps=1, strength=0.5, seed=seed, depth=1.0))
        counts.append(len(record.made))
    assert counts[0] == 0
    assert all(after - before <= 1 for before, after in itertools.pairwise(counts))
    assert sorted(record.made) == ["decode", "encode", "encode_control", "step"]


def test_few_are_kept(engine: Engine) -> None:
    record = Repeats()
    sums = RecordedPipeline(engine()._pipeline, record, kept=2)
    for _ in range(3):
        for side in (8, 16, 24, 32):
            sums.begin()
            sums.decode(torch.zeros(1, 4, side, side))
    assert len(sums._recordings) == 2


def test_what_cannot_be_recorded_is_computed_as_it_is(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
        raise RuntimeError("not permitted while capturing")

    made = engine()
    expected = made.render(make_request()).image
    monkeypatch.setattr(made, "_sums", RecordedPipeline(made._pipeline, refuse))
    for _ in range(3):
        assert np.array_equal(made.render(make_request()).image, expected)
    assert capsys.readouterr().err.count("not permitted while capturing") == 1


def test_numbers_baked_into_modules_void_recordings(recorded: tuple[StableDiffusionLcm, Repeats]) -> None:
    made, record = recorded
    for _ in range(4):
        made.render(make_request())
    before = len(record.made)
    made._pipeline.baked += 1
    for _ in range(4):
        made.render(make_request())
    assert len(record.made) == 2 * before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_cuda_graphs_repeat_what_eager_computes(model: Callable[..., Any]) -> None:
    made = StableDiffusionLcm.load(model(), "cuda", dtype=torch.float32)
    requests = [make_request(steps=2, seed=seed, frame_seed=seed, depth=1.0) for seed in range(4)]
    eager = [made.render(request).image.astype(int) for request in requests[:1]]
    for _ in range(3):
        fast = [made.render(request).image.astype(int) for request in requests]
    assert isinstance(made._sums, RecordedPipeline) and made._sums.sound and isinstance(made._sums._record, CudaGraphs)
    assert np.abs(fast[0] - eager[0]).max() <= 1


def test_a_failed_recording_leaves_the_stream_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch's own does it: what fails within fails once more at the end, before the stream is set back."""
    streams = ["frame's"]

    class Stream:
        def wait_stream(self, other: Any) -> None:
            pass

    @contextlib.contextmanager
    def stream(of: Any) -> Iterator[None]:
        before = streams[-1]
        streams.append(of)
        try:
            yield
        finally:
            streams.append(before)

    class Graph:
        def __init__(self, graph: Any, **options: Any) -> None:
            self._stream = options["stream"]

        def __enter__(self) -> None:
            streams.append(self._stream)

        def __exit__(self, *error: object) -> None:
            raise RuntimeError("operation failed due to a previous error during capture")

    for name, fake in {"Stream": lambda device: Stream(), "stream": stream, "graph": Graph}.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    waiting = type("Waiting", (str,), {"wait_stream": lambda self, other: None})
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: waiting(streams[-1]))
    with pytest.raises(RuntimeError, match="during capture"):
        CudaGraphs(torch.device("cuda"))(lambda x: x + 1, (torch.zeros(2),))
    assert len(streams) > 4 and streams[-1] == "frame's"


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
def test_the_engines_thread_gives_way() -> None:
    seen: list[int] = []

    def work() -> None:
        give_way()
        give_way()
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [max(NICENESS, before)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
