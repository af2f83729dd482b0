"""What waits for the engine: the newest of each client, and whose turn it is. Standard library only, no I/O.

What is drawn next is chosen at the moment the engine becomes free, or when something comes while it is: what comes
after that moment is newer and waits for the turn behind. So a client that keeps to its credits loses nothing but what
is older than what the engine takes next, however slowly the engine's thread comes round to taking it.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, TypeVar

CREDITS = 2
"""Requests that a client may have under way: sent, and not yet answered."""
MOST_BYTES = 40 * 2**20
"""Of requests that wait, of all clients."""

Client = TypeVar("Client")  # told apart by hash and equality
Letter = TypeVar("Letter")


@dataclass(frozen=True)
class Turn(Generic[Client, Letter]):
    """The newest ``letter`` of ``client``, and the ``older`` ones that its being taken makes void."""

    client: Client
    letter: Letter
    older: tuple[Letter, ...] = ()


class Mailboxes(Generic[Client, Letter]):
    """Letters of clients, as many of each as it has credits left. Safe between threads.

    A client that writes more than its credits has the older ones displaced, and keeps its turn: who writes often is
    served as often as one who writes rarely, everybody once a round. All that waits has ``most`` bytes at most, as
    ``weigh`` tells them of a letter: with more, who has most waiting loses it.
    """

    def __init__(
        self, credits: int = CREDITS, weigh: Callable[[Letter], int] = lambda _: 0, most: int = MOST_BYTES
    ) -> None:
        self._credits, self._weigh, self._most = credits, weigh, most
        self._waiting: OrderedDict[Client, list[Letter]] = OrderedDict()
        self._taken: Counter[Client] = Counter()  # by the engine, and not yet answered
        self._next: Turn[Client, Letter] | None = None
        self._is_free = False  # whether the engine has nothing to do but what is next
        self._changed = threading.Condition()
        self._closed = False
        self._woken = False

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def crowded_out(self) -> list[tuple[Client, Letter]]:
        """Take what there is no room for: of who has most waiting, the older ones first. One is always kept."""
        lost = []
        with self._changed:
            while sum(map(self._weight, self._waiting)) > self._most:
                fattest = max(self._waiting, key=self._weight)
                if len(self._waiting) == len(self._waiting[fattest]) == 1:
                    break
                lost.append((fattest, self._waiting[fattest].pop(0)))
                if not self._waiting[fattest]:
                    del self._waiting[fattest]
        return lost

    def put(self, client: Client, letter: Letter) -> list[Letter]:
        """Add ``letter``; return those of the client that it displaced."""
        with self._changed:
            letters = self._waiting.setdefault(client, [])
            is_over = len(letters) + self._taken[client] >= self._credits
            displaced, letters[:] = (letters[:], [letter]) if is_over else ([], [*letters, letter])
            if self._is_free:
                self._choose()
            return displaced

    def take(self, seconds: float | None = None) -> Turn[Client, Letter] | None:
        """Wait for a letter and take it from the client whose turn it is.

        None: closed, woken, or nothing came within ``seconds``. What is taken counts as under way until
        :meth:`answered`.
        """
        with self._changed:
            self._is_free = True
            self._choose()
            self._changed.wait_for(lambda: self._next or self._closed or self._woken, seconds)
            self._is_free = False
            self._woken, woken = False, self._woken
            turn, self._next = self._next, None
            if turn is not None and woken:  # something else comes first, and may take long: it is chosen anew then
                self._put_back(turn)
                return None
            return turn

    def take_more(self, fits: Callable[[Letter], bool], most: int) -> list[Turn[Client, Letter]]:
        """Take from up to ``most`` other clients, in turn, those whose newest letter ``fits`` is true of."""
        with self._changed:
            chosen = [client for client, letters in self._waiting.items() if fits(letters[-1])][:most]
            return [self._turn(client, self._waiting.pop(client)) for client in chosen]

    def answered(self, clients: Collection[Client]) -> None:
        """The engine is free: what was taken of ``clients`` is about to be answered."""
        with self._changed:
            self._taken -= Counter(clients)
            self._is_free = True
            self._choose()

    def wake(self) -> None:
        """Let whoever waits in :meth:`take`, or does so next, have None once."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def leave(self, client: Client) -> None:
        """Throw away what waits for ``client``."""
        with self._changed:
            self._waiting.pop(client, None)
            self._taken.pop(client, None)
            if self._next is not None and self._next.client == client:
                self._next = None
                self._choose()

    def close(self) -> None:
        """Wake whoever waits in :meth:`take`; nothing is given out any more."""
        with self._changed:
            self._closed, self._next = True, None
            self._waiting.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        """The number of clients that have something waiting."""
        with self._changed:
            return len(self._waiting) + (self._next is not None and self._next.client not in self._waiting)

    def _weight(self, client: Client) -> int:
        return sum(map(self._weigh, self._waiting[client]))

    def _choose(self) -> None:
        if self._next is None and self._waiting and not self._closed:
            self._next = self._turn(*self._waiting.popitem(last=False))
            self._changed.notify_all()

    def _turn(self, client: Client, letters: list[Letter]) -> Turn[Client, Letter]:
        self._taken[client] += 1
        return Turn(client, letters[-1], tuple(letters[:-1]))

    def _put_back(self, turn: Turn[Client, Letter]) -> None:
        self._taken -= Counter([turn.client])
        self._waiting[turn.client] = [*turn.older, turn.letter, *self._waiting.get(turn.client, ())]
        self._waiting.move_to_end(turn.client, last=False)
