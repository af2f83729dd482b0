"""A server that sends more than a poll has time for: each poll stays short, and nothing that came is lost."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time
from dataclasses import replace

import pytest
from websockets.sync.server import ServerConnection

from addon.live import LiveLoop
from addon.problems import LiveState
from addon.transport.connection import MOST_FRAGMENTS
from addon.wire import Welcome, pack, unpack, unpack_in_steps
from tests.attack.hostile_server import frame, models
from tests.plain.live.servers import READY, Viewer, greet, greet_by_hand, raw, said, script

LAST = replace(READY, model="the last one")


def test_a_poll_takes_what_there_is_time_for_and_the_next_one_goes_on() -> None:
    done = threading.Event()

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        connection.socket.sendall(models() * 20 + frame(pack(READY)) * 2000 + frame(pack(LAST)))
        done.wait(60)

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address))
        gc.collect()  # as in a process that has long run: in a young one Python looks for circles at any time
        longest = 0.0
        ends = time.monotonic() + 60
        while viewer.loop.model != LAST.model:
            began = time.thread_time()
            viewer.loop.poll(None)
            longest = max(longest, time.thread_time() - began)
            assert time.monotonic() < ends
        assert longest < 0.05, f"a poll computed for {longest * 1e3:.0f} ms"
        viewer.loop.stop()
        done.set()


def test_a_long_list_of_models_is_read_in_steps_and_all_else_at_once() -> None:
    data = models()[10:]
    steps = unpack_in_steps(data)
    count = sum(1 for _ in steps)
    assert count >= 12
    assert list(unpack_in_steps(pack(READY))) == []
    with pytest.raises(StopIteration) as end:
        steps = unpack_in_steps(data)
        while True:
            next(steps)
    assert end.value.value == unpack(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((b"\x89\x7d" + bytes(125)) * 100_000, "pings and reads nothing"),
        (b"\x02\x01x" + (b"\x00\x08" + bytes(8)) * (MOST_FRAGMENTS + 1000), f"more than {MOST_FRAGMENTS} pieces"),
    ],
)
def test_pings_from_one_who_reads_nothing_and_endless_pieces_end_it(data: bytes, words: str) -> None:
    done = threading.Event()

    def handler(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greet_by_hand(connection)
        with contextlib.suppress(OSError):
            connection.sendall(data)
        done.wait(60)

    with raw(handler) as address:
        viewer = Viewer(LiveLoop(address))
        viewer.until(lambda: viewer.loop.state in (LiveState.FAILED, LiveState.WAITING))
        assert words in said(viewer.loop)
        viewer.loop.stop()
        done.set()


def test_more_credits_than_memory_has_room_for_are_not_taken() -> None:
    def handler(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(pack(Welcome(credits=64)))
        connection.send(pack(READY))
        for _ in connection:
            pass

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, settle=False))
        viewer.until(lambda: viewer.sent)
        for number in range(200):
            viewer.key = number
            viewer.beat()
        assert len(viewer.sent) <= 4
        viewer.loop.stop()
