"""The real app in a process of its own, with an engine whose style is to invert."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from addon.live import Address

ROOT = Path(__file__).resolve().parents[3]
SERVER = """
import os
from pathlib import Path
from types import SimpleNamespace
from server.net.app import create_app
from server.config import Config
from server.net.process import Process, bind

class Inverter:
    name = "inverter"
    def render(self, request, on_step=None):
        return SimpleNamespace(image=255 - request.frame.image, timings={})
    def close(self):
        pass

listener = bind("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
config = Config(model=os.getcwd(), token_file=Path(os.devnull))
Process(create_app(config, "token", lambda report: Inverter()), lambda: None).run(sockets=[listener])
"""


@contextlib.contextmanager
def inverting(before: str = "") -> Iterator[tuple[Address, subprocess.Popen[str]]]:
    """Run it, after the code ``before``. Yields its address and its process."""
    process = subprocess.Popen([sys.executable, "-c", before + SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Address(f"ws://127.0.0.1:{int(process.stdout.readline())}/live", "token"), process
    finally:
        process.kill()
        process.wait()
