"""A server that knows the token and does its worst, in a process of its own: ``python -m tests.attack.hostile_server``.

Which attack a client gets is the path that it asks for. It prints its port.
"""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol

from addon.transport.compression import ENCODINGS
from addon.wire import Failure, Picture, Status, Welcome, pack
from addon.wire.models import MAX_ENTRIES, Entry, Models
from tests.plain.live.servers import TOKEN, proof
from tests.plain.untrusted.test_pictures import jpeg, many_scans
from tests.plain.wire.samples import join

MB = 1024 * 1024


def frame(data: bytes, first: int = 0x82) -> bytes:
    """A WebSocket frame of a server."""
    return struct.pack("!BBQ", first, 127, len(data)) + data


def header(part: bytes, count: int) -> bytes:
    """A message whose header is ``part``, ``count`` times."""
    return frame(join(b'{"type":"status","state":"ready","later":[' + part * count + b"0]}"))


def picture(data: bytes, side: int, **entry: object) -> bytes:
    """A picture message with any bytes as its plane."""
    plane = {"name": "image", "height": side, "width": side, **entry}
    return frame(join(json.dumps({"type": "picture", "id": 1, "planes": [plane]}).encode()) + data)


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)


def small(data: bytes, side: int) -> bytes:
    return picture(data, side, encoding="jpeg", bytes=len(data))


def models() -> bytes:
    entries = tuple(Entry(f"{n}" + "x" * 150, "y" * 100, sentence="z" * 300) for n in range(MAX_ENTRIES))
    return frame(pack(Models(entries=entries)))


READY = frame(pack(Status("ready", 100, "hostile")))
ATTACKS: dict[str, Callable[[], bytes]] = {
    "frames of nothing": lambda: b"\x82\x00" * MB,
    "pings": lambda: (b"\x89\x7d" + bytes(125)) * 100_000,
    "short pings": lambda: b"\x89\x00" * MB,
    "continuations of nothing": lambda: b"\x02\x00" + b"\x00\x00" * MB,
    "a message in pieces": lambda: b"\x02\x01x" + (b"\x00\x08" + bytes(8)) * 500_000,
    "ten messages of 50 MB": lambda: frame(bytes(50 * MB)) * 4,
    "statuses": lambda: READY * 50_000,
    "brackets": lambda: header(b"[],", 300_000) * 8,
    "objects": lambda: header(b"{},", 300_000) * 8,
    "19,000 values": lambda: header(b'{"":1},', 9000) * 30,
    "names twice": lambda: frame(join(b"{" + b",".join(b'"%d":1' % n for n in range(19_000)) + b',"18999":1}')) * 8,
    "lists of models": lambda: models() * 10,
    "pictures of 2048": lambda: frame(pack(Picture(1, noise(2048)))) * 3,
    "a JPEG of many scans": lambda: small(many_scans(20_000), 2048) * 3,
    "JPEGs of noise": lambda: small(jpeg(2048, quality=95), 2048) * 3,
    "the largest JPEGs": lambda: small(jpeg(2048, quality=5), 2048) * 10,
    "failures": lambda: frame(pack(Failure("x" * 100, {f"n{n}": "y" * 4000 for n in range(32)}))) * 100,
    "a client's messages": lambda: frame(join(b'{"type":"upload","sha256":"0","planes":[]}')) * 3,
    "random bytes": lambda: noise(512).tobytes(),
}
BEFORE: dict[str, Callable[[], bytes]] = {
    "a header without end": lambda: b"HTTP/1.1 101 X\r\nA: " + b"x" * 8 * MB,
    "headers without end": lambda: b"HTTP/1.1 101 X\r\n" + b"A: b\r\n" * MB,
    "a body without end": lambda: b"HTTP/1.1 500 X\r\nContent-Length: 99999999999\r\n\r\n" + bytes(8 * MB),
    "no HTTP": lambda: bytes(8 * MB),
}
"""In place of the handshake's answer."""
KINDS = (*ATTACKS, *BEFORE)


@functools.cache
def made(kind: str) -> bytes:
    """What a client gets of ``kind``."""
    return {**ATTACKS, **BEFORE}[kind]()


def attack(connection: socket.socket) -> None:
    """Greet a client, then send it what it has asked for, again and again."""
    protocol, asked = ServerProtocol(), None
    while asked is None:
        protocol.receive_data(connection.recv(65536))
        asked = next(iter(protocol.events_received()), None)
    assert isinstance(asked, Handshake)
    kind = KINDS[int(asked.path.strip("/"))]
    if kind in BEFORE:
        connection.sendall(made(kind))
        return
    response = protocol.accept(asked)
    response.headers.update(proof(asked, TOKEN))
    protocol.send_response(response)
    protocol.send_binary(pack(replace(Welcome(), credits=64, encodings=ENCODINGS)))
    connection.sendall(b"".join(protocol.data_to_send()) + READY)
    while True:
        connection.sendall(made(kind))


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            attack(connection)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
