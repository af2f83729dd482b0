"""Attacks on the client: its loop is polled as Blender does, and no poll may take longer than 50 ms."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from addon.live import Address, LiveLoop, PlainDraft, build_request
from addon.problems import LiveState
from addon.wire import Style
from tests.attack.hostile_server import KINDS
from tests.attack.report import Row, memory_mb
from tests.plain.live.servers import TOKEN
from tests.plain.server.rig import ROOT

LONGEST_POLL = 0.05
DRAFT = PlainDraft(np.zeros((64, 64, 3), np.uint8))


@contextlib.contextmanager
def hostile() -> Iterator[int]:
    """A hostile server in a process of its own; yields its port."""
    command = [sys.executable, "-m", "tests.attack.hostile_server"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def attack(port: int, kind: str, row: Row, seconds: float) -> None:
    """Poll a loop that gets ``kind`` for ``seconds``, or until it gives up on that server."""
    address = Address(f"ws://127.0.0.1:{port}/{KINDS.index(kind)}", TOKEN, shares_memory=False)
    gc.collect()  # a process that is young looks for circles often, Blender's, which has long run, does not
    loop, before = LiveLoop(address, settle=False), memory_mb()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        wall, own = time.perf_counter(), time.thread_time()
        want = loop.poll(time.monotonic())
        own, wall = time.thread_time() - own, time.perf_counter() - wall
        # what another process took of this one's processor meanwhile is not the poll's
        row.longest_poll, row.longest_wait = max(row.longest_poll, own), max(row.longest_wait, wall)
        if want is not None:
            loop.send(build_request(want.id, DRAFT, Style(width=64, height=64)))
        if loop.take_picture() is not None:
            row.served += 1
        if loop.state in (LiveState.FAILED, LiveState.WAITING):
            break
        time.sleep(0.002)
    row.tried += 1
    row.refused += loop.state in (LiveState.FAILED, LiveState.WAITING)
    row.memory = max(row.memory, memory_mb() - before)
    loop.stop()
