"""One WebSocket connection, polled. Sockets and the websockets package's I/O-free core; no bpy, threads or waiting.

Bytes without meaning: what the messages say is read in ``loop``. Time is an argument, in seconds.
"""

from __future__ import annotations

import errno
import ipaddress
import selectors
import socket
import sys
from collections import deque
from collections.abc import Callable

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from ..problems.connection import ConnectionLost, NoAnswer, NotDraftglass, UnknownServer
from ..problems.errors import NoConnection, from_connect, from_status
from . import masking
from .address import Address
from .challenge import CHALLENGE, PROOF, answer, new_number
from .liveness import LOST_AFTER, Liveness

CHUNK, PIECE = 64 * 1024, 2 * 1024
"""Bytes read and parsed at once. The latter small, so that a flood of tiny frames is noticed after little work."""
FLOOD = 256
"""More events than this from one piece are no picture and no progress."""
MOST_FRAGMENTS = 16 * 1024
"""Of one message: the longest, in frames of 3 kB."""
MOST_PINGS, MANY = 1024, 4
"""Pings that may wait for their pongs to be read; pieces that go one by one, as each costs a call of the system."""
LARGEST_READ, LONGEST_READ = 8 * 1024 * 1024, 0.004
"""Bytes and seconds of reading in one poll at most; the rest stays in the kernel until the next."""
BUFFER = 4 * 1024 * 1024
"""Asked of the system for each direction: a 512 x 512 frame with depth has 1.3 MB and should go in one call."""
PATIENCE = 10.0
"""Seconds in which it must be made and answered."""
WINDOWS_IN_PROGRESS = 10035
NO_SIGPIPE = getattr(socket, "MSG_NOSIGNAL", 0)
"""Blender 4.3 leaves SIGPIPE on, unlike 5.2 and Python: sending to a server that has just died would end Blender."""
MAC_NO_SIGPIPE = 0x1022
"""SO_NOSIGPIPE: the same on macOS, once for all that is sent."""
SELECTOR: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""Takes no file number of its own, as epoll and kqueue do: there may be none left. Only Windows has no poll()."""
LONGEST_GAP = 1.0
"""A pause between two polls counts at most this long as silence: Blender may have been busy, not the server."""


class Connection:
    """A connection to the ``attempt``-th of the address's hosts, begun at once and driven by :meth:`poll`.

    Raises :class:`NoConnection` when it cannot even begin.
    """

    def __init__(self, address: Address, max_size: int, clock: Callable[[], float], attempt: int = 0) -> None:
        masking.install()
        self.place = address.place
        self.open = False
        """Whether the WebSocket handshake is done."""
        self.received = 0
        """Bytes read so far."""
        self.age = 0.0
        """Seconds since it began, long pauses between polls left out."""
        _, port, self._path = address.split()
        self._address, self._clock = address, clock
        self._token, self._number = address.read_token(), new_number()
        self.proof = ""  # for the hello, once the server has shown its own
        self._protocol = ClientProtocol(parse_uri(f"ws://{self.place}{self._path}"), max_size=max_size)
        self._outgoing: deque[memoryview] = deque()
        self._fragments: list[bytes | bytearray] = []
        self._pings = 0  # since all that was to be sent last was gone
        self._unparsed: deque[memoryview] = deque()
        self._messages: deque[bytes | bytearray] = deque()
        self._ended: NoConnection | None = None
        self.awaits = False
        """Whether a request waits for its answer, so that silence is looked into soon."""
        self._connected = False
        self._last_poll = clock()
        self.liveness = Liveness()
        hosts = address.hosts()
        host = hosts[attempt % len(hosts)]
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no IPv6 on this machine, too many open files
            raise from_connect(error.errno or 0, self.place) from None
        try:
            self._begin(host, port)
        except OSError as error:
            self.close()
            raise from_connect(error.errno or 0, self.place) from None

    @property
    def pending(self) -> int:
        """Bytes given to :meth:`send` that the system has not taken yet."""
        return sum(len(view) for view in self._outgoing)

    def poll(self) -> deque[bytes | bytearray]:
        """Read and write what goes without waiting; return the messages that are complete, to be taken from the left.

        While some are left from the poll before nothing is read: whoever sends more than is taken has to wait.
        Raises :class:`NoConnection` when the connection has ended; messages that came before are to be taken first.
        """
        now = self._clock()
        gap, self._last_poll = min(now - self._last_poll, LONGEST_GAP), now
        self.liveness.passed(gap, self.awaits)
        self.age += gap
        if self._ended is None:
            self._step()
        if self._ended is not None and not self._messages:
            self.close()
            raise self._ended
        return self._messages

    def send(self, data: bytes) -> None:
        """Send one binary message, as far as the system takes it now; the rest follows with the next polls.

        Never raises for a connection that has just ended: :meth:`poll` tells.
        """
        if self._ended is None and self._protocol.state is State.OPEN:
            self._protocol.send_binary(data)
            self._flush()

    def close(self) -> None:
        """Say goodbye if that goes without waiting, and close the socket. Safe to call twice."""
        if self._ended is None and self.open and not self._outgoing and self._protocol.state is State.OPEN:
            self._protocol.send_close(1001)
            self._flush()
        if self._ended is None:
            self._ended = self._lost("it was closed here")
        self._outgoing.clear()
        self._socket.close()

    def _begin(self, host: str, port: int) -> None:
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "darwin":
            self._socket.setsockopt(socket.SOL_SOCKET, MAC_NO_SIGPIPE, 1)
        if not sys.platform.startswith("linux"):
            # Linux grows its buffers by itself, to 4 MiB and more; asking would pin them at a smaller limit there.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        number = self._socket.connect_ex((host, port))
        if number not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, WINDOWS_IN_PROGRESS):
            raise OSError(number, "connect")

    def _step(self) -> None:
        if not self._connected and not self._finish_connect():
            return
        if not self._messages:
            self._read()
        self._flush()
        self._listen_for_life()

    def _finish_connect(self) -> bool:
        """Whether TCP is connected; when it just became so, the handshake is sent."""
        with SELECTOR() as selector:
            selector.register(self._socket, selectors.EVENT_WRITE)
            if not selector.select(0):
                self._listen_for_life()
                return False
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._ended = from_connect(number, self.place)
            return False
        if self._socket.getsockname() == self._socket.getpeername():
            # TCP can connect to itself when the port is one that the system hands out and nobody listens there.
            self._ended = from_connect(errno.ECONNREFUSED, self.place)
            return False
        self._connected = True
        request = self._protocol.connect()
        if self._token:
            request.headers[CHALLENGE] = self._number
        self._protocol.send_request(request)
        return True

    def _read(self) -> None:
        """Feed what has come to the protocol, within the bounds of one poll."""
        begun, total = self._clock(), 0
        while self._ended is None and total < LARGEST_READ:
            while self._unparsed and self._ended is None:
                if self._clock() - begun > LONGEST_READ:
                    return
                self._protocol.receive_data(self._unparsed.popleft())  # type: ignore[arg-type]  # any bytes do
                self._take_events()
            if self._ended is not None or self._clock() - begun > LONGEST_READ:
                return
            try:
                chunk = self._socket.recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._ended = self._lost(error.strerror or str(error))
                return
            total += len(chunk)
            self.received += len(chunk)
            self.liveness.heard()
            self._unparsed.extend(memoryview(chunk)[at : at + PIECE] for at in range(0, len(chunk), PIECE))
            if not chunk:
                self._protocol.receive_eof()
                self._take_events()
                if self._ended is None:
                    self._ended = self._lost() if self.open else self._foreign("it hung up at once")

    def _take_events(self) -> None:
        events = self._protocol.events_received()
        if len(events) > FLOOD:
            self._ended = self._foreign(f"it sent {len(events)} frames at once")
            return
        for event in events:
            if isinstance(event, Response):
                self.open = self._protocol.handshake_exc is None and self._is_known(event)
            elif not isinstance(event, Frame):
                continue
            elif event.opcode in (Opcode.BINARY, Opcode.CONT):
                self._fragments.append(event.data)  # type: ignore[arg-type]  # never a memoryview when received
                if event.fin:
                    whole = self._fragments[0] if len(self._fragments) == 1 else b"".join(self._fragments)
                    self._fragments = []
                    self._messages.append(whole)
                elif len(self._fragments) > MOST_FRAGMENTS:
                    self._ended = self._foreign(f"it sent a message in more than {MOST_FRAGMENTS} pieces")
            elif event.opcode is Opcode.PING:
                self._pings += 1
                if self._pings > MOST_PINGS:
                    self._ended = self._foreign(f"it sent {self._pings} pings and reads nothing")
            elif event.opcode is Opcode.TEXT:
                self._ended = self._foreign("it sent text, where every message is binary")
            elif event.opcode is Opcode.CLOSE:
                close = self._protocol.close_rcvd
                words = f"{close.code} {close.reason}".strip() if close is not None else ""
                self._ended = self._lost(f"the server closed it: {words}")
        if self._ended is not None:
            return
        if self._protocol.handshake_exc is not None:
            self._ended = self._explain(self._protocol.handshake_exc)
        elif self._protocol.parser_exc is not None and not isinstance(self._protocol.parser_exc, EOFError):
            self._ended = self._foreign(str(self._protocol.parser_exc))

    def _is_known(self, response: Response) -> bool:
        """Whether the server knows the token: before it has shown that, nothing is said to it, not even the token."""
        if self._token:
            theirs, proofs = response.headers.get_all(CHALLENGE), response.headers.get_all(PROOF)
            self.proof = answer(self._token, self._number, theirs, proofs)
            if not self.proof:
                file = self._address.token_file
                self._ended = NoConnection(UnknownServer(self.place, str(file) if file else ""))
        return self._ended is None

    def _lost(self, detail: str = "") -> NoConnection:
        return NoConnection(ConnectionLost(self.place, detail))

    def _foreign(self, detail: str) -> NoConnection:
        return NoConnection(NotDraftglass(self.place, detail))

    def _explain(self, error: Exception) -> NoConnection:
        if isinstance(error, InvalidStatus):
            return from_status(error.response.status_code, self.place, self._path, self._address.token_file)
        if isinstance(error.__cause__, EOFError):
            return self._lost("before it was open")
        return self._foreign(str(error.__cause__ or error))

    def _flush(self) -> None:
        """Hand over to the system what it takes now. A memoryview is moved along, so nothing is copied again."""
        waited = bool(self._outgoing)
        pieces = self._protocol.data_to_send()
        pieces = [b"".join(pieces)] if len(pieces) > MANY else pieces
        self._outgoing.extend(memoryview(data) for data in pieces if data)
        try:
            while self._outgoing and self._connected:
                view = self._outgoing[0]
                sent = self._socket.send(view, NO_SIGPIPE)
                if waited:
                    self.liveness.sent()
                if sent < len(view):
                    self._outgoing[0] = view[sent:]
                else:
                    self._outgoing.popleft()
            self._pings = 0
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            if self._ended is None:
                self._ended = self._lost(error.strerror or str(error))

    def _listen_for_life(self) -> None:
        """Ping a silent server; give up on one that stays silent."""
        if self._ended is not None:
            return
        if self.liveness.silence > (LOST_AFTER if self.open else PATIENCE):
            self._ended = NoConnection(NoAnswer(self.place, round(self.liveness.silence)))
        elif self.open and self.liveness.wants_ping():
            self._protocol.send_ping(b"draftglass")
            self._flush()
