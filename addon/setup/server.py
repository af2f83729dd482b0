"""The server as a child process: started, restarted after a crash, its log kept. Standard library only; no bpy.

Nothing here waits; call :meth:`ServerProcess.poll` from time to time.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..problems import Problem, ServerState
from ..problems.setup import ServerCrashed, ServerEndedAtStart, ServerHung, ServerNotStarted
from .pulse import Pulse, processor_seconds

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each restart, the last one for all that follow."""
SOUND_AFTER = 60.0
"""A server that has run for so long counts as sound: the pauses begin anew."""
TRIES = 3
"""Starts that may end before the server says its address; then a person has to look."""
START_SECONDS = 180.0
"""Until the address must be said; a cold disk and antivirus software take most of it."""
STOP_SECONDS = 4.0
LOGS_KEPT = 5
LONGEST_LOG = 2_000_000
PASSING = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC}
"""What a machine lacks for a while; another try may find it."""
WRONG_USE = 2
"""The server's exit status when its arguments or its address are the matter: starting it again would not help."""


@dataclass(frozen=True)
class Announced:
    """Where the server listens, as it said itself."""

    url: str
    token_file: Path
    pid: int


class ServerProcess:
    """``python -m server`` on a free port of this machine. It ends when this process does, however that ends.

    ``python``: an interpreter with the server's requirements. ``root``: where the packages ``server`` and ``addon``
    lie. ``folder``: for its logs; its token and its address go where only this user can read.
    ``problem``: why it is not running, or is being ended; None while nothing fails.
    """

    def __init__(
        self,
        python: Path,
        root: Path,
        folder: Path,
        arguments: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        program: Sequence[str] = ("-m", "server"),
    ) -> None:
        self.state = ServerState.STOPPED
        self.problem: Problem | None = None
        self.restarts = 0
        self.log = folder / "server.log"
        self._python, self._root, self._folder, self._clock = python, root, folder, clock
        self._arguments, self._program = (*arguments,), (*program,)
        self._environ = dict(os.environ if environ is None else environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._private: Path | None = None
        self._announced: Announced | None = None
        self._crashes = self._never_said = 0
        self._since = self._next = 0.0
        self._looked_at_log = 0.0
        self._pulse, self._owed = Pulse(), False
        self._start()

    @property
    def seconds_to_restart(self) -> float:
        """While pausing."""
        return max(0.0, self._next - self._clock())

    @property
    def pid(self) -> int | None:
        """The process' number while there is one."""
        return self._process.pid if self._process is not None else None

    def poll(self) -> Announced | None:
        """Where the server listens now; None while it does not."""
        if self.state is ServerState.PAUSING and self._clock() >= self._next:
            self.restarts += 1
            self._start()
        if self._process is None:
            return None
        ended = self._process.poll()
        if ended is not None:
            self._lost(ended)
        elif self.state is ServerState.STARTING:
            self._listen()
        elif self._clock() - self._since > SOUND_AFTER:
            self._crashes = 0
        if self._clock() - self._looked_at_log > 5.0:
            self._looked_at_log = self._clock()
            shorten(self.log)
        return self._announced

    def watch(self, owes: bool, loads: bool = False) -> None:
        """To be called about as often as :meth:`poll`. ``owes``: whether the server owes somebody a sign of life.

        One that does nothing at all meanwhile hangs: it is ended, which the next poll takes for a crash. While it
        ``loads`` a model it may be silent for long; then only what the system says of its work counts.
        """
        if self._process is None or self.state is not ServerState.RUNNING or not (owes or self._owed):
            return
        used = processor_seconds(self._process.pid) if owes else None
        self._owed = owes and not (loads and used is None)
        if self._pulse.hangs(self._clock(), self._owed, used):
            self.problem = ServerHung()
            self._process.kill()

    def restart(self) -> None:
        """Start again at once, with the pauses anew; for when a person asks for it."""
        if self.state in (ServerState.PAUSING, ServerState.FAILED):
            self._crashes = self._never_said = 0
            self._start()

    def stop(self) -> None:
        """Ask it to end, without waiting for it: it needs up to two seconds, and ends by itself after this process."""
        self.state, self.problem = ServerState.STOPPED, None
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError):
                self._process.terminate()
            _ending.append((self._process, self._private, self._clock() + STOP_SECONDS))
        elif self._private is not None:
            _forget(self._private)
        self._process = self._announced = self._private = None
        reap(self._clock())

    def _start(self) -> None:
        reap(self._clock())
        self._announced = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            rotate(self.log)
            self._private = Path(tempfile.mkdtemp(prefix="draftglass-server-"))  # mode 0700
            command = [str(self._python), "-s", *self._program, "--port", "0"]
            command += ["--token-file", str(self._private / "token"), "--exit-with-parent", str(os.getpid())]
            command += self._arguments
            environ = {key: value for key, value in self._environ.items() if key != "PYTHONHOME"}
            environ |= {"PYTHONPATH": str(self._root), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
            with open(self.log, "ab") as log, open(self._private / "said", "wb") as said:
                self._process = subprocess.Popen(
                    command,
                    cwd=self._private,  # not the extension's folder: on Windows that could not be updated then
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=log,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except OSError as error:
            self._process = None
            if self._private is not None:
                _forget(self._private)
                self._private = None
            problem = ServerNotStarted(str(self._python), error.strerror or str(error))
            if error.errno in PASSING:
                self._pause(problem)
            else:
                self._fail(problem)
            return
        self.state, self.problem, self._since = ServerState.STARTING, None, self._clock()
        self._pulse, self._owed = Pulse(), False

    def _listen(self) -> None:
        assert self._private is not None and self._process is not None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # not yet, or a line of something else
            for line in (self._private / "said").read_bytes().splitlines(keepends=True):
                said = json.loads(line)
                if said["event"] == "listening":
                    self._announced = Announced(said["url"], Path(said["token_file"]), int(said["pid"]))
                    self.state, self._since, self._never_said = ServerState.RUNNING, self._clock(), 0
                    return
        if self._clock() - self._since > START_SECONDS:
            self._process.kill()

    def _lost(self, status: int) -> None:
        assert self._process is not None and self._private is not None
        self._process = None
        killed = status < 0  # by a signal: the last line of its log is about something else
        reason = f"status {status}" if killed else last_words(self.log) or f"status {status}"
        _forget(self._private)
        self._private = None
        if self._announced is None:
            self._never_said += 1
        self._announced = None
        if status == WRONG_USE or self._never_said >= TRIES:
            self._fail(ServerEndedAtStart(reason))
            return
        self._pause(self.problem or ServerCrashed(reason))

    def _pause(self, problem: Problem) -> None:
        pause = PAUSES[min(self._crashes, len(PAUSES) - 1)]
        self._crashes += 1
        self.state, self.problem = ServerState.PAUSING, problem
        self._next = self._clock() + pause

    def _fail(self, problem: Problem) -> None:
        self.state, self.problem = ServerState.FAILED, problem


_ending: list[tuple[subprocess.Popen[bytes], Path | None, float]] = []


def reap(now: float) -> int:
    """Take note of servers that have ended since they were asked to, kill those that did not; return how many stay."""
    for item in list(_ending):
        process, private, deadline = item
        if process.poll() is not None:
            _ending.remove(item)
            if private is not None:
                _forget(private)
        elif now > deadline:
            process.kill()
    return len(_ending)


def _forget(private: Path) -> None:
    with contextlib.suppress(OSError):
        for file in private.iterdir():
            file.unlink()
        private.rmdir()


def rotate(log: Path) -> None:
    """Make room for a new log: server.log becomes server.1.log, and so on; the oldest goes. Raises OSError."""
    if not log.exists() or not log.stat().st_size:
        return
    named = [log, *(log.with_name(f"{log.stem}.{number}{log.suffix}") for number in range(1, LOGS_KEPT))]
    named[-1].unlink(missing_ok=True)
    for older, newer in zip(reversed(named), list(reversed(named))[1:], strict=False):
        if newer.exists():
            with contextlib.suppress(PermissionError):  # on Windows: another Blender's server writes into it
                newer.replace(older)


def shorten(log: Path) -> None:
    """Cut a log that has grown too long to its newer half, in place: the server keeps writing into it."""
    if os.name == "nt":  # there the server would go on at its old place, beyond the end
        return
    with contextlib.suppress(OSError):
        if log.stat().st_size > LONGEST_LOG:
            with open(log, "r+b") as file:
                file.seek(-LONGEST_LOG // 2, os.SEEK_END)
                kept = file.read()
                file.seek(0)
                file.write(kept)
                file.truncate()


def last_words(log: Path) -> str:
    """The last line of a log, without the program's name before it."""
    with contextlib.suppress(OSError), open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 4000))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1].removeprefix("python -m server: ")[:300] if lines else ""
    return ""
