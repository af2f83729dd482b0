"""Which steps a client hears of: those of frames that last, and of settle frames."""

from __future__ import annotations

import time

import pytest

from addon.wire import Picture, Progress, Request
from server.engine import StableDiffusionLcm
from server.serving.metrics import Metrics
from server.serving.worker import BRIEF, Answer, EngineOutput, Worker
from tests.plain.server.engines import Lent, OnStep
from tests.plain.server.rig import make_request, wait_for


class Stepping(Lent):
    """Takes two steps of ``pace`` seconds each."""

    def __init__(self, engine: StableDiffusionLcm) -> None:
        super().__init__(engine)
        self.pace = 0.0
        self._rendered = engine.render(make_request(0))

    def render(self, request: Request, on_step: OnStep = None) -> EngineOutput:
        assert on_step is not None
        for step in (0, 1, 2):
            on_step(step, 2)
            time.sleep(self.pace if step else 0)
        return self._rendered


class Listener:
    """A client that keeps what it is told."""

    gone = False

    def __init__(self) -> None:
        self.told: list[Answer] = []

    def deliver(self, message: Answer) -> None:
        self.told.append(message)

    def steps_of(self, number: int) -> list[int]:
        """The steps told of request ``number``, once its picture is there."""
        wait_for(lambda: any(isinstance(message, Picture) and message.id == number for message in self.told))
        return [message.step for message in self.told if isinstance(message, Progress) and message.id == number]


@pytest.mark.parametrize(
    ("pace", "settle", "expected"),
    [(0.0, False, []), (0.0, True, [0, 1, 2]), (BRIEF, False, [2])],
    ids=["a brief frame", "a settle frame", "a frame that turns out to last"],
)
def test_after_a_brief_frame(engine: StableDiffusionLcm, pace: float, settle: bool, expected: list[int]) -> None:
    stepping, client = Stepping(engine), Listener()
    worker = Worker(stepping.load, "a model", Metrics(), lambda status: None)
    worker.start()
    try:
        worker.accept(client, make_request(1))
        assert client.steps_of(1) == [0, 1, 2], "nothing is known yet of how long this engine takes"
        stepping.pace = pace
        request = make_request(2)
        worker.accept(client, Request(request.frame, request.style, settle))
        assert client.steps_of(2) == expected
        if pace:
            worker.accept(client, make_request(3))
            assert client.steps_of(3) == [0, 1, 2], "the one before it lasted"
    finally:
        worker.stop(60)
