"""Which model is loaded, and how another takes its place. Standard library and the wire; no torch by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from addon.problems import Problem, Report
from addon.problems.serving import (
    LoadedWithout,
    LoadingStep,
    MemoryReleased,
    ModelKept,
    ModelRestored,
    ModelSwapped,
    OtherModelLoading,
    OutOfMemory,
    ReloadFailed,
)
from addon.wire import Request, Status
from addon.wire.messages import State

from ..engine import EngineError
from .adapters import TakesAdapters
from .metrics import Metrics
from .reports import line, problem_of, status_of

OnStep = Callable[[int, int], None]


class EngineOutput(Protocol):
    """What an engine makes of a request: ``image`` uint8, H x W x 3, sRGB; ``timings`` in milliseconds by stage."""

    @property
    def image(self) -> NDArray[np.uint8]: ...
    @property
    def timings(self) -> dict[str, float]: ...


class Engine(TakesAdapters, Protocol):
    """What the worker needs of an engine: loaded in any thread, then used in the worker's only."""

    @property
    def name(self) -> str: ...
    @property
    def memory_bytes(self) -> int: ...
    def history(self) -> Any: ...
    def render(self, request: Request, on_step: OnStep | None = None, history: Any = None) -> EngineOutput: ...
    def render_batch(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Sequence[EngineOutput]: ...
    def close(self) -> None: ...


log = logging.getLogger(__name__)
RETRY_SECONDS = 5.0
"""Between two tries to load again a model whose memory was given back."""
OnProgress = Callable[[float, str], None]
Load = Callable[[OnProgress], Engine]
"""Loads an engine, reporting a fraction from 0 to 1 and what is being done, in words."""


class Abandoned(Exception):
    """Raised between two steps to leave a frame or a load that nobody waits for any more."""


@dataclass(frozen=True)
class _Wish:
    model: str
    load: Load


class ModelInUse:
    """The loaded engine. Everything but :meth:`wish` and the attributes is for the worker's thread.

    Another model is loaded in a thread of its own while the one that is there goes on serving; where there is too
    little memory for both, but enough for one, the old one is closed first, and loaded again if the new one can't be.
    ``status`` is told to ``on_status`` at each change; ``wake`` is called when :meth:`follow` has something to do.
    """

    def __init__(
        self,
        load: Load,
        model: str,
        metrics: Metrics,
        on_status: Callable[[Status], None],
        wake: Callable[[], None],
    ) -> None:
        self.status = status_of("loading", 0, model)
        self.problem: Problem | None = None
        """Why the newest load failed; None once one went well."""
        self.stopping = False
        self.used = time.perf_counter()
        """When a frame or a load was last begun or ended, by ``time.perf_counter``."""
        self._now = _Wish(model, load)
        self._metrics = metrics
        self._on_status = on_status
        self._wake = wake
        self._engine: Engine | None = None
        self._next: _Wish | None = None
        self._loading: _Wish | None = None
        self._beside: threading.Thread | None = None
        self._arrived: tuple[_Wish, Engine | Exception] | None = None
        self._released = False
        self._next_try = float("-inf")
        self._lock = threading.Lock()  # of the next wish

    @property
    def model(self) -> str:
        """The name by which the model that serves was asked for."""
        return self._now.model

    @property
    def models(self) -> set[str]:
        """The names of the model that serves and of those that are loaded or waited for in its place."""
        return {self._now.model, *(wish.model for wish in (self._next, self._loading) if wish is not None)}

    def wish(self, model: str, load: Load) -> None:
        """Have ``model`` loaded by ``load`` next, in place of any earlier wish. From any thread."""
        with self._lock:
            self._next = _Wish(model, load)

    def idle_in(self, seconds: float) -> float | None:
        """How long until the model has been idle for ``seconds``; None while there is nothing to release."""
        if not seconds or self._engine is None or self._beside is not None:
            return None
        return max(0.0, self.used + seconds - time.perf_counter())

    @property
    def compiling(self) -> bool:
        """Whether the engine, where it is one that compiles, does so now. From any thread."""
        return getattr(self._engine, "compiling", False)

    def load_first(self) -> None:
        """Load the model that the server was started with."""
        self._load_here(self._now)

    def engine(self) -> Engine | None:
        """The engine for the next frame, loaded again if it was released; None if it can't be loaded."""
        self.used = time.perf_counter()
        if self._engine is None and self._released and self.used >= self._next_try and not self._load_here(self._now):
            # Another program, a render in Blender perhaps, may have the memory just now: it is tried again with a
            # later frame. A status of "failed" would have no client ask for one.
            self._released, self._next_try = True, time.perf_counter() + RETRY_SECONDS
            if self.problem is not None:  # else the server is ending
                self._set("ready", 0, self._now.model, ReloadFailed(self._now.model, self.problem))
        return self._engine

    def follow(self) -> bool:
        """Do what was wished for, as far as it can be done now. Returns whether the engine is another one."""
        before = self._engine
        if self._arrived is not None:
            assert self._beside is not None
            self._beside.join()
            (wish, result), self._arrived, self._beside = self._arrived, None, None
            self._take(wish, result)
            self._loading = None
        if self._next is not None and self._beside is None:
            with self._lock:
                wish = self._loading = self._next
                self._next = None
            if self._released:
                self._load_in_place_of_released(wish)
            elif self._engine is None:
                self._load_here(wish)
            else:
                self._beside = threading.Thread(target=self._load_beside, args=(wish,), name="loading", daemon=True)
                self._beside.start()
                return False
            self._loading = None
        return self._engine is not before

    def release(self, seconds: float) -> None:
        """Give the model's memory back; the next frame loads it again. ``seconds``: without a frame, for the status."""
        if self._engine is None:
            return
        name = self._close()
        self._released = True
        self._set("ready", 0, name, MemoryReleased(name, seconds))

    def close(self) -> None:
        """Close the engine. A load that is under way is left to end with the process."""
        self._close()

    def _close(self) -> str:
        engine, self._engine = self._engine, None
        if engine is None:
            return self._now.model
        _shut(engine)
        return engine.name

    def _take(self, wish: _Wish, result: Engine | Exception) -> None:
        """``result`` is what loading ``wish`` beside the engine came to."""
        old = self._engine
        assert old is not None
        if not isinstance(result, Exception):
            _shut(old)
            self._adopt(wish, result)
        elif isinstance(result, Abandoned):
            self._ready(old)
        elif _would_fit_alone(problem := problem_of(result), old):
            name = self._close()
            self._set("loading", 0, wish.model, ModelSwapped(wish.model, name))
            before = self._now
            if not self._load_here(wish) and (cause := self.problem) is not None and self._load_here(before):
                assert self._engine is not None
                self._ready(self._engine, ModelRestored(wish.model, self._engine.name, cause))
        else:
            log_failure(f"the model {wish.model} could not be loaded", result)
            self._ready(old, ModelKept(wish.model, old.name, problem))

    def _load_beside(self, wish: _Wish) -> None:
        old = self._engine
        assert old is not None

        def report(fraction: float, words: str) -> None:
            if self.stopping or self._next is not None:
                raise Abandoned
            self._ready(old, OtherModelLoading(wish.model, old.name, round(100 * fraction), words))

        result: Engine | Exception
        try:
            result = wish.load(report)
        except Exception as error:  # told by the worker's thread, in which the old model lives on
            result = error
        self._arrived = (wish, result)
        self._wake()

    def _load_in_place_of_released(self, wish: _Wish) -> None:
        """Load ``wish``; where that fails, the model whose memory was given back is still the one that serves."""
        before = self._now
        if not self._load_here(wish) and self.problem is not None:
            self._now, self._released = before, True
            self._set("ready", 0, before.model, ModelKept(wish.model, before.model, self.problem))

    def _load_here(self, wish: _Wish) -> bool:
        """Load in this thread, with nothing to serve meanwhile. Returns whether that went well."""
        self._released, self.problem = False, None

        def report(fraction: float, words: str) -> None:
            if self.stopping:
                raise Abandoned
            self._set("loading", round(100 * min(max(fraction, 0.0), 1.0)), wish.model, LoadingStep(words))

        try:
            engine = wish.load(report)
        except Abandoned:
            return False
        except Exception as error:  # the server stays up to say what went wrong
            log_failure(f"the model {wish.model} could not be loaded", error)
            self.problem = problem_of(error)
            self._set("failed", self.status.percent, wish.model, self.problem)
            return False
        self._adopt(wish, engine)
        return True

    def _adopt(self, wish: _Wish, engine: Engine) -> None:
        self._engine, self._now = engine, wish
        self.used = time.perf_counter()
        log.info("the model %s is loaded", engine.name)
        left_out = getattr(engine, "left_out", "")  # an engine of few words leaves nothing out
        if control := getattr(engine, "control", ""):
            log.info("its pictures follow depth by %s", control)
        self._ready(engine, LoadedWithout(left_out) if left_out else None)

    def _ready(self, engine: Engine, report: Report | None = None) -> None:
        self._set("ready", 100, engine.name, report)

    def _set(self, state: State, percent: float, model: str, report: Report | None) -> None:
        control = line(getattr(self._engine, "control", ""), 400)
        status = replace(status_of(state, percent, model, report), control=control)
        if status == self.status:
            return
        self.status = status
        self._metrics.loaded.set(status.percent / 100)
        self._on_status(status)


def _would_fit_alone(problem: Problem, engine: Engine) -> bool:
    """Whether memory ran out, and may suffice once ``engine`` is closed, which frees somewhat more than its weights."""
    return isinstance(problem, OutOfMemory) and problem.missing <= 1.2 * engine.memory_bytes


def _shut(engine: Engine) -> None:
    """Close ``engine``; that a GPU which failed lets go of nothing mustn't end the thread that answers clients."""
    try:
        engine.close()
    except Exception as error:
        log_failure("the model could not be closed", error)


def log_failure(what: str, error: Exception) -> None:
    """One line for a failure that was foreseen; with the traceback where it was not."""
    log.error("%s: %s", what, error, exc_info=None if isinstance(error, EngineError) else error)
