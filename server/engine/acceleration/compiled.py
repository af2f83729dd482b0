"""A frame's stages compiled by torch.compile, in a thread of their own while frames go on without. torch, no requests.

Compiling takes minutes, once for each set of shapes; what it was compiled for is kept on disk by torch itself.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from ..sampling.pipeline import Pipeline
from .tensor_trees import tensors_of

KEPT_COMPILED = 4
"""Shapes that each stage is compiled for: each takes minutes of a processor."""

GIVES_WAY = 5e-4
"""Seconds after which a compiler, which is Python, lets another thread of Python on. A frame's threads ask for that
after each wait for the GPU and each message: at Python's own 5 ms, a frame of three waits of 2 ms took 32 ms beside a
busy thread in place of 6, and takes 11."""

Key = tuple[str, Hashable]
"""A stage's name, and the shapes of its inputs."""


class Compiler:
    """Compiles ``pipeline``'s stages for the inputs that it is offered. All but the compiling is for one thread only.

    ``backend`` and ``options`` are torch.compile's. Where compiling fails once, nothing is compiled any more.
    """

    def __init__(self, pipeline: Pipeline, backend: str = "inductor", **options: Any) -> None:
        # graphs are recorded by ourselves: those of inductor would be recorded anew whenever weights are changed
        compiled = partial(torch.compile, backend=backend, dynamic=False, **options)
        # of a step the nets alone: before the last one, which adds no noise, all else is another function
        nets = ("unet" if pipeline.quick is None else "quick", "control", "quick_control")
        fast: Any = {name: compiled(getattr(pipeline, name)) for name in nets if getattr(pipeline, name) is not None}
        step = replace(pipeline, **fast).step
        whole = {stage: compiled(getattr(pipeline, stage)) for stage in ("encode", "encode_control", "decode")}
        self.stages: dict[str, Callable[..., Any]] = {"step": step, **whole}
        """By their names, fast for the inputs that are ``ready``; with others they would compile first."""
        self._ready: set[Key] = set()
        self._thread: threading.Thread | None = None
        self._arrived: list[Key] = []
        self._sound = True

    @property
    def busy(self) -> bool:
        """Whether something is being compiled."""
        return self._thread is not None and self._thread.is_alive()

    def ready(self, key: Key) -> bool:
        """Whether the stage is compiled for inputs of ``key``."""
        while self._arrived:
            self._ready.add(self._arrived.pop())
        return key in self._ready

    def offer(self, key: Key, inputs: Callable[[], tuple[Any, ...]]) -> bool:
        """Begin to compile for ``inputs()``, which nobody else writes to; False where that is not to be."""
        if not self._sound or self.busy or self.ready(key):
            return False
        if sum(stage == key[0] for stage, _ in self._ready) >= KEPT_COMPILED:
            return False
        # guards of compiled code compare this, and OpenMP has it for each thread
        threads = torch.get_num_threads()
        self._thread = threading.Thread(
            target=self._compile, args=(key, inputs(), threads), name="compile", daemon=True
        )
        self._thread.start()
        return True

    def forget(self) -> None:
        """What was compiled holds no longer: plain numbers in the modules have changed."""
        self._arrived.clear()
        self._ready.clear()

    @torch.inference_mode()
    def _compile(self, key: Key, given: tuple[Any, ...], threads: int) -> None:
        torch.set_num_threads(threads)
        compiled = self.stages[key[0]]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(min(interval, GIVES_WAY))
        try:
            if (device := next(tensors_of(given)).device).type == "cuda":
                with torch.cuda.device(device), torch.cuda.stream(torch.cuda.Stream(device)):
                    compiled(*given)
                    torch.cuda.current_stream().synchronize()
            else:
                compiled(*given)
        except Exception as error:  # no compiler, no Triton, or one of their many ways to fail
            self._sound = False
            words = " ".join(str(error).split())[:300] or type(error).__name__
            print(f"engine: the model is not compiled: {words}", file=sys.stderr)
        else:
            self._arrived.append(key)
        finally:
            sys.setswitchinterval(interval)
