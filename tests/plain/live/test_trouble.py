"""What can go wrong with a connection, over real sockets: each has its state, its sentence and its way back."""

from __future__ import annotations

import http
import itertools
import os
import socket
import struct
import threading
from pathlib import Path

import pytest
from websockets.http11 import Request as Handshake
from websockets.http11 import Response
from websockets.sync.server import ServerConnection

from addon.live import Address, LiveLoop
from addon.problems import LiveState
from addon.problems.serving import ProtocolVersion
from addon.transport.connection import FLOOD, PATIENCE
from addon.wire import MAX_MESSAGE_BYTES, PROTOCOL, Failure, Fields, Hello, Status, Welcome, pack, unpack
from tests.plain.live.servers import (
    TOKEN,
    Clock,
    Viewer,
    free_port,
    greet,
    inverted,
    inverter,
    raw,
    requests,
    said,
    script,
)


def test_no_server_is_told_and_tried_with_growing_pauses() -> None:
    now = 100.0
    address = Address(f"ws://127.0.0.1:{free_port()}")
    loop = LiveLoop(address, clock=lambda: now)
    assert loop.state == LiveState.CONNECTING and said(loop) == f"Connecting to the server at {address.place}."
    times: list[float] = []
    for _ in range(20_000):
        before = loop.statistics.attempts
        assert loop.poll("view") is None
        if loop.statistics.attempts > before:
            times.append(now)
        now += 0.001
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[:7] == pytest.approx([0.25, 0.5, 1, 2, 4, 4, 4], abs=0.01)
    assert loop.state == LiveState.WAITING
    assert said(loop).startswith(f"No server is listening at {address.place}: start it, or check the port.")
    assert said(loop).endswith(" s.")


def test_a_server_that_starts_later_is_found() -> None:
    port = free_port()
    viewer = Viewer(LiveLoop(Address(f"ws://127.0.0.1:{port}")))
    viewer.until(lambda: viewer.loop.statistics.attempts >= 2)
    with script(inverter()) as address:
        viewer.loop.address = address  # the next attempt goes where the address says by then
        viewer.until(lambda: viewer.pictures)
        assert viewer.states == [LiveState.WAITING, LiveState.LIVE] and viewer.loop.state == LiveState.LIVE
        viewer.loop.stop()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_told_and_the_new_one_is_read_from_its_file(status: int, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    refuses = [True]

    def check(connection: ServerConnection, request: Handshake) -> Response | None:
        return connection.respond(http.HTTPStatus(status), "no\n") if refuses else None

    with script(inverter(), process_request=check) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(Address(address.url, token_file=file), clock=clock))
        viewer.until(lambda: viewer.loop.state == LiveState.FAILED)
        assert f"does not accept the token in {file} (HTTP {status})" in said(viewer.loop)
        assert TOKEN not in said(viewer.loop).replace(str(file), "")
        attempts = viewer.loop.statistics.attempts
        viewer.during(0.5)
        assert viewer.loop.statistics.attempts == attempts, "a wrong token is not tried many times a second"
        refuses.clear()
        clock.ahead += 4
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()


def test_a_missing_token_file_is_told_and_waited_for(tmp_path: Path) -> None:
    with script(inverter()) as address:
        viewer = Viewer(LiveLoop(Address(address.url, token_file=tmp_path / "token")))
        viewer.until(lambda: viewer.loop.state == LiveState.WAITING)
        assert f"The token file {tmp_path / 'token'} does not exist: start the server." in said(viewer.loop)
        (tmp_path / "token").write_text(TOKEN)
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()


def test_a_wrong_path_is_told() -> None:
    def check(connection: ServerConnection, request: Handshake) -> Response | None:
        return connection.respond(http.HTTPStatus.NOT_FOUND, "no\n")

    with script(inverter(), process_request=check) as address:
        viewer = Viewer(LiveLoop(Address(address.url.replace("/live", "/lve"))))
        viewer.until(lambda: viewer.loop.state == LiveState.FAILED)
        assert "has no /lve (HTTP 404): the path should be /live" in said(viewer.loop)
        viewer.loop.stop()


@pytest.mark.parametrize(("theirs", "older"), [(PROTOCOL - 1, "server"), (PROTOCOL + 1, "client")])
def test_another_version_of_the_protocol_is_told_with_the_side_to_update(theirs: int, older: str) -> None:
    def handler(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(pack(Welcome(protocol=theirs)))
        connection.recv()

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.state == LiveState.FAILED)
        expected = f"speaks version {PROTOCOL} of the protocol and the server version {theirs}: update the {older}."
        assert expected in said(viewer.loop)
        viewer.loop.stop()


