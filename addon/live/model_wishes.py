"""Requests about models, and the server's answers. No bpy, no I/O of its own, nothing that waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..problems.report import Problem
from ..problems.serving import ABOUT_MODELS, from_server
from ..wire import Failure, ListModels, Message, ModelProgress, Models, Upload
from ..wire.models import MAX_ENTRIES, ModelMessage

MOST_UNTOLD = 32
"""ModelWishes that wait for a connection; of more the oldest are forgotten."""


class ModelWishes:
    """What the server is told about models, over as many connections as it takes, and its newest answers."""

    def __init__(self) -> None:
        self.models: Models | None = None
        self.progress: dict[str, ModelProgress] = {}
        self.failure: Problem | None = None
        self._standing: dict[type, Message] = {}  # what a server keeps only for as long as it knows us
        self._untold: deque[Message] = deque(maxlen=MOST_UNTOLD)

    def tell(self, message: ModelMessage, send: Callable[[Message], None] | None) -> None:
        """Give ``message`` to ``send``; without that it waits for :meth:`connected`."""
        self.failure = None  # what an earlier wish met is over with
        if isinstance(message, (Upload, ListModels)):
            self._standing[type(message)] = message
        elif send is None:
            self._untold.append(message)
        if send is not None:
            send(message)

    def connected(self, send: Callable[[Message], None]) -> None:
        """Tell a server that has just welcomed us what it must know, and what waited."""
        for message in (*self._standing.values(), *self._untold):
            send(message)
        self._untold.clear()

    def take(self, message: Message) -> bool:
        """Keep ``message`` if it is about models; return whether it is."""
        if isinstance(message, Models):
            self.models = message
        elif isinstance(message, ModelProgress):
            if message.name in self.progress or len(self.progress) < MAX_ENTRIES:
                self.progress[message.name] = message
        elif isinstance(message, Failure) and message.id is None:
            report = from_server(message.code, message.fields, message.sentence)
            if not isinstance(report, ABOUT_MODELS):
                return False
            self.failure = report
        else:
            return False
        return True
