"""Real engines in wrappings: slower, or held until a test lets them go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addon.wire import Request
from server.engine import LoraFile, StableDiffusionLcm
from server.serving.worker import Engine, EngineOutput

OnStep = Callable[[int, int], None] | None
Report = Callable[[float, str], None]


class Lent:
    """``engine`` for one server: it stays open for the next one. Renders as ``engine`` does, ``seconds`` slower."""

    def __init__(self, engine: StableDiffusionLcm, seconds: float = 0.0) -> None:
        self.name = engine.name
        self._engine = engine
        self._seconds = seconds
        self.memory_bytes, self.left_out = engine.memory_bytes, engine.left_out

    def load(self, report: Report) -> Engine:
        """What a server calls to load its engine."""
        report(0.5, "half way")
        return self

    def history(self) -> Any:
        return self._engine.history()

    def render(self, request: Request, on_step: OnStep = None, history: Any = None) -> EngineOutput:
        rendered = self._engine.render(request, on_step, history)
        time.sleep(self._seconds)
        return rendered

    def render_batch(self, requests: Sequence[Request], on_step: OnStep = None) -> Sequence[EngineOutput]:
        rendered = self._engine.render_batch(requests, on_step)
        time.sleep(self._seconds)
        return rendered

    def use_loras(self, loras: tuple[LoraFile, ...]) -> None:
        self._engine.use_loras(loras)

    def use_reference(self, image: NDArray[np.uint8] | None, weight: float = 1.0) -> None:
        self._engine.use_reference(image, weight)

    def close(self) -> None:
        """Nothing: the engine is lent."""


class Held(Lent):
    """Stands still before each frame, after saying which, until it is let go; then renders."""

    def __init__(self, engine: StableDiffusionLcm) -> None:
        super().__init__(engine)
        self.started: list[int] = []
        self._go = threading.Semaphore(0)

    def go(self, frames: int = 1) -> None:
        """Let ``frames`` frames pass."""
        self._go.release(frames)

    def render(self, request: Request, on_step: OnStep = None, history: Any = None) -> EngineOutput:
        self.started.append(request.frame.id)
        if not self._go.acquire(timeout=600):
            raise RuntimeError("the test never let the frame go")
        return super().render(request, on_step, history)
