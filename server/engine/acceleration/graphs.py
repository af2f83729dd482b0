"""A picture's computation, recorded once as CUDA graphs and replayed. torch, no requests.

On a GPU a UNet call is 700 small kernels, and eager mode takes longer to launch them than they take to run.

Each of a pipeline's stages is recorded for each set of shapes that its inputs come in, so that another number of
steps, seed, strength or prompt needs no new recording, and neither do other LoRAs, whose weights change in place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from typing import Any

import torch

from ..cache import Recent
from ..sampling.pipeline import Call, Depth, Guide, Pipeline
from .compiled import Compiler
from .tensor_trees import map_tensors, shape_of, tensors_of

KEPT_RECORDINGS = 16
"""Four stages of four sizes. Their scratch memory is shared, so that each costs little more than its inputs."""

Function = Callable[..., Any]
Recording = Callable[[tuple[Any, ...]], Any]
"""Repeats a function with other values of the same shapes; the result is the caller's own."""
Record = Callable[[Function, tuple[Any, ...]], Recording]


class RecordedPipeline:
    """A pipeline's stages, recorded as they come up again.

    The first frame of its kind is computed as it is, which also has the libraries choose their kernels. Then a frame
    records one stage at most, so that none is late by more than about a UNet call; until all are recorded, the rest
    goes on as it is. ``record`` makes a recording, :class:`CudaGraphs` as a rule; where that fails once, all goes on
    unrecorded. Call :meth:`begin` before each frame.

    With a ``compiler`` stages are compiled, one after the other, once a frame has found all recorded, and recorded
    again when that is done. Nothing is recorded meanwhile: what a compiler does on a GPU must not end up in one.
    """

    def __init__(
        self, pipeline: Pipeline, record: Record, kept: int = KEPT_RECORDINGS, compiler: Compiler | None = None
    ) -> None:
        self._pipeline, self._record, self._compiler = pipeline, record, compiler
        self._compiled: set[Hashable] = set()
        self._recordings: Recent[list[Recording]] = Recent(kept)
        self._baked = pipeline.baked
        self._may_record, self._is_settled = True, False
        self.sound = True

    @property
    def compiling(self) -> bool:
        """Whether something is being compiled, so that frames will be faster soon."""
        return self._compiler is not None and self._compiler.busy

    def begin(self) -> None:
        """A frame begins."""
        self._is_settled, self._may_record = self._may_record, True  # whether the last one found nothing to record
        if self._baked != self._pipeline.baked:
            self._baked = self._pipeline.baked
            self.clear()
            if self._compiler is not None:
                self._compiler.forget()

    def clear(self) -> None:
        """Forget all recordings, and give their memory back."""
        self._recordings.clear()
        self._compiled.clear()

    def encode(
        self, image: torch.Tensor, height: int, width: int, signal: torch.Tensor, start: torch.Tensor
    ) -> torch.Tensor:
        return self._run("encode", _anew(image), height, width, signal, start)

    def encode_control(self, depth: torch.Tensor, height: int, width: int, weight: torch.Tensor, rows: int) -> Depth:
        return self._run("encode_control", _anew(depth), height, width, weight, rows)

    def step(self, latent: torch.Tensor, call: Call, guide: Guide, depth: Depth) -> torch.Tensor:
        return self._run("step", latent, call, guide, depth)

    def decode(self, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self._run("decode", latent)

    def _run(self, stage: str, *given: Any) -> Any:
        function = getattr(self._pipeline, stage)
        if not self.sound:
            return function(*given)
        key, compiler = (stage, shape_of(given)), self._compiler
        fast = None
        if compiler is not None:
            # what is compiled of a step is the same before the last call, which adds no noise
            kind = (stage, shape_of((given[0], *given[2:]))) if stage == "step" else key
            made = self._recordings.peek(key)
            if not compiler.ready(kind):
                if made and self._is_settled:
                    compiler.offer(kind, lambda: map_tensors(given, torch.clone))
            elif made and key not in self._compiled and self._may_record and not self.compiling:
                self._compiled.add(key)
                made.clear()
            elif not made:
                # inputs with other strides would have what is compiled made anew, within this frame
                self._compiled.discard(key)
            if key in self._compiled:
                fast = compiler.stages[stage]
        return self._repeat(key, fast or function, given)

    def _repeat(self, key: Hashable, function: Function, given: tuple[Any, ...]) -> Any:
        """Of ``function`` the recording, where there is one; it is made where it is due."""
        known = True

        def first() -> list[Recording]:
            nonlocal known
            known = False
            return []

        made = self._recordings.get(key, first)
        if known and not made and self._may_record and not self.compiling:
            self._may_record = False
            try:
                made.append(self._record(function, given))
            except RuntimeError as error:
                self.sound = False
                self.clear()
                print(f"engine: frames are not recorded as CUDA graphs: {error}", file=sys.stderr)
        return made[0](given) if made and self.sound else function(*given)


def _anew(plane: torch.Tensor) -> torch.Tensor:
    """``plane`` as another tensor: what was uploaded may be a buffer that each frame writes over."""
    return plane.view(plane.shape)


class CudaGraphs:
    """Records what runs on ``device`` by CUDA graphs.

    They share one pool of scratch memory, which is why results are copied out of it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)

    def __call__(self, function: Function, given: tuple[Any, ...]) -> Recording:
        with torch.cuda.device(self._device):  # a recording is of the current one, which need not be this
            return self._record(function, given)

    def _record(self, function: Function, given: tuple[Any, ...]) -> Recording:
        inputs = Inbox(given)
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            function(*inputs.held)  # the libraries make their workspaces of this stream, outside the recording
        torch.cuda.current_stream().wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # the other threads may go on allocating meanwhile: one of them may be loading the next model
        recording = torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local")
        # where a recording fails as it ends, torch stays on its stream, which waits for nothing that this frame began
        with torch.cuda.stream(torch.cuda.current_stream()), recording:
            result = function(*inputs.held)

        def repeat(values: tuple[Any, ...]) -> Any:
            inputs.put(values)
            graph.replay()
            return map_tensors(result, torch.clone)

        return repeat


class Inbox:
    """Tensors that stay where they are, into which the values of each call are copied."""

    def __init__(self, given: tuple[Any, ...]) -> None:
        self.held: tuple[Any, ...] = map_tensors(given, torch.clone)
        self._tensors = list(tensors_of(self.held))
        self._last: list[torch.Tensor | None] = [None] * len(self._tensors)

    def put(self, values: tuple[Any, ...]) -> None:
        """Copy ``values`` in, but for those that are the very tensors of the last time: none is changed in place."""
        for index, value in enumerate(tensors_of(values)):
            if value is not self._last[index]:
                self._tensors[index].copy_(value, non_blocking=True)
                self._last[index] = value
