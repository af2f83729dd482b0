"""Frames that fail and models that load, fail or change, told by scripted servers over real sockets."""

from __future__ import annotations

import threading

import pytest
from websockets.sync.server import ServerConnection

from addon.live import LiveLoop
from addon.problems import Action, LiveState, Problem
from addon.problems.serving import (
    BadMessage,
    BadRequest,
    LoadingStep,
    ModelFailed,
    ModelMissing,
    ModelNotLoaded,
    NoReason,
    OutOfMemory,
)
from addon.problems.words import actions
from addon.wire import Status, pack
from tests.plain.live.servers import READY, Viewer, failure, greet, inverted, requests, said, script, status


def test_a_failed_frame_is_told_and_not_sent_again_before_the_view_changes() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            if request.frame.id == 1:
                connection.send(pack(failure(BadRequest("the prompt has no words"), 1)))
            else:
                connection.send(pack(inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, rest=0.1))
        viewer.until(lambda: viewer.loop.statistics.failures)
        viewer.during(0.4)
        assert len(viewer.sent) == 1
        assert viewer.loop.state == LiveState.LIVE and said(viewer.loop) == "The prompt has no words."
        viewer.key = "another"
        viewer.until(lambda: viewer.pictures)
        assert said(viewer.loop) == "Live with the model simulated."
        viewer.loop.stop()


def test_a_failure_without_id_does_not_block_the_loop() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for number, request in enumerate(requests(connection)):
            bad = number < 3
            connection.send(pack(failure(BadMessage("not readable")) if bad else inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, settle=False))
        for number in range(3):
            viewer.key = number
            viewer.until(lambda: viewer.loop.statistics.failures > number)  # noqa: B023
            assert said(viewer.loop) == "Not readable."
        viewer.key = "good"
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()


def test_the_loading_of_the_model_is_told_in_per_cent_and_frames_wait_for_it() -> None:
    go = threading.Event()

    def handler(connection: ServerConnection) -> None:
        greet(connection, status("loading", 40, LoadingStep("reading the UNet")))
        go.wait(10)
        connection.send(pack(Status("ready", 100, "m")))
        for request in requests(connection):
            connection.send(pack(inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.state == LiveState.LOADING)
        assert said(viewer.loop) == "The server is loading its model: 40 %, reading the UNet."
        viewer.during(0.1)
        assert viewer.sent == []
        go.set()
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()


def test_a_model_that_failed_is_told_and_one_that_comes_later_is_used() -> None:
    go = threading.Event()

    def handler(connection: ServerConnection) -> None:
        greet(connection, status("failed", 0, ModelFailed("the folder /models/x has no unet")))
        go.wait(10)
        connection.send(pack(READY))
        for request in requests(connection):
            connection.send(pack(inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.state == LiveState.FAILED)
        assert said(viewer.loop) == "The folder /models/x has no unet."
        go.set()
        viewer.until(lambda: viewer.pictures)
        assert viewer.loop.state == LiveState.LIVE
        viewer.loop.stop()


def test_another_model_gets_the_view_again() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for number, request in enumerate(requests(connection)):
            connection.send(pack(inverted(request)))
            if number == 0:
                connection.send(pack(Status("loading", 0, "another")))
                connection.send(pack(Status("ready", 100, "another")))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, settle=False))
        viewer.until(lambda: len(viewer.pictures) == 2)
        assert said(viewer.loop) == "Live with the model another."
        viewer.loop.stop()


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (status("failed", 0, ModelMissing("memory-palace")), ModelNotLoaded(ModelMissing("memory-palace"))),
        (status("failed", 0, OutOfMemory("the model xl", 8, 3, "cuda:0")), OutOfMemory("the model xl", 8, 3, "cuda:0")),
        (status("failed", 0), NoReason()),
        (Status("failed", 0, "m", "from_the_future", {}, "the moon is wrong"), None),
    ],
)
def test_why_there_is_no_model_follows_from_the_code_alone(told: Status, problem: Problem | None) -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection, told)
        connection.recv()

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.state == LiveState.FAILED)
        if problem is not None:
            assert viewer.loop.problem == viewer.loop.report == problem
        else:
            assert isinstance(viewer.loop.problem, ModelNotLoaded) and said(viewer.loop) == "The moon is wrong."
        viewer.loop.stop()


def test_a_frame_that_met_too_little_memory_is_told_as_that() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            connection.send(pack(failure(OutOfMemory("a picture of 64 x 64"), request.frame.id)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.problem is not None)
        assert viewer.loop.problem == OutOfMemory("a picture of 64 x 64")
        assert Action.HALVE_SIZE in actions(viewer.loop.problem)
        viewer.loop.stop()
