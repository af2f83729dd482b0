"""Connections of those who mean no good, and whether the server has ended them. Sockets only."""

from __future__ import annotations

import contextlib
import select
import socket

from addon.transport.challenge import CHALLENGE, new_number
from tests.plain.server.rig import Address

LONG_PING = b"\x89\xfd" + bytes(4 + 125)


def is_over(client: socket.socket) -> bool:
    """Whether the server has ended the connection; reads what it had sent."""
    with contextlib.suppress(ConnectionError):
        while select.select([client], [], [], 0)[0]:
            if not client.recv(65536):
                return True
        return False
    return True


def is_cut(client: socket.socket) -> bool:
    """The same for one that reads nothing: what it sends is refused."""
    try:
        client.setblocking(False)
        client.send(b"\x8a\x80mask")
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def opened(address: Address, said: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", address.port))
    client.sendall(said)
    return client


HALF = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n"
UPGRADE = HALF + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE += b"Sec-WebSocket-Key: " + b"A" * 22 + b"==\r\n"
STRANGERS = {
    "silent": b"",
    "half a request": HALF,
    "refused, and still there": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a body without end": b"POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\n"
    + bytes(99999),
    "a challenge without a hello": UPGRADE + f"{CHALLENGE}: {new_number()}\r\n\r\n".encode(),
}
