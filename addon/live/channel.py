"""One conversation with a server: greeting, messages in and out, and where planes go. No bpy, threads or waiting."""

from __future__ import annotations

import contextlib
import gc
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from ..problems.connection import NotDraftglass
from ..problems.errors import NoConnection
from ..problems.serving import ProtocolVersion
from ..transport.address import Address
from ..transport.compression import ENCODINGS, squeezer, stretch
from ..transport.connection import Connection
from ..transport.link_speed import Speed
from ..transport.shared_memory import PICTURE_AT, SLOT_BYTES, SLOTS, SharedMemory
from ..wire import (
    MAX_MESSAGE_BYTES,
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
    Status,
    Welcome,
    pack,
    unpack_in_steps,
)
from .statistics import Statistics

LONGEST_TAKE = 0.008
"""Seconds of a poll after which no further message is read."""
MOMENT = 0.05
"""Seconds until a picture's times are told if no request goes: each message by itself wakes the server."""


class Channel:
    """A :class:`Connection` that speaks in messages. On this machine it offers the server memory for the planes.

    Where the server takes none, be it behind a tunnel that begins on this machine, the link is measured, and planes
    are made small where that saves time.

    Raises :class:`NoConnection` when the connection cannot even begin. ``clock``: monotonic seconds.
    """

    def __init__(
        self, address: Address, client: str, clock: Callable[[], float], statistics: Statistics, attempt: int = 0
    ) -> None:
        self.place = address.place
        self.welcome: Welcome | None = None
        self._client = client
        self._statistics = statistics
        self.connection = Connection(address, MAX_MESSAGE_BYTES, clock, attempt)
        self._seems_near, self._may_share = address.is_loopback, address.is_loopback and address.shares_memory
        self._may_shrink = address.may_shrink
        self._memory: SharedMemory | None = None
        self._reading: Generator[None, None, Message] | None = None  # a message that takes more than one poll
        self._slots: dict[int, int] = {}  # frames under way -> the slot that holds them
        self._greeted = False
        self._shown: tuple[Shown, float] | None = None  # and when it is told at the latest
        self._encodings: tuple[str, ...] = ()  # of planes, beside the plain ones, that both ends know
        self._clock = clock
        self._polled = self._polled_before = clock()
        self.speed: Speed | None = None
        """Of the link to a server that shares no memory and knows how to make planes small."""

    @property
    def unanswered(self) -> float:
        """Seconds since the server was asked for a sign of life and gave none: a ping, or at first the greeting."""
        return self.connection.liveness.unanswered if self.welcome is not None else self.connection.age

    @property
    def shares_memory(self) -> bool:
        """Whether planes go through shared memory."""
        return self.welcome is not None and self._memory is not None

    @property
    def is_near(self) -> bool:
        """Whether the server seems to be on this machine; a loopback address with a slow link is a tunnel's end."""
        return self._seems_near and (self.speed is None or not self.speed.is_slow)

    @property
    def measures(self) -> bool:
        """Whether frames should wait a moment, as the link is being measured."""
        return self.speed is not None and self.speed.holds(self._clock())

    def poll(self, awaits: bool = False) -> Iterator[Message]:
        """Read and write what goes without waiting; return the messages that came, each read when it is taken.

        ``awaits``: whether a request waits for its answer, so that silence is looked into soon.
        Raises :class:`NoConnection`, the iterator too.
        """
        self._polled_before, self._polled = self._polled, self._clock()
        if self.speed is not None:
            self.speed.tick(self._polled, not awaits)
        if self._shown is not None and self._polled > self._shown[1]:
            self._tell()
        received = self.connection.received
        self.connection.awaits = awaits
        data = self.connection.poll()
        self._statistics.bytes_received += self.connection.received - received
        if self.connection.open and not self._greeted:
            self._greeted = True
            self._memory = SharedMemory.create() if self._may_share else None
            name = self._memory.name if self._memory is not None else ""
            self.send(Hello(PROTOCOL, self._client, name, ENCODINGS, self.connection.proof))
        return self._take(data)

    def send(self, message: Message) -> None:
        """Send ``message``, as far as the system takes it now; the rest follows with the next polls."""
        self._send(pack(message))

    def send_request(self, request: Request) -> None:
        """Send ``request``; its planes go through shared memory where there is some."""
        begun = time.perf_counter()
        slot = self._free_slot()
        if self.speed is not None and self.speed.is_slow:
            small = replace(request, picture_as="jpeg" if "jpeg" in self._encodings else "rgb8")
            data = pack(small, squeeze=squeezer(self._encodings))
        elif self._memory is None or slot is None:
            data = pack(request)
        else:
            at = slot * SLOT_BYTES
            data = pack(replace(request, picture_at=at + PICTURE_AT), self._memory, at)
            self._slots[request.frame.id] = slot
        self._statistics.add("pack", (time.perf_counter() - begun) * 1e3)
        self._send(data)
        self._tell()

    def shown(self) -> None:
        """The newest picture is on show: the server is told how long its way took, with the next request or soon."""
        now = self._clock()
        told = self._statistics.shown(now)
        if told:
            self._tell()
            self._shown = Shown(told), now + MOMENT

    def answered(self, frame_id: int) -> None:
        """The request ``frame_id`` has its answer: its place in memory is free."""
        self._slots.pop(frame_id, None)

    def close(self) -> None:
        """Close the connection and let go of the memory. Safe to call twice."""
        self.connection.close()
        self._drop_memory()

    def _send(self, data: bytes) -> None:
        self._statistics.bytes_sent += len(data)
        self.connection.send(data)

    def _tell(self) -> None:
        """Send what there is to tell of a picture on show."""
        if self._shown is not None:
            (shown, _), self._shown = self._shown, None
            self.send(shown)

    def _free_slot(self) -> int | None:
        if not self.shares_memory:
            return None
        return next((slot for slot in range(SLOTS) if slot not in self._slots.values()), None)

    def _take(self, data: deque[bytes | bytearray]) -> Iterator[Message]:
        """Those messages of ``data`` that there is time for; the rest waits for the next poll."""
        until = time.perf_counter() + LONGEST_TAKE
        while (data or self._reading is not None) and time.perf_counter() < until:
            if self._reading is None:
                coding = None if self.speed is None else stretch
                self._reading = unpack_in_steps(data.popleft(), self._memory, coding, sender="server")
            message = self._read(self._reading)
            if message is not None:
                yield message

    def _read(self, steps: Generator[None, None, Message]) -> Message | None:
        """The message that ``steps`` have read; None where more of them are needed, or it is not for the loop."""
        begun = time.perf_counter()
        try:
            with _no_collection():
                next(steps)
            return None
        except StopIteration as end:
            message: Message = end.value
            self._reading = None
        except ProtocolError as error:
            raise NoConnection(NotDraftglass(self.place, str(error))) from None
        if isinstance(message, Picture):
            self._statistics.add("unpack", (time.perf_counter() - begun) * 1e3)
        if isinstance(message, Failure) and message.code == ProtocolVersion.code:
            theirs = message.fields.get("server")  # which no server said before version 3
            raise NoConnection(ProtocolVersion(PROTOCOL, theirs if isinstance(theirs, int) else 2))
        if isinstance(message, Welcome) and self.welcome is None:
            self._take_welcome(message)
        if isinstance(message, Status) and message.state == "ready" and self.speed is not None:
            self.speed.begin(self._clock())  # while it loads the server is too busy to tell anything of the link
        if isinstance(message, Probe) and self.speed is not None:
            self.speed.came(message, self._clock(), self._polled_before)
            return None
        if isinstance(message, Picture | Dropped | Failure) and message.id is not None:
            self.answered(message.id)
        return message

    def _take_welcome(self, welcome: Welcome) -> None:
        if welcome.protocol != PROTOCOL:
            raise NoConnection(ProtocolVersion(client=PROTOCOL, server=welcome.protocol))
        self.welcome = welcome
        if self._memory is not None:
            if welcome.memory:
                self._memory.remove_name()
            else:
                self._drop_memory()
        self._encodings = tuple(encoding for encoding in ENCODINGS if encoding in welcome.encodings)
        if self._encodings and self._memory is None and self._may_shrink:
            self.speed = Speed(self.send, is_slow=not self._seems_near)

    def _drop_memory(self) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Without Python's search for circles: thousands of values would begin one through all of Blender's objects."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
