"""This process: its address, its signals, its parent, its end. Standard library and uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TextIO

import uvicorn

from addon.wire import MAX_MESSAGE_BYTES

from .protocols import WatchedHttp, WatchedWebSocket
from .watch import Watch

STOP_SECONDS = 1.6
"""After this long an end that was asked for comes, whatever still runs."""
CUT_SECONDS = 0.4
"""How long clients have to read what was sent to them before the end."""
PARENT_SECONDS = 0.25


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket at ``host`` and ``port``. Raises OSError with a sentence."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise OSError(f"host is {host!r}, but no such address is known here: {_reason(error)}") from None
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere this would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(64)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise OSError(
                f"{host} port {port} is taken by another program, perhaps by a server of Draftglass that already runs: "
                "end that one, or give another port by --port (0 takes a free one)"
            ) from None
        raise OSError(f"can't listen at {host} port {port}: {_reason(error)}") from None
    return listener


class Process(uvicorn.Server):
    """uvicorn, ended by one signal within two seconds, announced by one line of JSON on standard output."""

    def __init__(self, app: Any, on_end: Callable[[], None]) -> None:
        """``on_end`` is called, once at least, before the process ends; from any thread."""
        self._watch = Watch()
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(WatchedHttp, self._watch),  # type: ignore[arg-type]  # it is only called
                ws=partial(WatchedWebSocket, self._watch),  # type: ignore[arg-type]
                ws_max_size=MAX_MESSAGE_BYTES,  # a longer frame is refused by its header alone
                ws_per_message_deflate=False,  # it costs 59 ms a frame
                ws_ping_interval=20,
                ws_ping_timeout=60,  # Blender answers pings between two redraws: a final render makes it wait
                lifespan="on",
                log_config=None,
                log_level="warning",  # at "info" uvicorn logs addresses, with the token in a browser's query
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._on_end = on_end
        if hasattr(app, "state"):
            app.state.cut, app.state.trust = self._watch.cut, self._watch.trust
            app.state.holds = self._watch.held_for
        self._announce: Callable[[], None] = lambda: None

    def announce(self, stream: TextIO, **line: object) -> None:
        """Print ``line`` to ``stream`` as JSON once connections are accepted."""

        def write() -> None:
            with contextlib.suppress(OSError):  # whoever started this may have closed its end: no reason to stop
                print(json.dumps({"event": "listening", **line}), file=stream, flush=True)
                if stream.isatty():  # started by hand
                    words = "in the add-on's preferences, give this server's address and token file:"
                    print(f"{words}\n  {line.get('url')}\n  {line.get('token_file')}", file=sys.stderr, flush=True)

        self._announce = write

    def catch_signals(self) -> None:
        """End at SIGINT and SIGTERM (and Ctrl-Break) from now on; a second one ends at once."""
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda *_: self.stop())

    def stop(self) -> None:
        """Begin to end. From any thread."""
        if self.should_exit:
            self._end_now()
        self.should_exit = True
        timer = threading.Timer(STOP_SECONDS, self._end_now)
        timer.daemon = True
        timer.start()

    def end_with_parent(self, parent: int) -> None:
        """End when the process ``parent``, which started this one, is gone, however it ended."""

        def watch() -> None:
            alive = _parent_watch(parent)
            while alive():
                time.sleep(PARENT_SECONDS)
            self.stop()

        threading.Thread(target=watch, name="parent", daemon=True).start()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then print the line."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close as uvicorn does, but cut off clients that don't read their last bytes."""
        self._watch.stop()
        asyncio.get_running_loop().call_later(CUT_SECONDS, self._cut_off)
        await super().shutdown(sockets)

    def _cut_off(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to :meth:`catch_signals`: uvicorn would raise them again at the end."""
        yield

    def _end_now(self) -> None:
        self._on_end()
        end(0)


def end(code: int) -> None:
    """End the process at once, with ``code``.

    Not by ``sys.exit``: the engine's thread may still be in native code, and tearing the interpreter down under it
    can crash or hang.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _parent_watch(parent: int) -> Callable[[], bool]:
    """Return a function that tells whether process ``parent`` still lives."""
    if sys.platform != "win32":
        return lambda: os.getppid() == parent  # a process whose parent dies is given another one
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(0x00100000, False, parent))  # SYNCHRONIZE
    return lambda: bool(handle) and kernel.WaitForSingleObject(handle, 0) == 0x102  # WAIT_TIMEOUT: not ended
