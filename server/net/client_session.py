"""One client, from its Hello until it leaves. asyncio, Starlette's WebSocket and the wire."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from starlette.websockets import WebSocket, WebSocketDisconnect

from addon.problems import Problem
from addon.problems.serving import BadMessage, ProtocolVersion
from addon.transport.compression import ENCODINGS, squeeze, stretch
from addon.transport.shared_memory import SharedMemory
from addon.wire import (
    PROTOCOL,
    Dropped,
    Failure,
    Hello,
    Message,
    Picture,
    Probe,
    ProtocolError,
    Request,
    Shown,
    Upload,
    Welcome,
    pack,
    unpack,
)

from ..serving.mailbox import CREDITS
from ..serving.metrics import Metrics
from ..serving.model_service import Ask, ModelService
from ..serving.reports import failure_of, line, problem_of_message
from ..serving.worker import Answer, Worker
from .identity import Identity
from .outbox import Outbox

log = logging.getLogger(__name__)
GREETING_SECONDS = 10.0
"""How long a connection may stay without a Hello."""
STALL_SECONDS = 30.0
"""How long a client may leave what is sent to it unread."""
SMALL = 4096
"""Bytes of a message that is read at once: its planes have a thousand times as much at most."""
_UNPACKERS = ThreadPoolExecutor(2, "unpack")
ASK_PAUSE = 0.05
"""Seconds between two questions about models: each is a look into all folders, and many would keep others waiting."""
REFUSED = 4400
"""WebSocket close code: the client doesn't speak this protocol."""


