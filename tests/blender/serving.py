"""A server process of the checkout for Blender to talk to, and the ways to end it. No bpy."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.blender.places import ROOT
from tests.blender.screen import end

SERVER = ("-m", "server")
STAND_IN = ("-m", "tests.blender.stand_in")


class Server:
    """A running server. Use it as a context.

    Args:
        folder: where its token file and its log go.
        what: arguments of Python: :data:`SERVER` or :data:`STAND_IN`, and arguments of theirs.
        port: 0 takes a free one; give that of an earlier server to come back in its place.
    """

    def __init__(self, folder: Path, what: tuple[str, ...] = SERVER, port: int = 0) -> None:
        self.token_file = folder / "token"
        with open(folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *what, "--port", str(port), "--token-file", str(self.token_file)],
                cwd=ROOT, env=os.environ | {"HF_HUB_OFFLINE": "1"},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start:\n{(folder / 'server.log').read_text()[-2000:]}")
        announced = json.loads(line)
        self.port: int = announced["port"]
        self.url: str = announced["url"]

    def kill(self) -> None:
        """End it as a crash does, with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """End it."""
        end(self.process)
        self.process.stdout.close()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
