"""What waits for the engine: one request a client, the newest. Standard library only, no I/O."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Client = TypeVar("Client")  # told apart by hash and equality
Letter = TypeVar("Letter")


class Mailboxes(Generic[Client, Letter]):
    """A slot for each client and a queue of the clients whose slot is full. Safe between threads.

    A newer letter takes the older one's place and keeps its turn, so that a client who writes often is served as
    often as one who writes rarely: everybody once a round.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[Client, Letter] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._woken = False

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def put(self, client: Client, letter: Letter) -> Letter | None:
        """Put ``letter`` into the client's slot; return the one that it displaced."""
        with self._changed:
            displaced = self._waiting.get(client)
            self._waiting[client] = letter  # an OrderedDict keeps the place of a key that it already has
            self._changed.notify()
            return displaced

    def take(self, seconds: float | None = None) -> tuple[Client, Letter] | None:
        """Wait for a letter and take it from the client whose turn it is.

        None: closed, woken, or nothing came within ``seconds``.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed or self._woken, seconds)
            self._woken, woken = False, self._woken
            return None if self._closed or woken or not self._waiting else self._waiting.popitem(last=False)

    def take_more(self, fits: Callable[[Letter], bool], most: int) -> list[tuple[Client, Letter]]:
        """Take up to ``most`` of the letters that wait now, those that ``fits`` is true of, in turn."""
        with self._changed:
            chosen = [client for client, letter in self._waiting.items() if fits(letter)][:most]
            return [(client, self._waiting.pop(client)) for client in chosen]

    def wake(self) -> None:
        """Let whoever waits in :meth:`take`, or does so next, have None once."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def leave(self, client: Client) -> None:
        """Throw away what waits for ``client``."""
        with self._changed:
            self._waiting.pop(client, None)

    def close(self) -> None:
        """Wake whoever waits in :meth:`take`; nothing is given out any more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        """The number of clients that have something waiting."""
        with self._changed:
            return len(self._waiting)
