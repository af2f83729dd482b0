"""``python -m server models``: list, pull, remove, verify. No torch, no sockets.

With ``--json`` progress comes as lines of JSON, for the server that runs this as a process of its own, so that a
download ends at once when it is told to, whatever library it is in.
"""

from __future__ import annotations

import argparse
import io
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..config import default_models_dir, expanded
from . import pull as tasks
from .cache import HubError
from .cancel import listen
from .catalogue import Catalogue, UnknownModel
from .records import cancelled

LINE_SECONDS = 0.2
CANCELLED = 130


class _Lines:
    """Progress as lines of JSON on standard output, a few a second."""

    def __init__(self, state: str) -> None:
        self._state, self._last = state, 0.0

    def __call__(self, done: int, total: int, words: str) -> None:
        now = time.monotonic()
        if now - self._last >= LINE_SECONDS or done == total:
            self._last = now
            self.say(self._state, done, total, words)

    @staticmethod
    def say(state: str, done: int = 0, total: int = 0, sentence: str = "") -> None:
        print(json.dumps({"state": state, "done": done, "total": total, "sentence": sentence}), flush=True)


class _Bar:
    """Progress as a bar on standard error."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, done: int, total: int, words: str) -> None:
        if total and self._bar is None:
            self._bar = tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1000)
        if self._bar is not None:
            self._bar.set_description(words[-40:], refresh=False)
            self._bar.update(done - self._bar.n)

    def say(self, state: str, done: int = 0, total: int = 0, sentence: str = "") -> None:
        """The last word, below the bar."""
        if self._bar is not None:
            self._bar.close()
        print(sentence, file=sys.stdout if state == "done" else sys.stderr)


class _Cancellable:
    """Passes progress on; after a signal it ends the task, even where an interrupt was swallowed on its way."""

    def __init__(self, report: Callable[[int, int, str], None]) -> None:
        self._report, self._cancelled = report, False

    def cancel(self, *_: object) -> None:
        if not self._cancelled:  # once more would break off the clean-up
            self._cancelled = True
            raise KeyboardInterrupt

    def __call__(self, done: int, total: int, words: str) -> None:
        if self._cancelled:
            raise KeyboardInterrupt
        self._report(done, total, words)


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status: 0 done, 1 failed, 2 called wrongly, 130 cancelled."""
    parser = argparse.ArgumentParser("python -m server models", description="Models: what there is, get, remove.")
    parser.add_argument("--models-dir", type=Path, default=default_models_dir(), help="your own files (%(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|pull|remove|verify")
    verbs.add_parser("list", help="what is here and what can be had")
    for verb, words in (("pull", "download"), ("remove", "delete what was downloaded"), ("verify", "check the files")):
        one = verbs.add_parser(verb, help=words)
        one.add_argument("name")
        one.add_argument(
            "--json", action="store_true", help="progress as lines of JSON; the line 'cancel' on standard input ends it"
        )
    given = parser.parse_args(arguments)
    models_dir = expanded(given.models_dir)
    if models_dir.is_file():
        parser.error(f"--models-dir is {str(given.models_dir)!r}, which is a file: give a folder")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console may know fewer letters than a file's name has
            stream.reconfigure(errors="replace")
    catalogue = Catalogue(models_dir)
    if given.verb == "list":
        print_list(catalogue)
        return 0
    state = "verifying" if given.verb == "verify" else "pulling"
    shown: Any = _Lines(state) if given.json else _Bar()
    report = _Cancellable(shown)
    signal.signal(signal.SIGTERM, report.cancel)  # as by Ctrl-C: nothing half is left
    signal.signal(signal.SIGINT, report.cancel)
    if given.json:
        listen()
    try:
        preset = catalogue.preset(given.name)
        if given.verb == "pull":
            outcome = tasks.pull(preset, catalogue.records, report)
        elif given.verb == "verify":
            outcome = tasks.verify(preset, catalogue.records, report)
        else:
            outcome = tasks.remove(preset, catalogue.records)
    except KeyboardInterrupt:
        words = f"{'checking' if given.verb == 'verify' else 'removing'} {given.name} was cancelled"
        if given.verb == "pull":
            words = cancelled(given.name, catalogue.records)
        shown.say("cancelled", sentence=words)
        return CANCELLED
    except (HubError, UnknownModel) as error:
        shown.say("failed", sentence=str(error))
        return 1
    except OSError as error:  # of what is kept beside the files: a full disk, a folder that cannot be written
        words = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
        shown.say(
            "failed", sentence=f"{given.name}: {words}; make room, or set HF_HOME to a folder that can be written"
        )
        return 1
    shown.say("done", outcome.size, outcome.size, outcome.sentence)
    return 0


def print_list(catalogue: Catalogue) -> None:
    """Print the models as a table for people."""
    for entry in catalogue.entries():
        size = f"{entry.download_bytes / 1e9:.1f} GB to download" if entry.download_bytes else ""
        state = "here" if entry.installed else size or "cannot be used"
        print(f"{entry.name:<24} {entry.kind:<8} {entry.family:<9} {state:<20} {entry.title} ({entry.licence})")
        if entry.sentence:
            print(f"{'':<24} {entry.sentence}")
    print(f"\nYour own files: {catalogue.folder} (checkpoints/, loras/, controlnets/, ipadapters/)")
