"""What the server logs, and how much of it. Standard library only; no torch.

One line for each model loaded, each client, each failure. It goes to standard error; the add-on writes that into a file
which it rotates and bounds. Whoever knocks at the door, or sends nonsense, cannot fill a disk with it.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

LEVELS = ("debug", "info", "warning", "error")
REPEAT_SECONDS = 60.0
"""A line that says the same as the one before it is left out for so long: a failure of every frame fills no disk."""

STRETCH_SECONDS, MOST_LINES, LONGEST = 60.0, 100, 4000
"""How many records of how many characters are logged in how long."""


class NoRepeats(logging.Filter):
    """Lets a record pass that differs from the one before it, or comes long after it. ``clock``: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last = ""
        self._at = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        message, now = record.getMessage(), self._clock()
        if message == self._last and now - self._at < REPEAT_SECONDS:
            return False
        self._last, self._at = message, now
        return True


class Bounded(logging.Filter):
    """Lets :data:`MOST_LINES` records pass in a stretch of :data:`STRETCH_SECONDS`, and says how many it left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._since, self._passed, self._left_out = clock(), 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        now = self._clock()
        if now - self._since >= STRETCH_SECONDS:
            if self._left_out:
                record.msg, record.args = f"{record.getMessage()} ({self._left_out} lines before it left out)", ()
            self._since, self._passed, self._left_out = now, 0, 0
        self._passed += 1
        self._left_out += self._passed > MOST_LINES
        return self._passed <= MOST_LINES


class Short(logging.Formatter):
    """Lines and tracebacks of bounded length."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text, its end where it is too long, as the reason stands there."""
        text = super().format(record)
        return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


def _is_news(record: logging.LogRecord) -> bool:
    # uvicorn takes every WebSocket refused by an HTTP answer for an app's mistake; a web page could fill the log
    return "without completing handshake" not in record.getMessage()


def configure(level: str) -> None:
    """Log the server's own lines from ``level``, one of :data:`LEVELS`, on; of other libraries warnings only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Short("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(NoRepeats())
    handler.addFilter(Bounded())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("server").setLevel(level.upper())
    logging.getLogger("uvicorn.error").addFilter(_is_news)
