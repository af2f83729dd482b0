"""A server that hangs is reported in seconds, one that is busy never: over real sockets, with a stepped clock."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.server import ServerConnection

from addon.live import LiveLoop
from addon.problems import LiveState
from addon.problems.connection import LoadingModel, NoAnswer
from addon.problems.serving import LoadingStep, OtherModelLoading
from addon.problems.words import actions, sentence
from addon.transport.liveness import LOST_AFTER, PING_AFTER, PING_SOON, Liveness
from addon.wire import Status, pack
from tests.blender.serving import STAND_IN, Server
from tests.plain.live.servers import Clock, Viewer, greet, greet_by_hand, inverted, raw, requests, said, script, status

pytestmark = pytest.mark.alone

SOON = 8
"""Seconds of a person's that it may take until a hung server is reported."""


def seconds_until(viewer: Viewer, clock: Clock, reached: Callable[[], bool], most: float = 3 * LOST_AFTER) -> float:
    """Step the clock until something is reached; return the seconds."""
    begun = clock.ahead
    while not reached():
        clock.ahead += 0.25
        viewer.beat()
        assert clock.ahead - begun < most
    return clock.ahead - begun


def answered(viewer: Viewer) -> None:
    """Wait, in true time alone, until the server owes no pong."""
    viewer.until(lambda: viewer.loop.unanswered == 0)


def test_a_hung_server_is_reported_in_seconds_and_forgiven_when_it_goes_on() -> None:
    goes_on, done = threading.Event(), threading.Event()

    def handler(connection: socket.socket) -> None:
        greet_by_hand(connection)
        goes_on.wait(60)
        connection.sendall(b"\x89\x00")  # a ping of its own: a sign of life
        done.wait(60)

    with raw(handler) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(address, clock=clock, settle=False))
        viewer.until(lambda: viewer.sent)
        assert viewer.loop.problem is None
        assert seconds_until(viewer, clock, lambda: viewer.loop.problem is not None) <= SOON
        problem = viewer.loop.problem
        assert problem is not None and isinstance(problem, NoAnswer) and actions(problem)
        assert "has not answered for" in said(viewer.loop) and said(viewer.loop) == sentence(problem)
        assert viewer.loop.state == LiveState.LIVE and viewer.loop.statistics.lost == 0, "it may come back"
        goes_on.set()
        viewer.until(lambda: viewer.loop.problem is None)
        viewer.loop.stop()
        done.set()


@pytest.mark.parametrize("size", [64, 2048], ids=["a frame that has left", "one that fills all buffers"])
def test_however_much_it_has_not_taken(size: int) -> None:
    done = threading.Event()

    def handler(connection: socket.socket) -> None:
        greet_by_hand(connection)
        done.wait(60)

    with raw(handler) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(address, clock=clock, settle=False), size=size)
        viewer.until(lambda: viewer.sent)
        assert viewer.loop._link is not None and bool(viewer.loop._link.connection.pending) == (size == 2048)
        assert seconds_until(viewer, clock, lambda: viewer.loop.problem is not None) <= SOON
        done.set()
        viewer.loop.stop()


@pytest.mark.parametrize("seconds", [30, 200])
def test_a_slow_picture_is_no_hung_server(seconds: int) -> None:
    ready = threading.Event()

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):  # pings are answered beside it
            ready.wait(60)
            connection.send(pack(inverted(request)))

    with script(handler) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(address, clock=clock, settle=False))
        viewer.until(lambda: viewer.sent)
        for _ in range(seconds):
            clock.ahead += 1
            viewer.beat()
            answered(viewer)
            assert viewer.loop.problem is None, said(viewer.loop)
        ready.set()
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()


@pytest.mark.parametrize(
    "told",
    [
        status("loading", 30, LoadingStep("reading")),
        status("ready", 100, OtherModelLoading("xl", "simulated", 30, "reading")),
    ],
    ids=["its model", "another one beside"],
)
def test_a_server_that_loads_may_keep_silent_for_longer(told: Status) -> None:
    done = threading.Event()

    def handler(connection: socket.socket) -> None:
        greet_by_hand(connection, told)
        done.wait(60)  # no pong comes, as while a library is loaded

    with raw(handler) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(address, clock=clock, settle=False))
        viewer.until(lambda: isinstance(viewer.loop.report, LoadingModel | OtherModelLoading))
        for _ in range(15):
            clock.ahead += 1
            viewer.beat()
            assert viewer.loop.problem is None, said(viewer.loop)
        done.set()
        viewer.loop.stop()


def test_no_ping_while_nothing_is_awaited() -> None:
    """A view at rest makes no traffic but a ping now and then."""
    liveness = Liveness()
    seconds = 0.0
    while not liveness.wants_ping():
        liveness.passed(0.25, awaits=False)
        seconds += 0.25
    assert seconds == pytest.approx(PING_AFTER, abs=0.5)
    liveness.heard()
    liveness.passed(PING_AFTER - 1, awaits=False)
    liveness.passed(0.5, awaits=True)
    assert not liveness.wants_ping(), "the silence before the frame is nothing to ask about"
    liveness.passed(PING_SOON, awaits=True)
    assert liveness.wants_ping() and not liveness.wants_ping(), "once"
    liveness.passed(2, awaits=True)
    assert liveness.unanswered == 2
    liveness.sent()
    assert liveness.unanswered == 0, "the question may only now be on its way"
    liveness.heard()
    assert liveness.silence == liveness.unanswered == 0


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be stopped there")
def test_the_server_itself_stopped_and_continued(tmp_path: Path) -> None:
    from addon.live import Address

    with Server(tmp_path, STAND_IN) as server:
        clock = Clock()
        loop = LiveLoop(Address(server.url, token_file=server.token_file), clock=clock, settle=False)
        viewer = Viewer(loop)
        viewer.until(lambda: viewer.pictures)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            shown = len(viewer.pictures)
            viewer.key = "another view"
            assert seconds_until(viewer, clock, lambda: loop.problem is not None) <= SOON
            assert isinstance(loop.problem, NoAnswer)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        viewer.until(lambda: len(viewer.pictures) > shown)
        assert loop.problem is None and loop.statistics.lost == 0
        loop.stop()
