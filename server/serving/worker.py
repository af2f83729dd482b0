"""The one thread that owns the engine. Standard library, numpy and the wire; no sockets, and no torch by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from addon.problems import Problem
from addon.problems.serving import ModelFailed
from addon.wire import Dropped, Failure, Picture, Progress, Request, Status

from ..engine.conditioning.prompt_weights import networks_named
from .adapters import Adapters
from .histories import Histories
from .mailbox import Mailboxes, Turn
from .metrics import Metrics
from .model_in_use import Abandoned, Engine, EngineOutput, Load, ModelInUse, log_failure
from .reports import failure_of, line, problem_of

__all__ = ["Answer", "Client", "Engine", "EngineOutput", "Letter", "Load", "Worker"]

BRIEF = 0.15
"""Seconds that a frame takes at most of which no progress is told: the messages would take more than they give."""

Answer = Status | Progress | Picture | Dropped | Failure


class Client(Protocol):
    """Where answers go. ``deliver`` may be called from any thread and never waits."""

    @property
    def gone(self) -> bool: ...
    def deliver(self, message: Answer) -> None: ...


@dataclass(frozen=True, eq=False)
class Letter:
    """A request in a mailbox, when it came, by ``time.perf_counter``, and its style picture, uint8 H x W x 3."""

    request: Request
    arrived: float
    picture: NDArray[np.uint8] | None = None

    @property
    def nbytes(self) -> int:
        """Of its planes; the style picture is kept anyway."""
        return sum(plane.nbytes for plane in self.request.frame.planes.values())


class Worker:
    """Renders what the mailboxes give out with the model that its :class:`ModelInUse` holds.

    One request at a time, or with ``batch`` above 1 up to so many of different clients in one go, where they ask for
    alike pictures.

    ``status`` may be read from any thread; ``on_status`` is called at each change, from any thread.
    A request that fails, for whatever reason, is answered by a Failure and the worker goes on.
    ``idle_release``: seconds without a frame after which the model's memory is given back, 0 for never.
    """

    def __init__(
        self,
        load: Load,
        model: str,
        metrics: Metrics,
        on_status: Callable[[Status], None],
        idle_release: float = 0.0,
        adapters: Adapters | None = None,
        batch: int = 1,
    ) -> None:
        self.mailboxes: Mailboxes[Client, Letter] = Mailboxes(weigh=lambda letter: letter.nbytes)
        self._metrics = metrics
        self._in_use = ModelInUse(load, model, metrics, on_status, lambda: self.mailboxes.wake())
        self._adapters = adapters or Adapters()
        self._histories: Histories[Client] = Histories()
        self._idle_release = idle_release
        self._batch = batch
        self._took = float("inf")  # seconds, the frame before
        # a daemon, so that a frame or a load under way, which nothing can interrupt, doesn't keep the process alive
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def status(self) -> Status:
        """The state of the model. From any thread."""
        return self._in_use.status

    @property
    def model(self) -> str:
        """The name by which the model that serves was asked for. From any thread."""
        return self._in_use.model

    @property
    def models(self) -> set[str]:
        """That name, and those of models that are to take its place. From any thread."""
        return self._in_use.models

    @property
    def compiling(self) -> bool:
        """Whether the model is being compiled beside the frames. From any thread."""
        return self._in_use.compiling

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    def switch(self, model: str, load: Load) -> None:
        """Render with ``model`` from when ``load`` has loaded it; the newest wish wins. From any thread."""
        self._in_use.wish(model, load)
        self.mailboxes.wake()

    def stop(self, seconds: float) -> bool:
        """Tell the thread to end and wait for it for ``seconds``. Returns whether it has ended."""
        self._in_use.stopping = True
        self.mailboxes.close()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def accept(self, client: Client, request: Request, picture: NDArray[np.uint8] | None = None) -> list[Dropped]:
        """Let ``request`` wait for its turn; return the answers to those that it displaced."""
        self._metrics.frames.inc()
        dropped = self._drop(self.mailboxes.put(client, Letter(request, time.perf_counter(), picture)))
        for other, letter in self.mailboxes.crowded_out():
            other.deliver(*self._drop([letter]))
        return dropped

    def leave(self, client: Client) -> None:
        """``client`` is gone: give back all that is kept for it. From any thread."""
        self.mailboxes.leave(client)
        self.mailboxes.wake()

    def _drop(self, letters: Sequence[Letter]) -> list[Dropped]:
        self._metrics.dropped.inc(len(letters))
        return [Dropped(letter.request.frame.id) for letter in letters]

    def _run(self) -> None:
        self._in_use.load_first()
        while True:
            if self._in_use.follow():
                self._take_off()
            self._histories.tidy()
            self._metrics.history.set(self._histories.nbytes)
            pauses = (self._in_use.idle_in(self._idle_release), self._histories.due_in)
            turn = self.mailboxes.take(min((pause for pause in pauses if pause is not None), default=None))
            if turn is not None:
                self._answer_with_others(turn)
                self._in_use.used = time.perf_counter()  # idle from here on, however long the frame took
            elif self.mailboxes.closed:
                break
            elif self._in_use.idle_in(self._idle_release) == 0:
                self._in_use.release(self._idle_release)
                self._take_off()
        self._in_use.close()

    def _take_off(self) -> None:
        """The engine is another one, or none: nothing that was made by it or put on it goes on."""
        self._adapters.clear()
        self._histories.clear()

    def _answer_with_others(self, turn: Turn[Client, Letter]) -> None:
        turns, request = [turn], turn.letter.request
        if self._batch > 1:
            turns += self.mailboxes.take_more(lambda other: alike(request, other.request), self._batch - 1)
        for each in turns:
            for dropped in self._drop(each.older):
                each.client.deliver(dropped)
        taken = [(each.client, each.letter) for each in turns]
        if len(taken) == 1 or not self._answer(taken):
            for one in taken:
                self._answer([one])

    def _answer(self, taken: Sequence[tuple[Client, Letter]]) -> bool:
        """Answer the letters of ``taken``, rendered in one go; False where that failed for several of them."""
        answers: Sequence[Picture | Problem]
        try:
            engine = self._in_use.engine()
            answers = [self._no_model()] * len(taken) if engine is None else self._render(engine, taken)
        except Abandoned:
            self._metrics.abandoned.inc(len(taken))
            self.mailboxes.answered([client for client, _ in taken])
            return True
        except Exception as error:  # whatever it is, it belongs to these requests
            if len(taken) > 1:
                return False
            log_failure("a frame has no picture", error)
            answers = [problem_of(error)]
        self.mailboxes.answered([client for client, _ in taken])
        for (client, letter), answer in zip(taken, answers, strict=True):
            if isinstance(answer, Problem):
                self._metrics.failures.labels(answer.code).inc()
                client.deliver(failure_of(answer, letter.request.frame.id))
            else:
                self._metrics.pictures.inc()
                self._metrics.observe(answer.timings)
                client.deliver(answer)
        return True

    def _no_model(self) -> Problem:
        """Why there is no engine; while the server is ending there need not be a reason."""
        return self._in_use.problem or ModelFailed("The model was not loaded.")

    def _render(self, engine: Engine, taken: Sequence[tuple[Client, Letter]]) -> list[Picture]:
        started = time.perf_counter()
        requests = [letter.request for _, letter in taken]

        def on_step(step: int, steps: int) -> None:
            if self._in_use.stopping or all(client.gone for client, _ in taken):
                raise Abandoned
            is_brief = max(self._took, time.perf_counter() - started) < BRIEF
            for client, letter in taken:
                if letter.request.settle or not is_brief:
                    client.deliver(Progress(letter.request.frame.id, step, steps))

        if all(client.gone for client, _ in taken):
            raise Abandoned
        self._adapters.apply(engine, [request.style for request in requests], taken[0][1].picture)
        if len(taken) == 1:
            history = self._histories.of(taken[0][0], requests[0], lambda: engine.history())
            kept = () if history is None else (history,)
            made: Sequence[EngineOutput] = [engine.render(requests[0], on_step, *kept)]
        else:
            made = engine.render_batch(requests, on_step)
        ended = time.perf_counter()
        self._took = ended - started
        if all(client.gone for client, _ in taken):
            raise Abandoned
        return [
            _picture(engine, letter, rendered, started, ended)
            for (_, letter), rendered in zip(taken, made, strict=True)
        ]


def alike(one: Request, other: Request) -> bool:
    """Whether both can be rendered in one go: they differ in nothing but the pixels, the words and the seed."""
    if one.panorama != other.panorama or one.regions or other.regions:
        return False
    if one.style.steady or one.frame.strength is not None:
        return False
    if networks_named(one.style.prompt) != networks_named(other.style.prompt):
        return False  # LoRAs, which act on all that is made in one go
    same = replace(other.style, prompt=one.style.prompt, negative_prompt=one.style.negative_prompt, seed=one.style.seed)
    return same == one.style and one.frame.planes.keys() == other.frame.planes.keys()


def _picture(engine: Engine, letter: Letter, rendered: EngineOutput, started: float, ended: float) -> Picture:
    request, frame = letter.request, letter.request.frame
    timings = {**rendered.timings, "engine": 1000 * (ended - started)}  # what comes before and behind it, too
    timings["queue"] = 1000 * (started - letter.arrived)
    name = line(engine.name, 400)
    after = getattr(rendered, "after", None)  # an engine without memory builds on nothing
    return Picture(
        frame.id, rendered.image, frame.captured, request.settle, name, timings, letter.arrived, ended, after
    )
