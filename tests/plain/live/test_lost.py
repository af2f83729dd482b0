"""Connections that end, fall silent or jam after they were open, over real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading

import pytest
from websockets.sync.server import ServerConnection

from addon.live import Address, LiveLoop
from addon.problems import LiveState
from addon.problems.serving import TooLarge
from addon.transport.liveness import LOST_AFTER
from addon.wire import pack
from tests.plain.live.servers import (
    Clock,
    Viewer,
    failure,
    free_port,
    greet,
    greet_by_hand,
    inverted,
    inverter,
    raw,
    requests,
    said,
    script,
)


def test_a_silent_server_is_pinged_and_lives_by_its_pong() -> None:
    with script(inverter()) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(address, clock=clock, settle=False))
        viewer.until(lambda: viewer.pictures)
        for _ in range(int(3 * LOST_AFTER)):
            clock.ahead += 1
            viewer.beat()
            viewer.until(lambda: viewer.loop.unanswered == 0)  # the pong, in true time
        assert viewer.loop.state == LiveState.LIVE and viewer.loop.statistics.lost == 0
        viewer.loop.stop()


def test_a_server_that_answers_no_ping_is_given_up() -> None:
    """As one whose machine lost its power: the connection stays, and nothing comes."""
    done = threading.Event()

    def handler(connection: socket.socket) -> None:
        greet_by_hand(connection)
        done.wait(20)

    with raw(handler) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(address, clock=clock))
        viewer.until(lambda: viewer.sent)
        seconds = 0
        while viewer.loop.state != LiveState.WAITING:
            clock.ahead += 1
            viewer.beat()
            seconds += 1
            assert seconds < 3 * LOST_AFTER
        assert seconds == pytest.approx(LOST_AFTER, abs=2)
        assert "has not answered for" in said(viewer.loop)
        viewer.loop.stop()
        done.set()


def test_a_pause_of_blender_is_not_the_servers_silence() -> None:
    with script(inverter()) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(address, clock=clock))
        viewer.until(lambda: viewer.sent)
        clock.ahead += 1000  # a final render, say
        viewer.until(lambda: viewer.pictures)
        assert viewer.loop.statistics.lost == 0
        viewer.loop.stop()


def test_a_server_gone_in_mid_frame_is_told_and_the_newest_view_is_sent_again() -> None:
    seen: list[int] = []

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            seen.append(request.frame.id)
            if len(seen) == 2:
                connection.socket.shutdown(socket.SHUT_RDWR)  # no close frame: as a process that was killed
                return
            connection.send(pack(inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, settle=False))
        viewer.until(lambda: len(viewer.pictures) == 1)
        viewer.key = "moved"
        viewer.until(lambda: viewer.loop.state == LiveState.WAITING)
        assert said(viewer.loop).startswith(f"The connection to the server at {address.place} was lost")
        assert "A frame was under way; the newest view will be sent again. Trying again" in said(viewer.loop)
        assert viewer.loop.take_picture() is None, "the last picture is the viewer's to keep"
        viewer.until(lambda: len(viewer.pictures) == 2)
        assert viewer.states == [LiveState.CONNECTING, LiveState.LIVE, LiveState.WAITING, LiveState.LIVE]
        assert seen == [1, 2, 3] and [picture.id for picture in viewer.pictures] == [1, 3]
        viewer.loop.stop()


def test_a_view_that_ends_every_connection_is_not_sent_many_times_a_second() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        connection.recv()
        connection.send(pack(failure(TooLarge("this frame is more than I can take"))))
        connection.close(1009)

    now = 0.0
    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, clock=lambda: now))
        while now < 20:
            viewer.until(lambda: viewer.loop._link is None)  # this takes true time; the pauses are what is counted
            now += 0.05
            viewer.beat()
        assert 4 <= len(viewer.sent) <= 10, "with pauses of 0.25, 0.5, 1, 2, 4, 4, ... seconds"
        assert not any(request.settle for request in viewer.sent)
        viewer.until(lambda: viewer.loop.state == LiveState.WAITING)
        assert said(viewer.loop).startswith("This frame is more than I can take.")
        viewer.loop.stop()


def test_stop_in_the_middle_of_sending_closes_the_socket_at_once() -> None:
    stuck, done = threading.Event(), threading.Event()

    def handler(connection: socket.socket) -> None:
        greet_by_hand(connection)  # then nothing is read: the frame cannot leave as a whole
        stuck.set()
        done.wait(20)

    with raw(handler) as address:
        viewer = Viewer(LiveLoop(address), size=2048)
        viewer.until(lambda: viewer.sent)
        link = viewer.loop._link
        assert link is not None and stuck.wait(60) and link.connection.pending > 0
        viewer.during(0.05)
        viewer.loop.stop()
        assert (
            viewer.loop.state == LiveState.STOPPED
            and link.connection._socket.fileno() == -1
            and link.connection.pending == 0
        )
        done.set()


def test_a_frame_longer_than_the_systems_buffers_arrives_whole() -> None:
    wide = threading.Event()

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        wide.wait(10)  # let it pile up first
        for request in requests(connection):
            connection.send(pack(inverted(request)))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, settle=False), size=2048, depth=True)
        viewer.until(lambda: viewer.sent)
        assert viewer.loop._link is not None
        assert viewer.loop._link.connection.pending > 0
        wide.set()
        viewer.until(lambda: viewer.pictures)
        assert (viewer.pictures[0].image == 255 - viewer.sent[0].frame.image).all()
        viewer.loop.stop()


def test_a_picture_in_fragments_is_put_together() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            data = pack(inverted(request))
            connection.send(data[start : start + 1000] for start in range(0, len(data), 1000))

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.pictures)
        assert (viewer.pictures[0].image == 255 - viewer.sent[0].frame.image).all()
        viewer.loop.stop()


def test_one_known_to_be_absent_is_not_looked_for_and_found_at_once_when_it_is_back() -> None:
    clock = Clock()
    viewer = Viewer(LiveLoop(Address(f"ws://127.0.0.1:{free_port()}"), clock=clock))
    while viewer.loop.statistics.attempts < 6:  # the pauses have grown to seconds
        viewer.loop.poll("view")
        clock.ahead += 0.5
    viewer.loop.absent = True
    viewer.loop.poll("view")
    attempts = viewer.loop.statistics.attempts
    clock.ahead += 20
    viewer.loop.poll("view")
    assert viewer.loop.statistics.attempts == attempts
    assert viewer.loop.state == LiveState.CONNECTING and viewer.loop.problem is None
    assert viewer.loop.pause == 0.1, "nothing is to be done a hundred times a second"
    with script(inverter()) as address:
        viewer.loop.address, viewer.loop.absent = address, False
        viewer.loop.poll("view")
        assert viewer.loop.statistics.attempts == attempts + 1
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals for sockets")
def test_sending_to_a_server_that_has_just_died_does_not_end_a_process_without_pythons_signals() -> None:
    """As in Blender 4.3: nobody has read yet that the server is gone, and something is sent."""
    code = """
        import contextlib, signal, threading
        from addon.live import LiveLoop
        from addon.problems import LiveState
        from addon.wire import ListModels
        from tests.plain.live.servers import Viewer, greet_by_hand, raw
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        die, dead = threading.Event(), threading.Event()

        def handler(connection):
            greet_by_hand(connection)
            connection.settimeout(0.1)
            while not die.is_set():  # with nothing unread, the first bytes after its end are still taken
                with contextlib.suppress(TimeoutError):
                    connection.recv(1 << 20)
            connection.close()
            dead.set()

        with raw(handler) as address:
            viewer = Viewer(LiveLoop(address))
            viewer.until(lambda: viewer.loop.state == LiveState.LIVE)
            die.set()
            dead.wait()
            for _ in range(10):
                viewer.loop.tell(ListModels())
            viewer.until(lambda: viewer.loop.state != LiveState.LIVE)
        print("alive")
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and "alive" in ran.stdout, (ran.returncode, ran.stderr[-2000:])
