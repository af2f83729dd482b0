"""Limits on connections: time without a token, and bytes that the client does not read. asyncio only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

if sys.platform == "linux":
    import fcntl
    import termios

log = logging.getLogger(__name__)
MOST_STRANGERS = 32
"""Connections that have not shown the token yet; with one more the oldest of them ends."""
STRANGER_SECONDS = 5.0
"""How long a connection may take to show the token."""
STALL_SECONDS = 30.0
"""How long a client may leave what was sent to it unread."""
MOST_HELD = 128 * 1024 * 1024
"""Bytes that are held for all connections together: unfinished messages, unread answers, style pictures."""
MOST_OF_A_STRANGER = 64 * 1024
"""Bytes that are held for a connection that has not shown the token: a hello has some hundred."""
SWEEP_SECONDS = 0.5


class _Seen:
    """What is known of one connection."""

    def __init__(self, since: float) -> None:
        self.since: float | None = since  # None: it has shown the token
        self.held: dict[str, int] = {}
        self.unread, self.stalled = 0, since


class Watch:
    """Ends connections at once (``abort``, as a farewell would wait for whoever does not read) that cost too much.

    For one event loop. ``clock``: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[asyncio.Transport, _Seen] = {}
        self._timer: asyncio.TimerHandle | None = None

    def arrived(self, transport: asyncio.Transport) -> None:
        """A connection has been made, or is to show the token once more."""
        self._seen[transport] = _Seen(self._clock())
        strangers = [each for each, seen in self._seen.items() if seen.since is not None]
        if len(strangers) > MOST_STRANGERS:
            self._end(strangers[0], "too many connections without a token")
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep_again)

    def trust(self, peer: Any) -> None:
        """The client at ``peer``, host and port, has shown the token."""
        transport = self._at(peer)
        if transport is not None:
            self._seen[transport].since = None

    def cut(self, peer: Any) -> None:
        """End the connection of the client at ``peer``."""
        transport = self._at(peer)
        if transport is not None:
            transport.abort()

    def left(self, transport: asyncio.Transport) -> None:
        """A connection has ended."""
        self._seen.pop(transport, None)

    def holds(self, transport: asyncio.Transport | None, what: str, count: int) -> None:
        """Take note that ``count`` bytes of ``what`` are held for a connection."""
        if transport is None or transport not in self._seen:
            return
        seen = self._seen[transport]
        seen.held[what] = count
        if seen.since is not None and count > MOST_OF_A_STRANGER:
            self._end(transport, f"{count} bytes without a token")
        while self.held > MOST_HELD:
            fattest = max(self._seen, key=lambda each: sum(self._seen[each].held.values()))
            self._end(fattest, f"more than {MOST_HELD} bytes are held")

    def held_for(self, peer: Any, what: str, count: int) -> None:
        """As :meth:`holds`, for the client at ``peer``."""
        self.holds(self._at(peer), what, count)

    @property
    def held(self) -> int:
        """Bytes held for all."""
        return sum(sum(seen.held.values()) for seen in self._seen.values())

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def sweep(self) -> None:
        """End what has taken too long."""
        now = self._clock()
        for transport, seen in list(self._seen.items()):
            unread = transport.get_write_buffer_size() + _in_the_system(transport)
            if unread == 0 or unread < seen.unread:
                seen.stalled = now
            seen.unread = unread
            self.holds(transport, "sent", transport.get_write_buffer_size())
            if seen.since is not None and now - seen.since > STRANGER_SECONDS:
                self._end(transport, f"no token within {STRANGER_SECONDS:g} s")
            elif now - seen.stalled > STALL_SECONDS:
                self._end(transport, f"nothing read for {STALL_SECONDS:g} s")

    def _sweep_again(self) -> None:
        self.sweep()
        self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep_again) if self._seen else None

    def _at(self, peer: Any) -> asyncio.Transport | None:
        for transport in self._seen:
            name = transport.get_extra_info("peername")
            if name is not None and peer is not None and tuple(name[:2]) == tuple(peer):
                return transport
        return None

    def _end(self, transport: asyncio.Transport, why: str) -> None:
        log.warning("a connection was cut: %s", why)
        self._seen.pop(transport, None)
        transport.abort()


def _in_the_system(transport: asyncio.Transport) -> int:
    """Bytes that the system has taken and the other end has not; 0 where it does not tell."""
    if sys.platform != "linux":
        return 0
    socket = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # closed meanwhile
        if socket is not None and socket.fileno() >= 0:
            return int(struct.unpack("i", fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    return 0
