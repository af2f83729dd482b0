"""Starts the steps of a setup and follows them. Standard library only; no bpy; nothing here waits."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ..problems import Problem, SetUpState, from_fields
from ..problems.setup import FROM_SET_UP, DiskFull, SetUpDied
from .machine import Machine
from .plan import Plan
from .progress import left_in_words

ROOT = Path(__file__).resolve().parents[2]
"""Where the package ``addon`` lies."""
NO_ROOM = 28


class Follower:
    """A process of ``python -m addon.setup`` and the lines that it writes into a file.

    A file, as a pipe cannot be read without waiting on each system and with each Python of Blender's. Nothing is
    written to its standard input: Blender 4.3 leaves SIGPIPE on, so that one which has just ended would end Blender.
    """

    def __init__(self, python: Path, *arguments: str) -> None:
        """Start it. Raises OSError."""
        self._folder = Path(tempfile.mkdtemp(prefix="draftglass-setup-"))
        self._events = self._folder / "events"
        self._events.touch()
        self._read = 0
        environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONHOME", "PYTHONPATH")}
        environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        try:
            with open(self._folder / "errors", "wb") as errors:
                self._process = subprocess.Popen(
                    [str(python), "-s", "-m", "addon.setup", str(self._events), *arguments],
                    cwd=ROOT,
                    env=environ,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    creationflags=flags,
                )
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def hang_up(self) -> None:
        """Close its standard input: it cancels."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End it at once, with nothing rolled back."""
        self._process.kill()

    def events(self) -> list[dict[str, Any]]:
        """The events since the last call. A line that a full disk has cut off is left out."""
        try:
            with self._events.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:  # somebody has emptied the folder for temporary files
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        events = []
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
        return events

    def ended(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """What it said last on standard error, when it ended without an event."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = (self._folder / "errors").read_text("utf-8", errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else f"status {self._process.returncode}"

    def close(self) -> None:
        """Remove its files, once it has ended."""
        self.hang_up()
        shutil.rmtree(self._folder, ignore_errors=True)


class Detection:
    """Looks what the machine has. Call :meth:`poll` until it returns the machine."""

    def __init__(self, python: Path) -> None:
        """Begin. Raises OSError."""
        self._follower = Follower(python, "detect")
        self.failed = ""
        """Its last words, when it ended with nothing found."""

    def poll(self) -> Machine | None:
        """The machine, once it is known."""
        ended = self._follower.ended()
        for event in self._follower.events():
            if event.pop("event") == "machine":
                return Machine.from_json(event)
        if ended is not None and not self.failed:
            self.failed = self._follower.last_words()
        return None

    def close(self) -> None:
        """End it."""
        if self._follower.ended() is None:
            self._follower.kill()
        self._follower.close()


class SetUp:
    """One setup under way. Call :meth:`poll` from time to time.

    ``fraction``: 0 to 1. ``words``, ``detail``: what it is doing. ``problem``: why it failed. ``log``: the file with
    pip's own words.
    """

    def __init__(self, plan: Plan, log: Path) -> None:
        """Begin. Raises OSError."""
        self.state, self.fraction, self.words, self.detail = SetUpState.RUNNING, 0.0, "Starting", ""
        self.seconds_left: float | None = None
        self.problem: Problem | None = None
        self._last: dict[str, Any] | None = None
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        self._follower = Follower(plan.python, str(log), plan.to_json())

    @property
    def is_under_way(self) -> bool:
        """Whether it has not ended yet."""
        return self.state in (SetUpState.RUNNING, SetUpState.CANCELLING)

    def poll(self) -> bool:
        """Take what is new; returns whether there was something."""
        if not self.is_under_way:
            return False
        ended = self._follower.ended()  # asked before the events are read, so that the last of them is among those
        events = self._follower.events()
        for event in events:
            self._take(event)
        if ended is not None:
            if self._last is not None:
                self._finish(self._last)
            else:  # killed, or it could not even start
                place, words = self.log.parent.as_posix(), self._follower.last_words()
                self.state = SetUpState.FAILED
                self.problem = DiskFull(place) if ended == NO_ROOM else SetUpDied(words)
            self._follower.close()
        return bool(events) or ended is not None

    def cancel(self) -> None:
        """Ask it to end and to roll back; :meth:`poll` tells when it has."""
        if self.state is SetUpState.RUNNING:
            self.state, self.words, self.detail, self.seconds_left = SetUpState.CANCELLING, "Cancelling", "", None
            self._follower.hang_up()

    @property
    def line(self) -> str:
        """What it is doing, how far that is, and the time left, as one line."""
        parts = (self.words, self.detail, left_in_words(self.seconds_left))
        return ", ".join(part for part in parts if part)

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "step" and self.state is SetUpState.RUNNING:
            self.fraction, self.words, self.detail = event["fraction"], event["words"], event["detail"]
            self.seconds_left = event["left"]
        elif kind != "step":
            self._last = event  # its process ends in a moment

    def _finish(self, event: dict[str, Any]) -> None:
        if event["event"] == "done":
            self.state, self.fraction, self.seconds_left = SetUpState.DONE, 1.0, None
        elif event["event"] == "cancelled":
            self.state = SetUpState.CANCELLED
        else:
            self.state = SetUpState.FAILED
            self.problem = from_fields(event["code"], event["fields"], FROM_SET_UP)
