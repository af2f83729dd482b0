"""Attacks on the server: by strangers, by clients with the token, by what lies in its user's folder."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import struct
import time
import zlib
from collections.abc import Callable
from functools import partial

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from addon.transport.challenge import CHALLENGE, new_number
from addon.transport.compression import ENCODINGS
from addon.wire import Dropped, Failure, Hello, Picture, Status, pack, unpack
from addon.wire.models import ListModels, LoadModel, Lora, Models
from server.net.watch import MOST_STRANGERS
from tests.attack.connections import LONG_PING, STRANGERS, is_cut, is_over, opened
from tests.plain.server.rig import Address, RawClient, make_request
from tests.plain.untrusted.test_pictures import jpeg, many_scans
from tests.plain.wire.samples import join

PATIENCE = 20.0
MB = 1024 * 1024
Outcome = bool
"""Whether it was served; else it was refused. What is neither within PATIENCE raises TimeoutError."""
Attack = Callable[[Address], Outcome]


def header(text: bytes) -> bytes:
    return join(b'{"type":"request","id":1,"later":' + text + b"}")


def small(data: bytes, side: int, name: str = "image", encoding: str = "jpeg") -> bytes:
    """A request with one plane made small, and an image."""
    entry = {"name": name, "encoding": encoding, "height": side, "width": side, "bytes": len(data)}
    style = {"width": 64, "height": 64, "steps": 1}
    return join(json.dumps({"type": "request", "id": 1, "style": style, "planes": [entry]}).encode()) + data


def say(*messages: bytes) -> Attack:
    """Send ``messages`` after a hello, and wait for the first answer to them."""

    def act(address: Address) -> Outcome:
        with address.connect() as connection:
            connection.send(pack(Hello(encodings=ENCODINGS)))
            with contextlib.suppress(ConnectionClosed):
                for message in messages:
                    connection.send(message)
                while True:
                    answer = unpack(connection.recv(PATIENCE))
                    if isinstance(answer, Failure | Picture | Dropped):
                        return not isinstance(answer, Failure)
        return False

    return act


def greet(hello: bytes) -> Attack:
    """Send ``hello`` as the first message."""

    def act(address: Address) -> Outcome:
        with address.connect() as connection, contextlib.suppress(ConnectionClosed):
            connection.send(hello)
            return not isinstance(unpack(connection.recv(PATIENCE)), Failure)
        return False

    return act


def flood(data: bytes) -> Attack:
    """Send ``data`` behind a hello again and again, read nothing, and wait for the end."""

    def act(address: Address) -> Outcome:
        with RawClient(address, receive_buffer=4096) as raw, contextlib.suppress(ConnectionError):
            raw.socket.settimeout(PATIENCE)
            ends = time.monotonic() + PATIENCE
            while time.monotonic() < ends:
                raw.socket.sendall(data)
            raise TimeoutError
        return False

    return act


def strangers(said: bytes, count: int) -> Attack:
    """Open ``count`` connections without a token, and wait until those that stay are few."""

    def act(address: Address) -> Outcome:
        with contextlib.ExitStack() as stack:
            clients = []
            for _ in range(count):
                with contextlib.suppress(ConnectionError):
                    clients.append(stack.enter_context(opened(address, said)))
            ends = time.monotonic() + PATIENCE
            while sum(not is_over(client) for client in clients) > MOST_STRANGERS:
                if time.monotonic() > ends:
                    raise TimeoutError
                time.sleep(0.01)
        return False

    return act


def knock(path: str = "/live", token: str | None = "", headers: dict[str, str] | None = None, **more: str) -> Attack:
    """Open a WebSocket with these headers."""

    def act(address: Address) -> Outcome:
        try:
            with address.connect(token=token, path=path, headers=headers, **more) as connection:
                connection.send(pack(Hello()))
                return not isinstance(unpack(connection.recv(PATIENCE)), Failure)
        except (InvalidHandshake, InvalidMessage, ConnectionClosed):
            return False

    return act


def nonsense(count: int) -> Attack:
    """Bytes of all kinds in place of a request, one connection each."""

    def act(address: Address) -> Outcome:
        for _ in range(count):
            with (
                opened(address, secrets.token_bytes(500) + b"\r\n\r\n") as client,
                contextlib.suppress(ConnectionError),
            ):
                client.shutdown(socket.SHUT_WR)
                client.settimeout(PATIENCE)
                while client.recv(65536):
                    pass
        return False

    return act


def unfinished(address: Address) -> Outcome:
    """Six messages of 45 MB that never end: the server holds some of them, and ends the rest."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(address)) for _ in range(6)]
        for client in clients:
            client.socket.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionError):
                client.socket.sendall(b"\x82\xff" + struct.pack("!Q", 50 * MB) + b"mask" + bytes(45 * MB))
        ends = time.monotonic() + PATIENCE
        while sum(is_cut(client.socket) for client in clients) < 4:
            if time.monotonic() > ends:
                raise TimeoutError
            time.sleep(0.01)
    return False


def unread(address: Address) -> Outcome:
    """A picture that nobody reads. Takes as long as the protocol promises."""
    with RawClient(address, receive_buffer=4096) as raw:
        raw.send(pack(make_request(1, side=256, draft=64)))
        ends = time.monotonic() + 60
        while not is_cut(raw.socket):
            if time.monotonic() > ends:
                raise TimeoutError
            time.sleep(0.1)
    return False


