"""Which model is loaded, and how another takes its place. Standard library and the wire; no torch by itself."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from addon.wire import LOADED, Request, Status

from ..engine import EngineError
from .adapters import Dressable
from .metrics import Metrics

OnStep = Callable[[int, int], None]


class Rendered(Protocol):
    """What an engine makes of a request: ``image`` uint8, H x W x 3, sRGB; ``timings`` in milliseconds by stage."""

    @property
    def image(self) -> NDArray[np.uint8]: ...
    @property
    def timings(self) -> dict[str, float]: ...


class Engine(Dressable, Protocol):
    """What the worker needs of an engine: loaded in any thread, then used in the worker's only."""

    @property
    def name(self) -> str: ...
    @property
    def memory_bytes(self) -> int: ...
    def history(self) -> Any: ...
    def render(self, request: Request, on_step: OnStep | None = None, history: Any = None) -> Rendered: ...
    def render_together(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Sequence[Rendered]: ...
    def close(self) -> None: ...


RETRY_SECONDS = 5.0
"""Between two tries to load again a model whose memory was given back."""
Report = Callable[[float, str], None]
Load = Callable[[Report], Engine]
"""Loads an engine, reporting a fraction from 0 to 1 and what is being done, in words."""


class Abandoned(Exception):
    """Raised between two steps to leave a frame or a load that nobody waits for any more."""


@dataclass(frozen=True)
class _Wish:
    model: str
    load: Load


class Holder:
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
        self.status = Status("loading", 0, line(model, 400), sentence="The model is being loaded.")
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
            words = f"{self._now.model} could not be loaded again, which a later frame will try: {self.status.sentence}"
            self._set(Status("ready", 0, line(self._now.model, 400), sentence=line(words, 4000)))
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
        words = (
            f"The memory of {name} was given back after {seconds:g} seconds without a frame; the next loads it again."
        )
        self._set(Status("ready", 0, line(name, 400), sentence=line(words, 4000)))

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
            self._say(old, LOADED)
        elif isinstance(result, EngineError) and result.code == "out_of_memory" and _would_fit(result, old):
            name = self._close()
            first = f"There is too little memory for both: {name} is released before {wish.model} is loaded."
            self._set(Status("loading", 0, line(wish.model, 400), sentence=line(first, 4000)))
            before = self._now
            if not self._load_here(wish) and not self.stopping:
                words = self.status.sentence
                if self._load_here(before):
                    assert self._engine is not None
                    self._say(
                        self._engine, f"{wish.model} could not be loaded, so {self._engine.name} is back: {words}"
                    )
        else:
            _log(result)
            self._say(old, f"{wish.model} could not be loaded, so {old.name} stays: {sentence(result)}")

    def _load_beside(self, wish: _Wish) -> None:
        old = self._engine
        assert old is not None

        def report(fraction: float, words: str) -> None:
            if self.stopping or self._next is not None:
                raise Abandoned
            self._say(
                old, f"{wish.model} is being loaded, {fraction:.0%}: {words}; {old.name} serves until it is ready."
            )

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
        if not self._load_here(wish) and not self.stopping:
            words = f"{wish.model} could not be loaded, so {before.model} stays: {self.status.sentence}"
            self._now, self._released = before, True
            self._set(Status("ready", 0, line(before.model, 400), sentence=line(words, 4000)))

    def _load_here(self, wish: _Wish) -> bool:
        """Load in this thread, with nothing to serve meanwhile. Returns whether that went well."""
        self._released = False

        def report(fraction: float, words: str) -> None:
            if self.stopping:
                raise Abandoned
            percent = round(100 * min(max(fraction, 0.0), 1.0))
            self._set(Status("loading", percent, line(wish.model, 400), sentence=line(words, 4000)))

        try:
            engine = wish.load(report)
        except Abandoned:
            return False
        except Exception as error:  # the server stays up to say what went wrong
            _log(error)
            self._set(Status("failed", self.status.percent, line(wish.model, 400), sentence=sentence(error)))
            return False
        self._adopt(wish, engine)
        return True

    def _adopt(self, wish: _Wish, engine: Engine) -> None:
        self._engine, self._now = engine, wish
        self.used = time.perf_counter()
        self._say(engine, getattr(engine, "left_out", "") or LOADED)  # an engine of few words leaves nothing out

    def _say(self, engine: Engine, words: str) -> None:
        self._set(Status("ready", 100, line(engine.name, 400), sentence=line(words, 4000)))

    def _set(self, status: Status) -> None:
        if status == self.status:
            return
        self.status = status
        self._metrics.loaded.set(status.percent / 100)
        self._on_status(status)


def _would_fit(shortage: EngineError, engine: Engine) -> bool:
    """Whether there may be enough once ``engine`` is closed, which frees somewhat more than its weights take."""
    return shortage.missing <= 1.2 * engine.memory_bytes


def sentence(error: Exception) -> str:
    """What ``error`` says, as a message may carry it."""
    return line(str(error), 3900) or type(error).__name__


def line(text: str, longest: int) -> str:
    """``text`` as a message may carry it: one line, and valid Unicode, which a path need not be."""
    return " ".join(text.split()).encode("utf-8", "replace").decode()[:longest]


def _shut(engine: Engine) -> None:
    """Close ``engine``; that a GPU which failed lets go of nothing mustn't end the thread that answers clients."""
    try:
        engine.close()
    except Exception as error:
        _log(error)


def _log(error: Exception) -> None:
    if isinstance(error, EngineError):
        print(f"python -m server: {error}", file=sys.stderr)
    else:
        traceback.print_exception(error, file=sys.stderr)
