"""Runs ``python -m addon`` in a process of its own, to say in a sentence when that crashes. Standard library only.

Blender's loader ends the process it runs in when a file is damaged: no exception, no word. So the run is a child, and
the parent knows what it was at.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from .arguments import parse

STAGE = "DRAFTGLASS_STAGE_FILE"
"""Names the variable with the file that the child writes its stage to."""
OPENING, DRAWING = "opening", "drawing"
WINDOWS_FAULTS = 0xC0000000
"""From here on, a status on Windows is a fault that ended the process."""
PARENT_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the arguments, run, and return the exit status of the run; 2 after one line where it crashed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(given)
    with tempfile.TemporaryDirectory(prefix="draftglass-") as folder:
        stage = Path(folder) / "stage"
        status = _run(given, stage)
        said = stage.read_text("utf-8") if stage.exists() else ""
    words = crash(status, said, options.scene)
    if words:
        print(f"python -m addon: {words}", file=sys.stderr)
        return 2
    return status


def crash(status: int, stage: str, scene: Path) -> str:
    """A sentence without its stop about a child that was ended; empty for one that ended by itself."""
    if 0 <= status < WINDOWS_FAULTS:
        return ""
    if status < 0 and -status == getattr(signal, "SIGKILL", 0):
        return "the run was ended by the system (SIGKILL), most likely as memory ran out: take a smaller --size"
    name = signal.Signals(-status).name if status < 0 else f"0x{status:08X}"
    if stage == OPENING:
        return (
            f"{scene} can't be opened: Blender crashed while reading it ({name}), so the file is probably damaged; "
            "try a backup of it, such as .blend1"
        )
    what = "while drawing" if stage == DRAWING else "while starting"
    return f"Blender crashed {what} ({name}); {scene} may be damaged, or this machine's OpenGL driver at fault"


def mark(stage: str) -> None:
    """In the child: tell the parent what the run is at from now on."""
    path = os.environ.get(STAGE)
    if path:
        Path(path).write_text(stage, "utf-8")


def end_with_parent() -> None:
    """In the child: be interrupted when the parent is gone, by force or otherwise."""
    if STAGE not in os.environ or os.name != "posix":
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent's end", daemon=True).start()


def _run(arguments: Sequence[str], stage: Path) -> int:
    command = [sys.executable, "-m", f"{__package__}", *arguments]
    own_session = os.name == "posix"  # so that Ctrl-C comes to the child once, by us
    process: subprocess.Popen[bytes] | None = None
    wanted: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        wanted.append(number)
        if process is not None and own_session:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        process = subprocess.Popen(command, env={**os.environ, STAGE: str(stage)}, start_new_session=own_session)
        for number in wanted if own_session else ():
            process.send_signal(number)
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