def load(name: str) -> Attack:
    """Ask for a model that hurts."""

    def act(address: Address) -> Outcome:
        with address.client() as client:
            client.send(LoadModel(name))
            while not isinstance(answer := client.receive(PATIENCE), Failure):
                if isinstance(answer, Status) and answer.code in ("model_kept", "model_failed", "model_restored"):
                    return False
        return False

    return act


def many_requests(address: Address) -> Outcome:
    """Five times more requests than credits at once, of the largest draft."""
    data = [pack(make_request(number, draft=2048)) for number in range(1, 11)]
    return say(*data)(address)


def questions(count: int) -> Attack:
    """So many questions at once; the first answer is enough."""

    def act(address: Address) -> Outcome:
        with address.client() as client:
            for _ in range(count):
                client.send(ListModels())
            client.until(Models)
        return True

    return act


def chunks(address: Address) -> Outcome:
    """A body without end from one who knows the token."""
    said = f"POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {address.token}\r\n"
    with opened(address, said.encode() + b"Transfer-Encoding: chunked\r\n\r\n") as client:
        client.settimeout(PATIENCE)
        ends = time.monotonic() + PATIENCE
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < ends:
                client.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
                time.sleep(0.01)
            raise TimeoutError
    return False


def foreign_host(address: Address) -> Outcome:
    """A page whose name leads to this machine."""
    return address.get("/health", Host="evil.example", Authorization=f"Bearer {address.token}")[0] < 400


KINDS: dict[str, Callable[[], Attack]] = {
    "brackets in a header": lambda: say(header(b"[" + b"[]," * 300_000 + b"0]")),
    "objects in a header": lambda: say(header(b"[" + b"{}," * 300_000 + b"0]")),
    "a name twice among 19,000": lambda: say(
        header(b"{" + b",".join(b'"%d":1' % n for n in range(19_000)) + b',"18999":1}')
    ),
    "a header too deep": lambda: say(header(b"[" * 500_000)),
    "a header longer than the message": lambda: say(struct.pack("<I", 2**31) + b"{}"),
    "random bytes": lambda: say(secrets.token_bytes(5000)),
    "a JPEG of 20,000 scans": lambda: say(small(many_scans(20_000), 2048)),
    "a JPEG of 8 MB": lambda: say(small(jpeg(2048, quality=92, subsampling="4:4:4"), 2048)),
    "a JPEG of another size": lambda: say(small(jpeg(64), 2048)),
    "the largest JPEG": lambda: say(small(jpeg(2048, quality=5), 2048)),
    "a plane that inflates to 60 MB": lambda: say(
        small(zlib.compress(bytes(60 * MB), 9), 2048, "inverse_depth", "u12z")
    ),
    "a plane that inflates to too little": lambda: say(small(zlib.compress(b"x"), 2048, "normals", "z")),
    "a hello of garbage": lambda: greet(secrets.token_bytes(1000)),
    "a hello of brackets": lambda: greet(join(b'{"type":"hello","protocol":3,"later":[' + b"[]," * 300_000 + b"0]}")),
    "a wrong proof": lambda: knock(headers={CHALLENGE: new_number()}),
    "a wrong token": lambda: knock(token="wrong"),
    "a foreign origin": lambda: knock(token=None, origin="https://evil.example"),
    "a foreign host": lambda: foreign_host,
    "pings unread": lambda: flood(LONG_PING * 1000),
    "frames of two bytes": lambda: flood(b"\x82\x80mask" * 10_000),
    "a message in pieces": lambda: flood(b"\x02\x81maskx" + b"\x00\x81maskx" * 20_000),
    "a frame of 10^18 bytes": lambda: flood(b"\x82\xff" + struct.pack("!Q", 10**18) + bytes(MB)),
    "unfinished messages": lambda: unfinished,
    "more requests than credits, of 12 MB": lambda: many_requests,
    "100 questions about models": lambda: questions(100),
    "a prompt of 600 breaks": lambda: say(pack(make_request(1, prompt="BREAK " * 600))),
    "a prompt of odd letters": lambda: say(pack(make_request(1, prompt="\N{WOMAN}\N{ZERO WIDTH JOINER}" * 2000))),
    "a prompt of brackets": lambda: say(pack(make_request(1, prompt="(" * 2000 + "a" + ")" * 1999))),
    "memory of another's name": lambda: greet(pack(Hello(memory="0" * 32))),
    "a body in chunks": lambda: chunks,
    "1,000 idle connections": lambda: strangers(b"", 1000),
    **{f"200 strangers: {name}": (lambda said=said: strangers(said, 200)) for name, said in STRANGERS.items()},
    "200 connections of nonsense": lambda: nonsense(200),
}


def of_files(models: list[str]) -> dict[str, Callable[[], Attack]]:
    """Attacks by the files that ``tests.attack.files`` has laid out; ``models``: their names."""
    kinds: dict[str, Callable[[], Attack]] = {f"the model {name!r}": partial(load, name) for name in models}
    loras = [Lora(f"lora {number}", 1.0) for number in range(11)]
    return kinds | {f"the {one.name}": partial(say, pack(make_request(1, loras=(one,)))) for one in loras}
