"""A hub that lies, over real HTTP: it answers what a pull asks with whatever it is set to. Standard library."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIN = "a" * 40
WEIGHTS = "unet/model.safetensors"
FILES = {WEIGHTS: b"weights " * 1000, "unet/config.json": b'{"a": 1}', "model_index.json": b"{}"}
Listing = dict[str, Any]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry(name: str, data: bytes) -> Listing:
    if name.endswith(".safetensors"):
        return {"rfilename": name, "size": len(data), "lfs": {"sha256": sha256(data), "size": len(data)}}
    return {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}


@dataclass
class Liar:
    """What it answers; true until changed. ``asked``: the paths that were asked for."""

    listing: Listing = field(
        default_factory=lambda: {"sha": PIN, "siblings": [entry(name, data) for name, data in FILES.items()]}
    )
    raw_listing: bytes | None = None
    bodies: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    endless: bool = False
    announce: bool = True
    asked: list[str] = field(default_factory=list)
    sent: int = 0
    url: str = ""

    def of(self, name: str) -> Listing:
        return next(each for each in self.listing["siblings"] if each["rfilename"] == name)


@contextlib.contextmanager
def lying() -> Iterator[Liar]:
    """Serve a Liar, which tells the truth until changed, on a free port of this machine."""
    lies = Liar()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            lies.asked.append(self.path)
            is_list = self.path.startswith("/api/models/")
            name = self.path.partition(f"/resolve/{PIN}/")[2]
            listing = lies.raw_listing or json.dumps(lies.listing).encode()
            body = listing if is_list else lies.bodies.get(name, b"")
            self.send_response(200 if is_list and not lies.endless else lies.status)
            if lies.announce and not lies.endless:
                self.send_header("Content-Length", str(len(body)))
            for header, value in lies.headers.items():
                self.send_header(header, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)
                while lies.endless and (not is_list or lies.raw_listing):
                    self.wfile.write(b"0" * (1 << 16))
                    lies.sent += 1 << 16

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    lies.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield lies
    finally:
        server.shutdown()
        server.server_close()
