"""A server of our own for one run: started, found, and stopped again. Standard library only; no sockets."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

from ..live import Address
from .errors import HeadlessError

ROOT = Path(__file__).resolve().parents[2]
"""Where the packages ``addon`` and ``server`` lie."""
START_SECONDS = 120.0
"""Until the address must be printed; importing its libraries from a cold disk takes most of it."""
STOP_SECONDS = 4.0


class TemporaryServer:
    """``python -m server`` as a child process, with a token file and a log in a folder that only we can read."""

    def __init__(self, model: str, device: str, *more: str) -> None:
        """Start it, with ``more`` arguments; ``address`` waits for that. Raises HeadlessError if it can't be."""
        self._folder = Path(tempfile.mkdtemp(prefix="draftglass-"))
        self._lines: queue.Queue[str] = queue.Queue()
        path = Path(os.path.expanduser(model))  # else it is a name that the server knows
        source = str(path.absolute()) if model != "embedded" and path.exists() else model
        command = [sys.executable, "-m", "server", "--port", "0", "--model", source, "--device", device]
        command += ["--token-file", str(self._folder / "token"), "--exit-with-parent", str(os.getpid()), *more]
        try:
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,  # Ctrl-C is for us: the server is stopped in order, by stop()
                )
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise HeadlessError(f"the server could not be started: {error}") from None
        threading.Thread(target=self._listen, name="server's output", daemon=True).start()

    def address(self) -> Address:
        """Wait for the line with the address. Raises HeadlessError when it does not come."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                line = self._lines.get(timeout=0.1)
            except queue.Empty:
                self.check()
                continue
            with contextlib.suppress(ValueError, KeyError, TypeError):  # a line of something else
                said = json.loads(line)
                if said["event"] == "listening":
                    return Address(said["url"], token_file=Path(said["token_file"]))
        raise HeadlessError(f"the server has not said within {START_SECONDS:.0f} s where it listens")

    def check(self) -> None:
        """Raise HeadlessError, with the server's own last words, when it has ended."""
        status = self._process.poll()
        if status is None:
            return
        if status < 0:  # it had no time for words: the last ones in its log are about something else
            raise HeadlessError(f"the server was ended by a signal ({signal.Signals(-status).name})")
        words = (self._folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        why = words[-1].removeprefix("python -m server: ") if words else f"status {status}"
        raise HeadlessError(f"the server has ended: {why}")

    def stop(self) -> None:
        """End it, by force if need be, and remove what it left. Safe to call twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> TemporaryServer:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
