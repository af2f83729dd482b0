"""What each client's pictures showed, for its next ones. Standard library and the wire; no torch by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from addon.wire import Request

IDLE_SECONDS = 600.0
"""Without a picture, until a client's kept pictures are given back; its next one is a fresh one."""
MOST_BYTES = 512 * 2**20
"""Of all clients' together: whoever has had no picture for longest begins afresh."""


class Leaving(Protocol):
    """A client that is gone some day."""

    @property
    def gone(self) -> bool: ...


class History(Protocol):
    """What an engine keeps of one client's pictures; only the engine looks into it."""

    @property
    def nbytes(self) -> int: ...


Client = TypeVar("Client", bound=Leaving)


class Histories(Generic[Client]):
    """The histories of all clients that want steady pictures; for the engine's thread."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._kept: dict[Client, tuple[History, float]] = {}

    def of(self, client: Client, request: Request, make: Callable[[], Any]) -> Any | None:
        """The history that ``request`` of ``client`` builds on, by ``make`` where there is none yet; None: without."""
        if request.style.steady == 0:
            self._kept.pop(client, None)
            return None
        history = self._kept[client][0] if client in self._kept else make()
        self._kept.pop(client, None)
        self._kept[client] = history, self._clock()  # the newest last
        while len(self._kept) > 1 and self.nbytes > MOST_BYTES:
            self._kept.pop(next(iter(self._kept)))
        return history

    def tidy(self) -> None:
        """Give back what belongs to clients that are gone, or have had no picture for a while."""
        latest = self._clock() - IDLE_SECONDS
        self._kept = {
            client: (history, used)
            for client, (history, used) in self._kept.items()
            if not client.gone and used > latest
        }

    def clear(self) -> None:
        """The engine is another one."""
        self._kept.clear()

    @property
    def due_in(self) -> float | None:
        """Seconds until one is to be given back for being idle; None while there is none."""
        if not self._kept:
            return None
        return max(0.0, min(used for _, used in self._kept.values()) + IDLE_SECONDS - self._clock())

    @property
    def nbytes(self) -> int:
        """What all of them take."""
        return sum(history.nbytes for history, _ in self._kept.values())