@pytest.mark.parametrize(
    ("fields", "theirs", "older"),
    [({"server": PROTOCOL + 1}, PROTOCOL + 1, "client"), ({}, 2, "server"), ({"server": "x"}, 2, "server")],
)
def test_a_server_that_refuses_our_version_is_told_with_both(fields: Fields, theirs: int, older: str) -> None:
    """A server of version 2 says no more than the code."""

    def handler(connection: ServerConnection) -> None:
        assert isinstance(unpack(connection.recv()), Hello)
        connection.send(pack(Failure("protocol_version", fields, sentence="whatever it says")))
        connection.close(4400, "update")

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.state == LiveState.FAILED)
        assert viewer.loop.problem == ProtocolVersion(PROTOCOL, theirs)
        assert f"version {theirs}: update the {older}." in said(viewer.loop)
        viewer.loop.stop()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00" * 5000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: bm90IHRoZSBrZXk=\r\n\r\n",
        b"HTTP/1.1 " + b"1" * 200_000,
        b"",
    ],
)
def test_something_else_at_the_port_is_told(answer: bytes) -> None:
    def handler(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    with raw(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.state in (LiveState.FAILED, LiveState.WAITING))
        assert address.place in said(viewer.loop)
        assert any(words in said(viewer.loop) for words in ("not a Draftglass server", "with HTTP 200", "was lost"))
        viewer.loop.stop()


GARBAGE = {
    "random bytes": os.urandom(4096),
    "a message that is longer than any": bytes([0x82, 127]) + struct.pack("!Q", MAX_MESSAGE_BYTES + 1),
    "10^18 bytes to come": bytes([0x82, 127]) + struct.pack("!Q", 10**18),
    "a reserved opcode": bytes([0x83, 0]),
    "a masked frame": bytes([0x82, 0x84]) + b"\0" * 8,
    "a continuation of nothing": bytes([0x80, 4]) + b"abcd",
    "text": bytes([0x81, 5]) + b"hello",
    "an empty message": bytes([0x82, 0]),
    "no message of ours": bytes([0x82, 8]) + b"\xff" * 8,
    "a client's message": bytes([0x82, len(pack(Hello()))]) + pack(Hello()),
    "a status before the welcome": bytes([0x82, len(pack(Status("ready")))]) + pack(Status("ready")),
    "a flood of pongs": bytes([0x8A, 0]) * FLOOD * 20,
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_from_the_server_is_told_and_ends_the_connection(what: str) -> None:
    def handler(connection: ServerConnection) -> None:
        connection.recv()
        connection.socket.sendall(GARBAGE[what])
        connection.recv()

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.state in (LiveState.FAILED, LiveState.WAITING))
        assert viewer.loop.state == LiveState.FAILED or what == "random bytes"
        assert "is not a Draftglass server, or a broken one: " in said(viewer.loop) or what == "random bytes"
        assert viewer.sent == []
        viewer.loop.stop()


def test_garbage_in_place_of_a_picture_is_told_and_the_loop_comes_back() -> None:
    first = threading.Event()

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            good = pack(inverted(request))
            connection.send(good if first.is_set() else good[:-1])
            first.set()

    with script(handler) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(address, clock=clock))
        viewer.until(lambda: viewer.loop.state == LiveState.FAILED)
        assert "bytes" in said(viewer.loop)
        clock.ahead += 4
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()


def test_a_port_that_accepts_and_never_answers_is_given_up() -> None:
    done = threading.Event()

    def handler(connection: socket.socket) -> None:
        done.wait(20)

    with raw(handler) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(address, clock=clock))
        seconds = 0
        while viewer.loop.state != LiveState.WAITING:
            viewer.beat()
            clock.ahead += 1
            seconds += 1
            assert seconds < 60
        assert seconds == pytest.approx(PATIENCE, abs=2)
        assert f"The server at {address.place} has not answered for" in said(viewer.loop)
        viewer.loop.stop()
        done.set()


def test_a_websocket_that_never_welcomes_is_given_up_though_it_lives() -> None:
    done = threading.Event()

    def handler(connection: ServerConnection) -> None:
        while not done.wait(0.01):
            connection.ping()

    with script(handler) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(address, clock=clock))
        for _ in range(int(PATIENCE) + 5):
            viewer.during(0.03)
            clock.ahead += 1
            if viewer.loop.state == LiveState.WAITING:
                break
        assert "has not answered for" in said(viewer.loop)
        viewer.loop.stop()
        done.set()


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 on this machine")
def test_localhost_is_tried_in_both_families() -> None:
    with script(inverter(), host="::1") as address:
        viewer = Viewer(LiveLoop(Address(address.url.replace("127.0.0.1", "localhost"), TOKEN)))
        viewer.until(lambda: viewer.pictures)
        assert viewer.loop.statistics.attempts == 2
        viewer.loop.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_token_file_that_is_a_pipe_does_not_hold_the_heartbeat(tmp_path: Path) -> None:
    """Opening a pipe waits until somebody writes into it, and Blender with it."""
    os.mkfifo(tmp_path / "token")
    with script(inverter()) as address:
        viewer = Viewer(LiveLoop(Address(address.url, token_file=tmp_path / "token")))
        viewer.until(lambda: viewer.loop.state == LiveState.WAITING)
        assert "no ordinary file" in said(viewer.loop)
        os.unlink(tmp_path / "token")
        (tmp_path / "token").write_text(TOKEN)
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()
