"""Links of chosen speed and length: a relay in a process of its own, run by port, rates there and back, and way.

Bytes leave it no faster than the rate, however late it wakes, and so much later than they came; what is under way
is bounded as by a network's own buffers, so that a sender is held back.
"""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PIECE = 64 * 1024
BUFFERED = 256 * 1024
"""Bytes that lie in it at most beside those that are on their way."""


@contextlib.contextmanager
def link(port: int, megabits: float, way: float = 0.0, back: float = 0.0) -> Iterator[int]:
    """A link to ``port`` of ``megabits`` a second each way, or ``back`` on the way back, and ``way`` seconds there.

    Yields its own port.
    """
    rates = [str(one * 1e6 / 8) for one in (megabits, back or megabits)]
    command = [sys.executable, "-m", "tests.plain.live.links", str(port), *rates, str(way)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def pump(source: socket.socket, sink: socket.socket, rate: float, way: float) -> None:
    """Carry what ``source`` says to ``sink``."""
    most = max(4, int((BUFFERED + rate * way) / PIECE))
    under_way: queue.Queue[tuple[float, bytes]] = queue.Queue(most)

    def deliver() -> None:
        data = b"?"
        while data:
            due, data = under_way.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            with contextlib.suppress(OSError):
                sink.sendall(data) if data else sink.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=deliver, daemon=True).start()
    free, data = 0.0, b"?"
    while data:
        waits = bool(select.select([source], [], [], 0)[0])  # it came while this slept, maybe for too long
        try:
            data = source.recv(PIECE)
        except OSError:
            data = b""
        free = (free if waits else max(free, time.perf_counter())) + len(data) / rate
        under_way.put((free + way, data))
        time.sleep(max(0.0, free - time.perf_counter() - 0.001))  # what comes meanwhile waits at its sender


def main() -> None:
    """Serve until killed."""
    port, there, back, way = int(sys.argv[1]), *map(float, sys.argv[2:])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", port))
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink, rate in ((near, far, there), (far, near, back)):
            threading.Thread(target=pump, args=(source, sink, rate, way), daemon=True).start()


if __name__ == "__main__":
    main()
