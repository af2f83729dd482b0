"""``python -m addon.setup EVENTS LOG PLAN``: makes a plan and says how far it is. Standard library only.

Lines of JSON go into the file EVENTS, pip's own words into LOG; PLAN is JSON, too. The end of the standard input
cancels: the one who started this has closed it, or is gone. With ``detect`` in place of LOG and PLAN it says what the
machine has, and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from ..problems import fields_of
from ..problems.setup import DiskFull, NoRoom
from .machine import detect
from .plan import Plan
from .steps import Cancelled, Failed, Steps

NO_ROOM = 28


def main(arguments: list[str]) -> int:
    """Run; return the exit status: 0 done, 1 failed, 3 cancelled, 28 failed for want of room on the disk."""
    events = open(arguments[0], "a", encoding="utf-8", buffering=1)  # as long as the process

    def say(event: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # a full disk; the exit status says it then
            events.write(json.dumps(event) + "\n")

    if arguments[1:] == ["detect"]:
        say({"event": "machine", **detect().as_json()})
        return 0
    steps = Steps(Plan.from_json(arguments[2]), say, Path(arguments[1]))

    def listen() -> None:
        while sys.stdin.buffer.read(1):
            pass
        steps.cancel()

    threading.Thread(target=listen, name="standard input", daemon=True).start()
    try:
        steps.run()
    except Cancelled:
        say({"event": "cancelled"})
        return 3
    except Failed as failed:
        say({"event": "failed", "code": failed.problem.code, "fields": fields_of(failed.problem)})
        return NO_ROOM if isinstance(failed.problem, DiskFull | NoRoom) else 1
    say({"event": "done"})
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    os._exit(status)  # the thread that listens may wait in a read, which an ordinary end would wait for
