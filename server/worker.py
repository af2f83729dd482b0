"""The one thread that owns the engine. Standard library, numpy and the wire; no sockets, and no torch by itself."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from addon.wire import Dropped, Failure, Picture, Progress, Request, Status

from .engine import EngineError
from .mailbox import Mailboxes
from .metrics import Metrics

Answer = Status | Progress | Picture | Dropped | Failure


class Rendered(Protocol):
    """What an engine makes of a request: ``image`` uint8, H x W x 3, sRGB; ``timings`` in milliseconds by stage."""

    @property
    def image(self) -> NDArray[np.uint8]: ...
    @property
    def timings(self) -> dict[str, float]: ...


class Engine(Protocol):
    """What the worker needs of an engine. All its methods are called from the worker's thread only."""

    @property
    def name(self) -> str: ...
    def render(self, request: Request, on_step: Callable[[int, int], None] | None = None) -> Rendered: ...
    def close(self) -> None: ...


class Client(Protocol):
    """Where answers go. ``deliver`` may be called from any thread and never waits."""

    @property
    def gone(self) -> bool: ...
    def deliver(self, message: Answer) -> None: ...


Load = Callable[[Callable[[float, str], None]], Engine]
"""Loads an engine, reporting a fraction from 0 to 1 and what is being done, in words."""


@dataclass(frozen=True)
class Letter:
    """A request in a mailbox, and when it came, by ``time.perf_counter``."""

    request: Request
    arrived: float


class _Abandoned(Exception):
    """Raised between two steps to leave a frame that nobody waits for any more."""


class Worker:
    """Loads the model, then renders what the mailboxes give out, one request at a time.

    ``status`` may be read from any thread; ``on_status`` is called in the worker's thread at each change.
    A request that fails, for whatever reason, is answered by a Failure and the worker goes on.
    """

    def __init__(self, load: Load, model: str, metrics: Metrics, on_status: Callable[[Status], None]) -> None:
        self.status = Status("loading", 0, _line(model, 400), "The model is being loaded.")
        self.mailboxes: Mailboxes[Client, Letter] = Mailboxes()
        self._load = load
        self._metrics = metrics
        self._on_status = on_status
        self._stopping = False
        # a daemon, so that a frame or a load under way, which nothing can interrupt, doesn't keep the process alive
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Tell the thread to end and wait for it for ``seconds``. Returns whether it has ended."""
        self._stopping = True
        self.mailboxes.close()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def accept(self, client: Client, request: Request) -> Dropped | None:
        """Put ``request`` into the client's slot; return the answer to the one that waited there, if any."""
        self._metrics.frames.inc()
        displaced = self.mailboxes.put(client, Letter(request, time.perf_counter()))
        if displaced is None:
            return None
        self._metrics.dropped.inc()
        return Dropped(displaced.request.frame.id)

    def _run(self) -> None:
        engine = self._loaded()
        while (taken := self.mailboxes.take()) is not None:
            client, letter = taken
            try:
                answer = self._failed() if engine is None else self._render(engine, client, letter)
            except _Abandoned:
                self._metrics.abandoned.inc()
                continue
            except Exception as error:  # whatever it is, it belongs to this one request
                answer = _failure_of(error)
            if isinstance(answer, Failure):
                self._metrics.failures.labels(answer.code).inc()
                answer = Failure(answer.sentence, answer.code, letter.request.frame.id)
            else:
                self._metrics.pictures.inc()
                self._metrics.observe(answer.timings)
            client.deliver(answer)
        if engine is not None:
            engine.close()

    def _loaded(self) -> Engine | None:
        try:
            engine = self._load(self._on_progress)
        except _Abandoned:
            return None
        except Exception as error:  # the server stays up to say what went wrong
            if isinstance(error, EngineError):
                print(f"python -m server: {error}", file=sys.stderr)
            else:
                traceback.print_exc(file=sys.stderr)
            self._set(Status("failed", self.status.percent, self.status.model, _sentence(error)))
            return None
        self._set(Status("ready", 100, _line(engine.name, 400), "The model is loaded."))
        return engine

    def _on_progress(self, fraction: float, words: str) -> None:
        if self._stopping:
            raise _Abandoned
        percent = round(100 * min(max(fraction, 0.0), 1.0))
        words = _line(words, 4000)
        if (percent, words) != (self.status.percent, self.status.sentence):
            self._set(Status("loading", percent, self.status.model, words))

    def _set(self, status: Status) -> None:
        self.status = status
        self._metrics.loaded.set(status.percent / 100)
        self._on_status(status)

    def _failed(self) -> Failure:
        return Failure(f"The model could not be loaded: {self.status.sentence}"[:4000], "model_failed")

    def _render(self, engine: Engine, client: Client, letter: Letter) -> Picture:
        request, started = letter.request, time.perf_counter()
        frame = request.frame

        def on_step(step: int, steps: int) -> None:
            if self._stopping or client.gone:
                raise _Abandoned
            client.deliver(Progress(frame.id, step, steps))

        if client.gone:
            raise _Abandoned
        rendered = engine.render(request, on_step)
        ended = time.perf_counter()
        if client.gone:
            raise _Abandoned
        timings = {"engine": 1000 * (ended - started), **rendered.timings}
        timings["queue"] = 1000 * (started - letter.arrived)
        name = _line(engine.name, 400)
        return Picture(frame.id, rendered.image, frame.captured, request.settle, name, timings, letter.arrived)


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, EngineError):
        return Failure(_sentence(error), error.code)
    traceback.print_exception(error, file=sys.stderr)
    return Failure(f"The engine failed: {_sentence(error)}"[:4000], "internal")


def _sentence(error: Exception) -> str:
    return _line(str(error), 3900) or type(error).__name__


def _line(text: str, longest: int) -> str:
    """``text`` as a message may carry it: one line, and valid Unicode, which a path need not be."""
    return " ".join(text.split()).encode("utf-8", "replace").decode()[:longest]
