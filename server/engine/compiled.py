"""The UNet compiled by torch.compile, in a thread of its own while frames go on without it. torch, no requests.

Compiling takes minutes, once for each set of shapes; what it was compiled for is kept on disk by torch itself.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import torch

from .pipeline import Pipeline

KEPT_COMPILED = 4
"""Shapes that are compiled for: each takes minutes of a processor."""


class Compiler:
    """Compiles ``pipeline``'s step for the inputs that it is offered. All but the compiling is for one thread only.

    ``backend`` and ``options`` are torch.compile's. Where compiling fails once, nothing is compiled any more.
    """

    def __init__(self, pipeline: Pipeline, backend: str = "inductor", **options: Any) -> None:
        # graphs are recorded by ourselves: those of inductor would be recorded anew whenever weights are changed
        compiled = torch.compile(pipeline.unet, backend=backend, dynamic=False, **options)
        self.pipeline = replace(pipeline, unet=compiled)
        """The pipeline whose step is fast for the inputs that are ``ready``; with others it would compile first."""
        self._ready: set[Hashable] = set()
        self._thread: threading.Thread | None = None
        self._arrived: list[Hashable] = []
        self._sound = True

    @property
    def busy(self) -> bool:
        """Whether something is being compiled."""
        return self._thread is not None and self._thread.is_alive()

    def ready(self, key: Hashable) -> bool:
        """Whether the step is compiled for inputs of ``key``."""
        while self._arrived:
            self._ready.add(self._arrived.pop())
        return key in self._ready

    def offer(self, key: Hashable, inputs: Callable[[], tuple[Any, ...]]) -> bool:
        """Begin to compile for ``inputs()``, which nobody else writes to; False where that is not to be."""
        if not self._sound or self.busy or self.ready(key) or len(self._ready) >= KEPT_COMPILED:
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
        self.ready(None)
        self._ready.clear()

    @torch.inference_mode()
    def _compile(self, key: Hashable, given: tuple[Any, ...], threads: int) -> None:
        torch.set_num_threads(threads)
        try:
            if (device := given[0].device).type == "cuda":
                with torch.cuda.device(device), torch.cuda.stream(torch.cuda.Stream(device)):
                    self.pipeline.step(*given)
                    torch.cuda.current_stream().synchronize()
            else:
                self.pipeline.step(*given)
        except Exception as error:  # no compiler, no Triton, or one of their many ways to fail
            self._sound = False
            words = " ".join(str(error).split())[:300] or type(error).__name__
            print(f"engine: the UNet is not compiled: {words}", file=sys.stderr)
        else:
            self._arrived.append(key)
