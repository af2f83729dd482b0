"""Frames that fail and models that load, fail or change, told by scripted servers over real sockets."""

from __future__ import annotations

import threading

from websockets.sync.server import ServerConnection

from addon.live import FAILED, LIVE, LOADING, LiveLoop
from addon.wire import Failure, Status, pack
from tests.plain.live.servers import READY, Viewer, greet, inverted, requests, script


def test_a_failed_frame_is_told_and_not_sent_again_before_the_view_changes() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            if request.frame.id == 1:
                connection.send(pack(Failure("bad_request", id=1, sentence="the prompt has no words")))
            else:
                connection.send(pack(inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, rest=0.1))
        viewer.until(lambda: viewer.loop.statistics.failures)
        viewer.during(0.4)
        assert len(viewer.sent) == 1
        assert viewer.loop.state == LIVE and viewer.loop.sentence == "The prompt has no words."
        viewer.key = "another"
        viewer.until(lambda: viewer.pictures)
        assert viewer.loop.sentence == "Live with the model simulated."
        viewer.loop.stop()


def test_a_failure_without_id_does_not_block_the_loop() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for number, request in enumerate(requests(connection)):
            bad = number < 3
            connection.send(pack(Failure("bad_message", sentence="not readable") if bad else inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, settle=False))
        for number in range(3):
            viewer.key = number
            viewer.until(lambda: viewer.loop.statistics.failures > number)  # noqa: B023
            assert viewer.loop.sentence == "Not readable."
        viewer.key = "good"
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()


def test_the_loading_of_the_model_is_told_in_per_cent_and_frames_wait_for_it() -> None:
    go = threading.Event()

    def handler(connection: ServerConnection) -> None:
        greet(connection, Status("loading", 40, "m", sentence="reading the UNet"))
        go.wait(10)
        connection.send(pack(Status("ready", 100, "m")))
        for request in requests(connection):
            connection.send(pack(inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.state == LOADING)
        assert viewer.loop.sentence == "The server is loading its model: 40 %, reading the UNet."
        viewer.during(0.1)
        assert viewer.sent == []
        go.set()
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()


def test_a_model_that_failed_is_told_and_one_that_comes_later_is_used() -> None:
    go = threading.Event()

    def handler(connection: ServerConnection) -> None:
        greet(connection, Status("failed", 0, "m", sentence="the folder /models/x has no unet"))
        go.wait(10)
        connection.send(pack(READY))
        for request in requests(connection):
            connection.send(pack(inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.state == FAILED)
        assert viewer.loop.sentence == "The folder /models/x has no unet."
        go.set()
        viewer.until(lambda: viewer.pictures)
        assert viewer.loop.state == LIVE
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
        assert viewer.loop.sentence == "Live with the model another."
        viewer.loop.stop()
