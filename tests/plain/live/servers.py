"""Servers of the tests' own, over real sockets, and a viewer that drives a live loop against them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Handshake
from websockets.http11 import Response
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection, serve

from addon.live import Address, LiveLoop, PlainDraft, build_request
from addon.problems import Problem, Report, fields_of
from addon.problems.words import sentence
from addon.transport.challenge import CHALLENGE, PROOF, new_number, prove
from addon.wire import Control, Failure, Hello, Picture, Request, Shown, Status, Style, Welcome, pack, unpack

TOKEN = "token-of-the-tests"
READY = Status("ready", 100, "simulated")


class Clock:
    """Real time that can be moved on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.perf_counter() + self.ahead


def proof(request: Handshake, token: str) -> dict[str, str]:
    """The headers that show whoever opens a WebSocket by ``request`` that the server knows ``token``."""
    theirs, ours = request.headers.get(CHALLENGE, ""), new_number()
    return {CHALLENGE: ours, PROOF: prove(token, "server", theirs, ours)}


@contextlib.contextmanager
def script(handler: Callable[[ServerConnection], None], host: str = "127.0.0.1", **options: Any) -> Iterator[Address]:
    """A WebSocket server that runs ``handler`` for each connection, in threads of its own."""

    def run(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            handler(connection)

    def prove_token(_: ServerConnection, request: Handshake, response: Response) -> None:
        response.headers.update(proof(request, TOKEN))

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    options = {"process_response": prove_token, **options}
    with serve(run, sock=listener, compression=None, max_size=None, **options) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Address(f"ws://127.0.0.1:{listener.getsockname()[1]}/live", TOKEN)


@contextlib.contextmanager
def raw(handler: Callable[[socket.socket], None]) -> Iterator[Address]:
    """A TCP server that runs ``handler`` for each connection; the socket is closed when it returns."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    handler(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield Address(f"ws://127.0.0.1:{listener.getsockname()[1]}/live")
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        listener.close()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def greet(connection: ServerConnection, status: Status | None = READY) -> Hello:
    """Answer a Hello as a server does."""
    hello = unpack(connection.recv())
    assert isinstance(hello, Hello)
    connection.send(pack(Welcome(server="scripted 1")))
    if status is not None:
        connection.send(pack(status))
    return hello


def greet_by_hand(connection: socket.socket, status: Status = READY) -> None:
    """Do the handshake and the greeting on a bare socket, which nobody reads afterwards."""
    protocol = ServerProtocol()
    handshake = None
    while handshake is None:
        protocol.receive_data(connection.recv(65536))
        handshake = next(iter(protocol.events_received()), None)
    assert isinstance(handshake, Handshake)
    protocol.send_response(protocol.accept(handshake))
    for message in (Welcome(), status):
        protocol.send_binary(pack(message))
    connection.sendall(b"".join(protocol.data_to_send()))


def requests(connection: ServerConnection) -> Iterator[Request]:
    """The requests that come, until the client is gone."""
    for data in connection:
        message = unpack(data)
        assert isinstance(message, Request | Shown)
        if isinstance(message, Request):
            yield message


def inverted(request: Request, **timings: float) -> Picture:
    """The answer of a server whose style is to invert."""
    return Picture(request.frame.id, 255 - request.frame.image, request.frame.captured, request.settle, "m", timings)


def inverter(engine: float = 0.0) -> Callable[[ServerConnection], None]:
    """A whole server that inverts, ``engine`` seconds a frame."""

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            arrived = time.perf_counter()
            time.sleep(engine)
            made = time.perf_counter()
            picture = inverted(request, engine=(made - arrived) * 1e3)
            connection.send(pack(replace(picture, arrived=arrived, made=made)))

    return handler


def failure(problem: Problem, number: int | None = None) -> Failure:
    """The message that says ``problem``, as a server sends it."""
    return Failure(problem.code, fields_of(problem), number, sentence(problem))


def status(state: Literal["loading", "ready", "failed"], percent: float = 100, report: Report | None = None) -> Status:
    """The message that says how it is with the model, as a server sends it."""
    if report is None:
        return Status(state, percent, "simulated")
    return Status(state, percent, "simulated", report.code, fields_of(report), sentence(report))


def said(loop: LiveLoop) -> str:
    """What a person reads of the loop now."""
    return sentence(loop.report)


class Viewer:
    """Drives a loop as an add-on does. ``key`` is the view; each frame shows the frame's id as its colour."""

    def __init__(self, loop: LiveLoop, size: int = 64, depth: bool = False) -> None:
        self.loop, self.size, self.depth = loop, size, depth
        self.key: Hashable = "view"
        self.style = Style()
        self.sent: list[Request] = []
        self.pictures: list[Picture] = []
        self.states: list[str] = []
        self.longest = 0.0

    def beat(self) -> None:
        """One heartbeat."""
        began = time.perf_counter()
        want = self.loop.poll(self.key)
        self.longest = max(self.longest, time.perf_counter() - began)
        if want is not None:
            image = np.full((self.size, self.size, 3), want.id % 256, np.uint8)
            depth = np.full((self.size, self.size), want.id, np.uint16) if self.depth else None
            settle_steps = self.style.steps if want.settle else None
            style = replace(self.style, controls=(Control("depth"),)) if self.depth else self.style
            request = build_request(want.id, PlainDraft(image, depth), style, settle_steps=settle_steps)
            self.loop.send(request)
            self.sent.append(request)
        picture = self.loop.take_picture()
        if picture is not None:
            self.pictures.append(picture)
        if not self.states or self.states[-1] != self.loop.state:
            self.states.append(self.loop.state)

    def until(self, condition: Callable[[], object], within: float = 60.0) -> None:
        """Go on until ``condition`` holds; it is an error when it does not, on a machine however busy."""
        end = time.perf_counter() + within
        while not condition():
            assert time.perf_counter() < end, f"{self.loop.state}: {said(self.loop)}"
            self.beat()
            time.sleep(0.001)

    def during(self, seconds: float) -> None:
        """Go on for so long."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.beat()
            time.sleep(0.001)
