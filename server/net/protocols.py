"""uvicorn's protocols, with bounds on what a connection may send before it is handled. asyncio and uvicorn only."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .watch import Watch

PIECE = 8 * 1024
"""Bytes parsed at once: a quarter of a megabyte of frames of two bytes would keep everybody waiting for a second."""
FLOOD = 1024
"""More frames than this in one piece are no messages."""
MOST_FRAGMENTS = 16 * 1024
MOST_PONGS = 1024
"""That may wait for being read."""


class WatchedHttp(H11Protocol):
    """HTTP, until the token has been shown for each request anew."""

    def __init__(self, watch: Watch, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._watch = watch

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch.arrived(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._watch.left(self.transport)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch.arrived(self.transport)


class WatchedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that ends where it floods, and tells what it holds."""

    def __init__(self, watch: Watch, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._watch = watch
        self._events = self._pongs = self._gathered = self._queued = 0

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._watch.left(self.transport)

    def data_received(self, data: bytes) -> None:
        view = memoryview(data)
        for at in range(0, len(view), PIECE):
            if self.transport.is_closing():
                return
            self._events = 0
            super().data_received(view[at : at + PIECE])  # type: ignore[arg-type]  # any bytes do
            if self._events > FLOOD or len(self.frames) > MOST_FRAGMENTS or self._pongs > MOST_PONGS:
                self.transport.abort()
                return
        self._tell()

    def handle_bytes(self, event: Any) -> None:
        self._events += 1
        self._gathered = 0 if event.fin else len(event.data)
        super().handle_bytes(event)

    def handle_text(self, event: Any) -> None:
        self._events += 1
        self._gathered = 0 if event.fin else len(event.data)
        super().handle_text(event)

    def handle_cont(self, event: Any) -> None:
        self._events += 1
        self._gathered = 0 if event.fin else self._gathered + len(event.data)
        super().handle_cont(event)

    def handle_pong(self, event: Any) -> None:
        self._events += 1
        super().handle_pong(event)

    def handle_ping(self) -> None:
        self._events += 1
        self._pongs = self._pongs + 1 if self.transport.get_write_buffer_size() else 0
        super().handle_ping()

    def send_receive_event_to_app(self) -> None:
        self._queued += sum(map(len, self.frames))
        super().send_receive_event_to_app()

    async def receive(self) -> Any:
        message: Any = await super().receive()
        self._queued -= len(message.get("bytes") or (message.get("text") or "").encode())
        self._tell()
        return message

    def _tell(self) -> None:
        unread = len(self.conn.reader.buffer) + self._gathered + self._queued
        self._watch.holds(self.transport, "received", unread)