class ClientSession:
    """A connected client. ``run`` returns when it has left; from then on ``gone`` is true and it gets nothing.

    Two tasks: one reads requests into the client's mailbox, one sends what the outbox gives out. Neither waits
    for the engine, so a client that leaves is noticed at once.
    """

    def __init__(
        self,
        socket: WebSocket,
        worker: Worker,
        metrics: Metrics,
        server: str,
        models: ModelService,
        identity: Identity,
    ) -> None:
        self.gone = False
        self.on_trusted: Callable[[], None] = lambda: None
        """Called when the client has shown that it knows the token."""
        self.cut: Callable[[], None] = lambda: None
        """Ends the connection of a client that doesn't read: a farewell would never leave."""
        self.holds: Callable[[str, int], None] = lambda what, count: None
        """Called with what, and how many bytes of it, are held for the client."""
        self._identity = identity
        self._socket = socket
        self._worker = worker
        self._metrics = metrics
        self._server = server
        self._models = models
        self._outbox = Outbox()
        self._upload = Upload("0" * 64, np.zeros((8, 8, 3), np.uint8))  # the style picture; no request asks for this
        self._client = ""  # as it calls itself
        self._memory: SharedMemory | None = None
        self._places: dict[int, int] = {}  # requests not yet answered -> where their pictures go
        self._small: set[int] = set()  # requests not yet answered whose pictures are to be made small
        self._encodings: tuple[str, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._asked = 0.0  # when about models, by the loop's clock

    def deliver(self, message: Answer) -> None:
        """Send ``message`` as soon as the client reads. From any thread; never waits."""
        if not self.gone:
            with contextlib.suppress(RuntimeError):  # the loop has been closed: the server is ending
                self._loop.call_soon_threadsafe(self._post, message)

    async def run(self, joined: Callable[[], None]) -> None:
        """Serve the client until it leaves; call ``joined`` once it has been welcomed."""
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._socket.accept(headers=self._identity.headers)
            if not await self._greet():
                return
            host = self._socket.client.host if self._socket.client is not None else "unknown"
            log.info("a client from %s has connected: %s", host, self._client)
            joined()  # from here on every change of the status arrives; the one that holds now comes first
            self._post(self._worker.status)
            tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except WebSocketDisconnect:
            pass
        except TimeoutError:
            self.cut()
        finally:
            self.gone = True
            self._worker.leave(self)
            self._models.leave(self)
            memory, self._memory = self._memory, None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if memory is not None:
                memory.close()

    async def _greet(self) -> bool:
        """Read the Hello and answer it. Returns whether both sides speak the same protocol."""
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                hello = unpack(await self._receive(), sender="client")
        except TimeoutError:
            await self._refuse(BadMessage(f"no hello came within {GREETING_SECONDS:g} seconds"))
            return False
        except ProtocolError as error:
            await self._refuse(problem_of_message(error))
            return False
        if not isinstance(hello, Hello):
            kind = type(hello).__name__.lower()
            await self._refuse(BadMessage(f"the first message is a {kind}, but must be a hello"))
            return False
        if not self._identity.learn(hello.proof):
            await self._refuse(BadMessage("the hello's proof is wrong: it must be made with the server's token"))
            return False
        self.on_trusted()
        if hello.protocol != PROTOCOL:
            await self._refuse(ProtocolVersion(hello.protocol, PROTOCOL))
            return False
        self._client = line(hello.client, 200)
        if hello.memory:
            self._memory = SharedMemory.open(hello.memory)
        self._encodings = tuple(encoding for encoding in ENCODINGS if encoding in hello.encodings)
        shares = self._memory is not None
        await self._send(Welcome(server=self._server, credits=CREDITS, memory=shares, encodings=self._encodings))
        return True

    async def _read(self) -> None:
        while True:
            try:
                message = await self._next()
                if isinstance(message, Probe):
                    self._post(dataclasses.replace(message, arrived=time.perf_counter()))
                    await self._outbox.room()
                    continue
                if isinstance(message, Upload):
                    self._keep(message)
                    continue
                if isinstance(message, Shown):
                    self._metrics.observe_told(message.timings)
                    continue
                if isinstance(message, Ask):
                    await asyncio.sleep(self._asked + ASK_PAUSE - self._loop.time())
                    self._asked = self._loop.time()
                    await self._models.answer(self, message)
                    await self._outbox.room()
                    continue
                if not isinstance(message, Request):
                    kind, number = type(message).__name__.lower(), getattr(message, "id", None)
                    raise ProtocolError(f"a {kind} message came, but no client sends one after its hello", id=number)
                self._check_encoding(message)
                picture = self._style_picture(message)
            except ProtocolError as error:
                self._metrics.failures.labels(error.code).inc()
                log.warning("a message was refused: %s", line(str(error), 1000))
                self._post(failure_of(problem_of_message(error), error.id))
            else:
                if message.picture_at is not None:
                    self._places[message.frame.id] = message.picture_at
                if message.picture_as in self._encodings:
                    self._small.add(message.frame.id)
                for dropped in self._worker.accept(self, message, picture):
                    self._post(dropped)
            await self._outbox.room()  # who doesn't read its answers isn't read from either

    async def _next(self) -> Message:
        """The next message. Where planes may be small they are unpacked in a thread: others are served meanwhile."""
        data = await self._receive()
        if not self._encodings or len(data) < SMALL:
            return unpack(data, self._memory, stretch if self._encodings else None, sender="client")
        return await self._loop.run_in_executor(_UNPACKERS, unpack, data, self._memory, stretch, "client")

    def _keep(self, upload: Upload) -> None:
        found = hashlib.sha256(upload.image.tobytes()).hexdigest()
        if found != upload.sha256:
            raise ProtocolError(
                f"the style picture's bytes have the sha256 {found}, not {upload.sha256}: send it again", "bad_request"
            )
        self._upload = upload
        self.holds("upload", upload.image.nbytes)

    def _check_encoding(self, request: Request) -> None:
        if request.picture_as != "rgb8" and request.picture_as not in self._encodings:
            raise ProtocolError(
                f"picture_as is {request.picture_as!r}, which was not agreed on: name it in the hello's encodings",
                "bad_request",
                request.frame.id,
            )

    def _style_picture(self, request: Request) -> NDArray[np.uint8] | None:
        """The style picture that ``request`` asks for, uint8 H x W x 3, if any."""
        reference = request.style.reference
        if reference is None or reference.weight == 0:
            return None
        if reference.sha256 != self._upload.sha256:
            raise ProtocolError(
                f"the style picture {reference.sha256[:12]} was not sent on this connection: upload it first",
                "bad_request",
                request.frame.id,
            )
        return self._upload.image

    async def _write(self) -> None:
        while True:
            message = await self._outbox.take()
            self.holds("to send", self._outbox.nbytes)
            async with asyncio.timeout(STALL_SECONDS):
                await self._send(message)

    def _post(self, message: Answer | Probe) -> None:
        if self._outbox.put(message) is not None:
            self._metrics.dropped.inc()
        self.holds("to send", self._outbox.nbytes)

    async def _receive(self) -> bytes:
        event = await self._socket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        data: bytes | None = event.get("bytes")
        if data is None:
            raise ProtocolError("a text message came, but this protocol's messages are binary")
        return data

    async def _send(self, message: Message) -> None:
        try:
            await self._socket.send_bytes(self._pack(message))
        except RuntimeError:  # uvicorn has closed the connection by itself: an oversized message, no pong
            raise WebSocketDisconnect(1006) from None

    def _pack(self, message: Message) -> bytes:
        """The bytes of ``message``; a picture is put into shared memory where its request asked for that."""
        number = message.id if isinstance(message, Picture | Dropped | Failure) else None
        if number is None:
            return pack(message)
        at, is_small = self._places.pop(number, None), number in self._small
        self._small.discard(number)
        if is_small:
            return pack(message, squeeze=squeeze)
        return pack(message) if at is None else pack(message, self._memory, at)

    async def _refuse(self, problem: Problem) -> None:
        self._metrics.failures.labels(problem.code).inc()
        failure = failure_of(problem)
        log.warning("a client was refused: %s", failure.sentence)
        await self._send(failure)
        await self._socket.close(REFUSED, failure.sentence.encode()[:120].decode("utf-8", "ignore"))
