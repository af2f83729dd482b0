"""The live loop against scripted servers over real sockets: frames, pictures, states and words."""

from __future__ import annotations

import contextlib
import gc
import itertools
import queue
import threading
import tracemalloc

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from addon.live import LiveLoop
from addon.problems import LiveState
from addon.transport.challenge import CHALLENGE, is_number
from addon.wire import Dropped, Failure, Frame, Picture, Progress, Request, Style, pack
from tests.plain.live.servers import Viewer, greet, inverted, inverter, requests, said, script


def test_a_view_becomes_a_picture() -> None:
    heard: queue.Queue[object] = queue.Queue()

    def handler(connection: ServerConnection) -> None:
        heard.put(connection.request)
        heard.put(greet(connection))
        for request in requests(connection):
            connection.send(pack(Progress(request.frame.id, 0, 2)))
            connection.send(pack(inverted(request, engine=1.0)))

    with script(handler) as address:
        loop = LiveLoop(address, client="test 1.0", settle=False)
        viewer = Viewer(loop, size=96, depth=True)
        viewer.until(lambda: viewer.pictures)
        assert loop.state == LiveState.LIVE and said(loop) == "Live with the model simulated."
        assert loop.server == "scripted 1" and loop.model == "simulated"
        loop.stop()
    handshake, hello = heard.get(), heard.get()
    headers = handshake.headers  # type: ignore[attr-defined]
    assert "Authorization" not in headers and is_number(headers[CHALLENGE])
    assert "Sec-WebSocket-Extensions" not in headers and "Origin" not in headers
    assert hello.client == "test 1.0"  # type: ignore[attr-defined]
    (picture,) = viewer.pictures
    assert picture.id == viewer.sent[0].frame.id
    assert np.array_equal(picture.image, 255 - viewer.sent[0].frame.image)
    assert loop.statistics.frames_sent == loop.statistics.pictures == loop.statistics.connections == 1
    assert {"capture", "pack", "send", "transport", "engine", "unpack", "whole"} <= set(loop.statistics.stages())


def test_nothing_is_sent_while_nothing_changes_but_one_settle_frame() -> None:
    with script(inverter()) as address:
        viewer = Viewer(LiveLoop(address, rest=0.2))
        viewer.until(lambda: len(viewer.pictures) == 2)
        viewer.during(0.5)
        assert [(request.frame.id, request.settle) for request in viewer.sent] == [(1, False), (2, True)]
        assert [picture.settle for picture in viewer.pictures] == [False, True]
        viewer.key = "another"
        viewer.until(lambda: len(viewer.pictures) == 4)
        viewer.loop.settle = False
        viewer.key = "a third"
        viewer.until(lambda: len(viewer.pictures) == 5)
        viewer.during(0.5)
        assert len(viewer.sent) == 5
        viewer.loop.stop()


def test_at_most_two_frames_are_under_way_while_the_view_moves() -> None:
    waiting: list[int] = []

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        inbox: queue.Queue[Request | None] = queue.Queue()

        def engine() -> None:
            while (request := inbox.get()) is not None:
                waiting.append(sum(one is not None for one in list(inbox.queue)))
                threading.Event().wait(0.05)
                waiting.append(sum(one is not None for one in list(inbox.queue)))
                with contextlib.suppress(ConnectionClosed):
                    connection.send(pack(inverted(request, engine=50.0)))

        worker = threading.Thread(target=engine)
        worker.start()
        for request in requests(connection):
            inbox.put(request)
        inbox.put(None)
        worker.join()

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        views = itertools.count()
        end = 40

        def move() -> bool:
            viewer.key = next(views)
            return len(viewer.pictures) >= end

        viewer.until(move)
        viewer.loop.stop()
    assert max(waiting) <= 1, "one in the engine and one that waits"
    assert [picture.id for picture in viewer.pictures] == sorted(picture.id for picture in viewer.pictures)


