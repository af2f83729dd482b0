"""Real servers and real clients for the tests: in this process over a socket, or as a process of their own."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from websockets.client import ClientProtocol
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from addon.live.requests import PlainDraft, build_request
from addon.wire import Dropped, Failure, Hello, Message, Picture, Request, Style, Welcome, pack, unpack
from server.config import Config
from server.net.app import create_app
from server.net.process import Process, bind
from server.serving.mailbox import Mailboxes
from server.serving.worker import Letter, Load, Worker

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "a-token-of-the-tests"
PATIENCE = 180.0
"""How long a test waits for what must come, in seconds: for a machine that is busy, not a claim about speed."""

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Address:
    """Where a server listens, and its token."""

    port: int
    token: str

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """GET ``path`` with the token, or with just ``headers``. Returns status and body."""
        headers = headers or {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def connect(
        self,
        token: str | None = None,
        query: str = "",
        path: str = "/live",
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> ClientConnection:
        """Open a WebSocket; ``token`` "" sends none."""
        given = self.token if token is None else token
        headers = (headers or {}) | ({"Authorization": f"Bearer {given}"} if given else {})
        url = f"ws://127.0.0.1:{self.port}{path}{query}"
        return connect(url, additional_headers=headers, max_size=None, max_queue=None, open_timeout=PATIENCE, **options)

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """A client that has been welcomed."""
        with self.connect() as connection:
            client = Client(connection)
            client.send(Hello(client="test"))
            client.until(Welcome)
            yield client


class Client:
    """Messages over a connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, message: Message) -> None:
        self.connection.send(pack(message))

    def receive(self, patience: float = PATIENCE) -> Message:
        data = self.connection.recv(patience)
        assert isinstance(data, bytes)
        return unpack(data)

    def until(self, *kinds: type[M]) -> M:
        """The next message of one of ``kinds``; others are skipped."""
        while not isinstance(message := self.receive(), kinds):
            pass
        return message

    def answer(self) -> Picture | Dropped | Failure:
        """The next answer to a request."""
        while not isinstance(message := self.receive(), Picture | Dropped | Failure):
            pass
        return message


def make_request(number: int, *, side: int = 64, draft: int = 64, **style: Any) -> Request:
    """A request for a picture of ``side`` pixels from a draft of ``draft``, with a little of everything in it."""
    values = {"prompt": "a castle", "steps": 1, "strength": 0.7, "width": side, "height": side, **style}
    return build_request(number, PlainDraft(make_draft(number % 7, draft)), Style(**values), captured=number / 8)


@functools.cache
def make_draft(seed: int, side: int) -> NDArray[np.uint8]:
    """An image of noise."""
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


class RawClient:
    """A WebSocket that sends any bytes at all and reads only when told to: no thread reads behind its back."""

    def __init__(self, address: Address, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", address.port))
        self.protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{address.port}/live?token={address.token}"))
        self.protocol.send_request(self.protocol.connect())
        self._flush()
        while not self.protocol.events_received():
            self.protocol.receive_data(self.socket.recv(65536))
        self.send(pack(Hello()))

    def frame(self, data: bytes) -> bytes:
        """The bytes of the WebSocket frame that carries ``data``."""
        self.protocol.send_binary(data)
        return b"".join(self.protocol.data_to_send())

    def send(self, data: bytes) -> None:
        """Send ``data`` as one WebSocket message."""
        self.socket.sendall(self.frame(data))

    def read_to_end(self) -> None:
        """Read until the server has closed the connection; ``protocol`` then knows how."""
        with contextlib.suppress(ConnectionError):
            while data := self.socket.recv(65536):
                self.protocol.receive_data(data)
                self._flush()
        self.protocol.receive_eof()

    def _flush(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendall(b"".join(self.protocol.data_to_send()))

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@contextlib.contextmanager
def serving(
    load: Load, mailboxes: Mailboxes[Any, Letter] | None = None, **config: Any
) -> Iterator[tuple[Address, Worker]]:
    """A server in a thread of this process, with its real app on uvicorn and a real socket."""
    listener = bind("127.0.0.1", 0)
    values = {"model": str(ROOT), "token_file": Path(os.devnull), **config}
    app = create_app(Config(**values), TOKEN, load)
    if mailboxes is not None:
        app.state.worker.mailboxes = mailboxes
    process = Process(app, lambda: None)
    thread = threading.Thread(target=process.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Address(listener.getsockname()[1], TOKEN), app.state.worker
    finally:
        process.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Spawned:
    """``python -m server`` as a process, or ``script`` with the arguments ``before`` the server's own."""

    def __init__(self, folder: Path, *arguments: str, script: Path | None = None, before: Sequence[str] = ()) -> None:
        self.stderr = folder / "stderr.txt"
        what = ["-m", "server"] if script is None else [str(script), *before]
        token = ["--token-file", str(folder / "token"), *([] if "--port" in arguments else ["--port", "0"])]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *what, *token, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )

    def listening(self) -> dict[str, Any]:
        """The line on standard output."""
        return read_line(self.process)

    def address(self) -> Address:
        """Where it listens, once it does."""
        line = self.listening()
        return Address(line["port"], Path(line["token_file"]).read_text())

    def signal(self, number: signal.Signals, seconds: float) -> int:
        """Send the signal and return the exit status; fails unless the process ends within five times ``seconds``.

        On a machine where processes wait for a processor the seconds are longer by as much.
        """
        seconds *= 5 * slowness()  # what is stuck would not end at all; other processes come and go
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def __enter__(self) -> Spawned:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def slowness() -> float:
    """How many times longer than its own computing a process takes here just now: 1 on a machine that is free."""
    wall, own = time.monotonic(), time.process_time()
    while time.process_time() - own < 0.05:
        pass
    return max(1.0, (time.monotonic() - wall) / 0.05)


def read_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The JSON object on the next line of the process's standard output."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    assert ready, "nothing on standard output"
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds; fails when it doesn't within the tests' patience."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def wait_ready(address: Address) -> None:
    """Wait until the model is loaded."""
    wait_for(lambda: json.loads(address.get("/health")[1])["state"] != "loading")
    assert json.loads(address.get("/health")[1])["state"] == "ready"


def is_free(port: int) -> bool:
    """Whether a server could listen at ``port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
