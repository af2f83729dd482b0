"""A client written from docs/protocol.md alone. Standard library and the package websockets; nothing of ours."""

from __future__ import annotations

import array
import hashlib
import hmac
import json
import re
import secrets
import struct
import zlib
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "protocol.md"
IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def fields_of(section: str) -> dict[str, str]:
    """The fields in the tables of a section of the document, each with its default as written there."""
    text = DOCUMENT.read_text(encoding="utf-8").split(f"\n### {section}\n")[1].split("\n## ")[0].split("\n### ")[0]
    found: dict[str, str] = {}
    for names, default in re.findall(r"^\| (`[^|]+`) \| [^|]+ \| ([^|]+) \|", text, re.M):
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), default.strip("` "))
    return found


def filled(section: str, **given: Any) -> dict[str, Any]:
    """An object with every field of the section: those of ``given``, and the document's default for all others."""
    values = {}
    for name, default in fields_of(section).items():
        if name in given:
            values[name] = given[name]
        elif default == "identity":
            values[name] = IDENTITY
        elif default != "needed":
            values[name] = json.loads(default)
    assert given.keys() <= values.keys(), f"the document has no {given.keys() - values.keys()} in {section}"
    return values


def planes_table() -> dict[str, tuple[str, str]]:
    """The document's planes: their encoding, and their small one."""
    text = DOCUMENT.read_text(encoding="utf-8").split("<!-- table: planes -->\n")[1].split("\n\n")[0]
    return {
        name: (plain, small) for name, plain, small in re.findall(r"^\| `(\w+)` \| `(\w+)` \| `?(\w+)`? \|", text, re.M)
    }


def message(header: dict[str, Any], *planes: bytes) -> bytes:
    """The bytes of a message: length of the header, header, planes."""
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + b"".join(planes)


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and planes of a message."""
    (length,) = struct.unpack_from("<I", data)
    return json.loads(data[4 : 4 + length]), data[4 + length :]


def plane(name: str, height: int, width: int, **more: Any) -> dict[str, Any]:
    """The entry of a plane as it is."""
    return {"name": name, "encoding": planes_table()[name][0], "height": height, "width": width, **more}


def packed(values: bytes, row: int, size: int) -> bytes:
    """The encoding ``z`` of values of ``size`` bytes, ``row`` of them in a row."""
    code = {1: "B", 2: "H"}[size]
    numbers = array.array(code, values)
    below = numbers[row:]
    steps = numbers[:row] + array.array(
        code, ((new - old) % 256**size for new, old in zip(below, numbers, strict=False))
    )
    data = steps.tobytes()
    return zlib.compress(b"".join(data[byte::size] for byte in range(size)))


def proof(token: str, role: str, yours: str, theirs: str) -> str:
    """What shows that the one in ``role`` knows the token."""
    return hmac.new(token.encode(), f"draftglass {role} {yours} {theirs}".encode(), hashlib.sha256).hexdigest()


def open_by_challenge(url: str, token: str) -> tuple[ClientConnection, str]:
    """A connection to a server that has shown that it knows the token, and the proof for the hello."""
    yours = secrets.token_hex(32)
    socket = connect(url, additional_headers={"Draftglass-Challenge": yours}, compression=None, max_size=None)
    assert socket.response is not None
    theirs = socket.response.headers["Draftglass-Challenge"]
    assert hmac.compare_digest(socket.response.headers["Draftglass-Proof"], proof(token, "server", yours, theirs))
    return socket, proof(token, "client", yours, theirs)


class ForeignClient:
    """A connection that has been welcomed."""

    def __init__(self, socket: ClientConnection, **hello: Any) -> None:
        self.socket = socket
        self.socket.send(message(filled("Hello", type="hello", protocol=3, **hello)))
        self.welcome = self.next("welcome")
        self.status = self.next("status")

    def next(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of ``kinds``, as its header; its planes' bytes are its ``data``."""
        while True:
            data = self.socket.recv(180)
            assert isinstance(data, bytes)
            header, rest = parts(data)
            assert kinds != ("welcome",) or header["type"] in kinds, f"{header} came first"
            if header["type"] in kinds:
                return header | {"data": rest}

    def answer(self) -> dict[str, Any]:
        """The next answer to a request."""
        return self.next("picture", "dropped", "failure")

    def ready(self) -> None:
        """Wait until the model is loaded."""
        while self.status["state"] != "ready":
            self.status = self.next("status")

    def ask(self, number: int, planes: list[tuple[dict[str, Any], bytes]], style: Any = None, **more: Any) -> None:
        """Send a request with all its fields."""
        wanted = filled("Style", **{"width": 64, "height": 64, "steps": 1, "strength": 0.7, **(style or {})})
        entries = [entry for entry, _ in planes]
        header = filled("Request", type="request", id=number, style=wanted, planes=entries, **more)
        self.socket.send(message(header, *(data for _, data in planes)))