def test_a_picture_that_comes_after_a_newer_one_is_not_shown() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        held: list[Request] = []
        for number, request in enumerate(requests(connection)):
            threading.Event().wait(0.03)
            if number == 10:
                held.append(request)
                continue
            connection.send(pack(inverted(request, engine=30.0)))
            if held:
                connection.send(pack(inverted(held.pop(), engine=30.0)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        views = itertools.count()

        def move() -> bool:
            viewer.key = next(views)
            return len(viewer.pictures) >= 20

        viewer.until(move)
        viewer.loop.stop()
    ids = [picture.id for picture in viewer.pictures]
    assert ids == sorted(ids) and 11 not in ids
    assert viewer.loop.statistics.ignored == 1


def test_only_the_newest_picture_is_handed_out() -> None:
    gate = threading.Event()

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            connection.send(pack(inverted(request, engine=1.0)))
            if request.frame.id == 2:
                gate.set()

    with script(handler) as address:
        loop = LiveLoop(address, settle=False)
        for key in ("a", "b"):
            want = None
            while want is None:
                want = loop.poll(key)
            loop.send(Request(Frame(want.id, np.zeros((8, 8, 3), np.uint8)), Style()))
        assert gate.wait(10)
        while loop.statistics.pictures < 2:
            loop.poll("b")
        picture = loop.take_picture()
        assert picture is not None and picture.id == 2
        assert loop.take_picture() is None
        loop.stop()


def test_answers_to_frames_that_were_never_sent_change_nothing() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            image = np.zeros((8, 8, 3), np.uint8)
            for nonsense in (Picture(999, image), Dropped(998), Failure("internal", id=997)):
                connection.send(pack(nonsense))
            connection.send(pack(inverted(request)))
            connection.send(pack(inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, settle=False))
        viewer.until(lambda: viewer.loop.statistics.ignored == 3)
        assert [picture.id for picture in viewer.pictures] == [1]
        assert viewer.loop.statistics.dropped == 0 and viewer.loop.state == LiveState.LIVE
        assert said(viewer.loop) == "Live with the model simulated."
        viewer.loop.stop()


def test_send_takes_only_the_frame_that_is_wanted() -> None:
    with script(inverter()) as address:
        loop = LiveLoop(address)
        image = np.zeros((8, 8, 3), np.uint8)
        with pytest.raises(ValueError, match="frame id is 1, but the frame wanted now is none"):
            loop.send(Request(Frame(1, image), Style()))
        want = None
        while want is None:
            want = loop.poll("view")
        with pytest.raises(ValueError, match="frame id is 5, but the frame wanted now is 1"):
            loop.send(Request(Frame(5, image), Style()))
        with pytest.raises(ValueError, match="settle is True"):
            loop.send(Request(Frame(1, image), Style(), settle=True))
        loop.send(Request(Frame(1, image), Style()))
        loop.stop()


def test_a_stopped_loop_does_nothing_more() -> None:
    with script(inverter(0.2)) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.sent)
        viewer.loop.stop()
        assert viewer.loop.state == LiveState.STOPPED and said(viewer.loop) == "Live is stopped."
        viewer.key = "another"
        viewer.during(0.4)
        assert len(viewer.sent) == 1 and viewer.pictures == []
        viewer.loop.send(viewer.sent[0])
        viewer.loop.stop()


def test_memory_stays_flat_over_two_thousand_frames() -> None:
    with script(inverter()) as address:
        viewer = Viewer(LiveLoop(address, settle=False), size=32)
        views = itertools.count()

        def frames(number: int) -> None:
            def move() -> bool:
                viewer.key = next(views)
                viewer.sent.clear()
                viewer.pictures.clear()
                return viewer.loop.statistics.pictures >= number

            viewer.until(move, within=900)

        tracemalloc.start()
        try:
            frames(600)  # now the windows of the statistics are full
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            frames(2600)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        viewer.loop.stop()
    assert after - before < 100_000  # keeping 50 bytes of each frame would be more
