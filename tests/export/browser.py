"""A GLB drawn by three.js in a headless Chromium. Standard library, numpy and Pillow only.

The page asks this process for the file and the cameras, and sends its pictures back.
"""

from __future__ import annotations

import http.server
import io
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).parent
PATIENCE = 180.0
"""Seconds: for a busy machine that draws in software."""
TYPES = {".html": "text/html", ".js": "text/javascript", ".json": "application/json", ".glb": "model/gltf-binary"}


def lacking() -> str:
    """What to install for the proofs, in a sentence; empty where all is there."""
    if not (HERE / "node_modules" / "three").is_dir() or not (HERE / "node_modules" / "gltf-validator").is_dir():
        return f"install what {HERE / 'package.json'} names: npm install --prefix {HERE}"
    return "" if chromium() else "install a Chromium: apt-get install chromium"


def chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def validate(glb: Path) -> dict[str, Any]:
    """The report of Khronos' validator."""
    done = subprocess.run(
        ["node", str(HERE / "validate.mjs"), str(glb)], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def draw(
    glb: Path, cameras: Sequence[dict[str, Any]], size: tuple[int, int], background: Sequence[float] = (0, 0, 0)
) -> list[NDArray[np.uint8]]:
    """A picture (uint8, H x W x 3) for each of ``cameras``: ``view`` and ``projection``, 4 x 4, row-major, Blender's.

    ``size``: width and height. ``background``: sRGB, 0 to 1. Raises AssertionError with the page's own words.
    """
    job = {"cameras": cameras, "width": size[0], "height": size[1], "background": list(background)}
    pictures: dict[int, NDArray[np.uint8]] = {}
    ended = threading.Event()
    failures: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made = {"/job.json": json.dumps(job).encode(), "/model.glb": glb.read_bytes()}.get(self.path)
            path = HERE / self.path.lstrip("/")
            if made is None and path.is_file() and HERE in path.resolve().parents:
                made = path.read_bytes()
            self.send_response(404 if made is None else 200)
            self.send_header("Content-Type", TYPES.get(Path(self.path).suffix, "application/octet-stream"))
            self.end_headers()
            self.wfile.write(made or b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.startswith("/picture/"):
                with Image.open(io.BytesIO(body)) as file:
                    pictures[int(self.path.rsplit("/", 1)[1])] = np.asarray(file.convert("RGB"))
            elif self.path == "/failed":
                failures.append(body.decode())
            self.send_response(204)
            self.end_headers()
            if self.path in ("/done", "/failed"):
                ended.set()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        browser = subprocess.Popen(
            [
                *(chromium() or "chromium", "--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader"),
                *("--use-angle=swiftshader", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"),
                *(f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_address[1]}/page.html"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert ended.wait(PATIENCE), "the page has not answered"
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
            server.server_close()
    assert not failures, failures[0]
    return [pictures[number] for number in range(len(cameras))]
