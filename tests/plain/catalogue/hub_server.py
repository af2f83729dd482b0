"""A hub in small on this machine: the routes that huggingface_hub uses to list and download files. Standard library.

It can break off, be slow, or send wrong bytes, as networks do.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from server.catalogue import read_presets

LFS = ".safetensors"
PATIENT = {"HF_HUB_ETAG_TIMEOUT": "120", "HF_HUB_DOWNLOAD_TIMEOUT": "120"}
"""For the environment: the library's own ten seconds may pass on a machine where this hub waits for a processor."""


@dataclass
class Hub:
    """``folders``: repository -> its files. ``asked``: the GETs of files so far, as repository/path."""

    folders: dict[str, Path]
    url: str = ""
    break_after: int | None = None
    """Bytes after which the next weight file's connection is cut, once."""
    corrupt: str = ""
    """A path whose bytes come with one of them changed."""
    honour_ranges: bool = True
    """Whether a part of a file can be had; some proxies send the whole."""
    pause: float = 0.0
    """Seconds between pieces of 64 KiB."""
    hold_after: int | None = None
    """Bytes after which a weight file stands still until this is None again."""
    hold_lists: bool = False
    """Whether what a repository has is not answered until this is False again."""
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)


def commit_of(repo: str) -> str:
    pinned = (part for preset in read_presets().values() for part in preset.parts if part.repo == repo)
    return next(pinned).revision


@contextlib.contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve ``hub`` on a free port of this machine while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            parts = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                return self._info("/".join(parts[2:4]), *parts[5:6])
            if parts[2:3] == ["resolve"]:
                return self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]), with_body)
            return self._send(404, b"{}", {})

        def _info(self, repo: str, revision: str = "") -> None:
            while hub.hold_lists:
                time.sleep(0.01)
            if repo not in hub.folders:
                return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            root = hub.folders[repo]
            files = [path for path in sorted(root.rglob("*")) if path.is_file()]
            siblings = []
            for path in files:
                data = path.read_bytes()
                blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
                one = {"rfilename": path.relative_to(root).as_posix(), "size": len(data), "blobId": blob}
                if path.suffix == LFS:
                    digest = hashlib.sha256(path.read_bytes()).hexdigest()
                    one["lfs"] = {"sha256": digest, "size": path.stat().st_size, "pointerSize": 134}
                siblings.append(one)
            body = {"id": repo, "sha": revision or commit_of(repo), "siblings": siblings, "tags": [], "downloads": 0}
            return self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

        def _file(self, repo: str, revision: str, name: str, with_body: bool) -> None:
            path = hub.folders.get(repo, Path("/nowhere")) / name
            if not path.is_file():
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            data = path.read_bytes()
            lfs = path.suffix == LFS
            digest = (hashlib.sha256(data) if lfs else hashlib.sha1(b"blob %d\0" % len(data) + data)).hexdigest()
            headers = {"X-Repo-Commit": revision, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
            if lfs:
                headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
            if not with_body:
                return self._send(200, b"", {**headers, "Content-Length": str(len(data))})
            hub.asked.append(f"{repo}/{name}")
            if name == hub.corrupt:
                data = data[:-1] + bytes([data[-1] ^ 1])
            start, status = 0, 200
            if asked := self.headers.get("Range"):
                hub.ranges.append(asked)
                if hub.honour_ranges:
                    start, status = int(asked.removeprefix("bytes=").split("-")[0]), 206
                    headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return self._send(status, data[start:], headers, weights=lfs)

        def _send(self, status: int, body: bytes, headers: dict[str, str], weights: bool = False) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                for at in range(0, len(body), 1 << 16):
                    if weights and hub.break_after is not None and len(body) > hub.break_after <= at:
                        hub.break_after = None
                        self.close_connection = True
                        self.connection.shutdown(2)
                        return
                    while weights and hub.hold_after is not None and at >= hub.hold_after:
                        time.sleep(0.01)
                    self.wfile.write(body[at : at + (1 << 16)])
                    if weights and hub.pause:
                        time.sleep(hub.pause)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
