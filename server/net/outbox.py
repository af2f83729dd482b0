"""What waits to be sent to one client, bounded whatever the client does. asyncio and the wire only, no I/O."""

from __future__ import annotations

import asyncio
from collections import deque

from addon.wire import Dropped, Failure, Message, ModelProgress, Models, Picture, Probe, Progress, Status

from ..serving.mailbox import CREDITS

ROOM = 64
"""Small answers that may wait; with more, the session stops reading requests until the client reads."""


class Outbox:
    """Messages for a client who may read slowly or never: the newest of each kind that ages, and answers.

    For one event loop. Pictures are the only large messages, so as many as a client has credits bound the memory; one
    that never left is answered by :class:`Dropped`, as a request that never reached the engine is.
    """

    def __init__(self) -> None:
        self._answers: deque[Dropped | Failure | Probe] = deque()
        self._status: Status | None = None
        self._pictures: deque[Picture] = deque()
        self._progress: Progress | None = None
        self._models: Models | None = None
        self._of_models: dict[str, ModelProgress] = {}  # by name, of which there are only as many as models
        self._filled = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()

    def put(
        self, message: Status | Progress | Picture | Dropped | Failure | Models | ModelProgress | Probe
    ) -> Picture | None:
        """Add ``message``; return the picture that it displaced."""
        displaced = None
        match message:
            case Progress():
                self._progress = message
            case Status():
                self._status = message
            case Models():
                self._models = message
            case ModelProgress():
                self._of_models[message.name] = message
            case Picture():
                self._pictures.append(message)
                if len(self._pictures) > CREDITS:
                    displaced = self._pictures.popleft()
                    self._answers.append(Dropped(displaced.id))
            case _:
                self._answers.append(message)
        if isinstance(message, Picture | Failure) and self._progress is not None and message.id == self._progress.id:
            self._progress = None  # the answer is there: nothing about its progress may follow it
        if len(self._answers) >= ROOM:
            self._roomy.clear()
        self._filled.set()
        return displaced

    @property
    def nbytes(self) -> int:
        """Of the pictures that wait."""
        return sum(picture.image.nbytes for picture in self._pictures)

    async def room(self) -> None:
        """Wait until few enough answers wait that another request may be read."""
        await self._roomy.wait()

    async def take(self) -> Message:
        """Wait for a message and take it: answers first, then the picture, then the progress of a later one."""
        while (message := self._next()) is None:
            self._filled.clear()
            await self._filled.wait()
        if len(self._answers) < ROOM:
            self._roomy.set()
        return message

    def _next(self) -> Message | None:
        message: Message | None
        if self._answers:
            message = self._answers.popleft()
        elif self._status is not None:
            message, self._status = self._status, None
        elif self._pictures:
            message = self._pictures.popleft()
        elif self._models is not None:
            message, self._models = self._models, None
        elif self._of_models:
            message = self._of_models.pop(next(iter(self._of_models)))
        else:
            message, self._progress = self._progress, None
        return message
