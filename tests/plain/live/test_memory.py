"""Shared memory between client and server: both in real processes, and what happens where it can't be."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from websockets.sync.server import ServerConnection

from addon.live import Address, LiveLoop
from addon.problems import LiveState
from addon.transport import shared_memory
from addon.transport.shared_memory import PICTURE_AT, PREFIX, SLOT_BYTES, STALE_SECONDS, SharedMemory, memory_folder
from addon.wire import MEMORY_BYTES, Hello, ProtocolError, Request, Welcome, pack, unpack
from tests.plain.live.real_server import ROOT, inverting
from tests.plain.live.servers import READY, Viewer, inverted, said, script

pytestmark = pytest.mark.skipif(memory_folder() is None, reason="no shared memory on this system")
CLIENT = """
import sys, time
from addon.live import Address, LiveLoop
from tests.plain.live.real_server import ROOT, inverting
from tests.plain.live.servers import Viewer
viewer = Viewer(LiveLoop(Address(sys.argv[1], "token"), settle=False))
viewer.until(lambda: viewer.loop.state == "live")
viewer.until(lambda: viewer.pictures)
print(int(viewer.loop._link.shares_memory), flush=True)
while True:
    viewer.beat()
    viewer.key = time.perf_counter()
"""


@pytest.fixture
def server() -> Iterator[tuple[Address, subprocess.Popen[str]]]:
    with inverting() as running:
        yield running


def names() -> set[str]:
    """The shared memories of ours that have a name."""
    folder = memory_folder()
    assert folder is not None
    return {name for name in os.listdir(folder) if name.startswith(PREFIX)}


def open_files(process: int) -> list[str]:
    """What ``process`` has open that once was shared memory of ours."""
    folder = Path(f"/proc/{process}/fd")
    found = []
    for entry in folder.iterdir():
        try:
            found.append(os.readlink(entry))
        except OSError:
            continue
    return [name for name in found if PREFIX in name]


def test_the_planes_of_both_ways_go_through_memory(server: tuple[Address, subprocess.Popen[str]]) -> None:
    before = names()
    viewer = Viewer(LiveLoop(server[0], settle=False), size=512, depth=True)
    viewer.until(lambda: viewer.loop.state == LiveState.LIVE)
    for key in range(8):
        viewer.key = key
        viewer.until(functools.partial(lambda count: len(viewer.pictures) > count, key))
    link, statistics = viewer.loop._link, viewer.loop.statistics
    assert link is not None and link.shares_memory
    assert statistics.bytes_sent < 8 * 4000 and statistics.bytes_received < 8 * 4000, "the socket is only the doorbell"
    for picture in viewer.pictures:
        assert (picture.image == 255 - picture.id).all()
    assert names() <= before, "its name is gone as soon as both have it"
    assert {"wire", "reply", "queue", "engine", "capture"} <= statistics.stages().keys()
    viewer.loop.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_stays_after_either_end_is_killed(server: tuple[Address, subprocess.Popen[str]]) -> None:
    address, process = server
    before = names()
    command = [sys.executable, "-c", CLIENT, address.url]
    client = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    try:
        assert client.stdout.readline().strip() == "1"
        assert len(open_files(process.pid)) == 1
    finally:
        client.send_signal(signal.SIGKILL)
        client.wait()
    end = time.monotonic() + 30
    while open_files(process.pid):
        assert time.monotonic() < end, "the server keeps the memory of a client that is gone"
        time.sleep(0.01)
    viewer = Viewer(LiveLoop(address, settle=False))
    viewer.until(lambda: viewer.pictures)
    assert len(open_files(os.getpid())) == 1
    process.send_signal(signal.SIGKILL)
    viewer.until(lambda: viewer.loop.state != LiveState.LIVE)
    assert open_files(os.getpid()) == [] and names() <= before


def test_a_name_left_by_a_killed_client_is_removed_by_the_next(tmp_path: Path) -> None:
    left, fresh, other = (tmp_path / f"{PREFIX}{digit * 32}" for digit in "abc")
    foreign = tmp_path / f"{PREFIX}notes.txt"
    for path in (left, fresh, other, foreign):
        path.touch()
    for path in (left, foreign):
        os.utime(path, (time.time() - STALE_SECONDS - 5,) * 2)
    made = SharedMemory.create(tmp_path)
    assert made is not None
    assert not left.exists() and fresh.exists() and other.exists() and foreign.exists()
    made.close()
    assert not (tmp_path / f"{PREFIX}{made.name}").exists()


def test_nothing_but_such_a_file_is_opened(tmp_path: Path) -> None:
    folder = tmp_path / "shm"
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    os.truncate(secret, MEMORY_BYTES)
    secret.chmod(0o600)

    def path(digit: str) -> Path:
        return folder / f"{PREFIX}{digit * 32}"

    path("1").symlink_to(secret)
    os.link(secret, path("2"))
    os.mkfifo(path("3"), 0o600)
    path("4").mkdir()
    path("5").write_bytes(b"short")
    path("6").touch(0o644)
    os.truncate(path("6"), MEMORY_BYTES)
    for name in ("1", "2", "3", "4", "5", "6", "7"):
        assert SharedMemory.open(name * 32, folder) is None, name
    for wrong in (
        "",
        "../secret",
        f"../../{secret}",
        "A" * 32,
        "1" * 31,
        "1" * 33,
        "1" * 32 + "\n",
        "\0" * 32,
        "/" * 32,
    ):
        assert SharedMemory.open(wrong, folder) is None, wrong
    made = SharedMemory.create(folder)
    assert made is not None
    opened = SharedMemory.open(made.name, folder)
    assert opened is not None
    if os.geteuid() == 0:
        os.chown(folder / f"{PREFIX}{made.name}", 65534, 65534)
        assert SharedMemory.open(made.name, folder) is None, "another user's"
    opened.close()
    made.close()


def test_what_was_read_stays_and_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    made = SharedMemory.create(tmp_path)
    assert made is not None
    other = SharedMemory.open(made.name, tmp_path)
    assert other is not None
    plane = np.arange(3 * 64, dtype=np.uint8).reshape(8, 8, 3)
    assert made.write(SLOT_BYTES + PICTURE_AT, [plane, plane])
    read = other.read(SLOT_BYTES + PICTURE_AT, 2 * plane.nbytes)
    made.write(SLOT_BYTES + PICTURE_AT, [255 - plane])
    assert read == plane.tobytes() * 2, "a copy"
    assert not made.write(MEMORY_BYTES - plane.nbytes + 1, [plane]) and not made.write(-1, [plane])
    with pytest.raises(ProtocolError, match="can't be read"):
        other.read(MEMORY_BYTES - 10, 11)
    os.truncate(tmp_path / f"{PREFIX}{made.name}", 100)  # a peer gone mad: no SIGBUS
    with pytest.raises(ProtocolError, match="can't be read"):
        other.read(SLOT_BYTES, 10)
    other.close()
    assert not other.write(0, [plane])
    made.close()


NO_POSIX = """
import os
for name in ("pread", "pwrite", "geteuid", "getuid", "ftruncate"):
    delattr(os, name)
from pathlib import Path
from addon.transport import shared_memory
shared_memory.POSIX = False
shared_memory.memory_folder = lambda: Path(FOLDER)
"""


def test_a_system_without_posix_has_it_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What Windows lacks is taken away at both ends; the deletion on close, which only Windows has, stays untried."""
    monkeypatch.setattr(shared_memory, "POSIX", False)
    elsewhere(monkeypatch, tmp_path)
    for name in ("pread", "pwrite", "ftruncate"):
        monkeypatch.delattr(os, name)
    with inverting(NO_POSIX.replace("FOLDER", repr(str(tmp_path)))) as (address, _):
        viewer = Viewer(LiveLoop(address, settle=False), size=512, depth=True)
        for key in range(6):
            viewer.key = key
            viewer.until(functools.partial(lambda count: len(viewer.pictures) > count, key))
        assert viewer.loop._link is not None and viewer.loop._link.shares_memory
        assert viewer.loop.statistics.bytes_sent < 6 * 4000 and os.listdir(tmp_path) == []
        for picture in viewer.pictures:
            assert (picture.image == 255 - picture.id).all()
        viewer.loop.stop()


def test_a_file_in_which_what_was_written_cannot_be_read_is_not_taken(tmp_path: Path) -> None:
    made = SharedMemory.create(tmp_path)
    assert made is not None
    assert made.write(0, [np.zeros(8, np.uint8)]) and SharedMemory.open(made.name, tmp_path) is None
    made.close()


def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "memory_folder", lambda: None)


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedMemory, "write", lambda self, at, planes: False)


def elsewhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(shared_memory, "memory_folder", lambda: folder)


@pytest.mark.parametrize("why", ["none", "full", "another container", "read-only", "not wanted"])
def test_without_it_the_socket_carries_everything(
    why: str, server: tuple[Address, subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if why == "none":
        without_memory(monkeypatch)
    elif why == "full":
        full(monkeypatch)
    elif why != "not wanted":
        elsewhere(monkeypatch, tmp_path if why == "another container" else Path("/proc"))
    address = replace(server[0], shares_memory=why != "not wanted")
    viewer = Viewer(LiveLoop(address, settle=False), size=256, depth=True)
    viewer.until(lambda: len(viewer.pictures) >= 1)
    assert (viewer.pictures[0].image == 255 - viewer.pictures[0].id).all()
    assert viewer.loop.statistics.bytes_sent > 256 * 256 * 5
    assert said(viewer.loop) == "Live with the model inverter.", "silently"
    assert os.listdir(tmp_path) == []
    viewer.loop.stop()


def test_a_place_is_taken_until_its_answer_is_read() -> None:
    """More frames under way than places: the socket takes the rest; no two share a place."""
    hellos: list[Hello] = []
    held: list[Request] = []

    def handler(connection: ServerConnection) -> None:
        hello = unpack(connection.recv())
        assert isinstance(hello, Hello)
        hellos.append(hello)
        shared = SharedMemory.open(hello.memory)
        assert shared is not None
        connection.send(pack(Welcome(memory=True)))
        connection.send(pack(READY))
        for data in connection:
            request = unpack(data, shared)
            assert isinstance(request, Request) and request.picture_at is not None
            held.append(request)
            if len(held) == 2:
                assert held[0].picture_at != held[1].picture_at
            for one in held if len(held) == 2 or request.frame.id > 2 else []:
                assert one.picture_at is not None
                connection.send(pack(inverted(one, engine=5.0), shared, one.picture_at))
            if request.frame.id >= 2:
                held.clear()

    with script(handler) as address:
        viewer = Viewer(LiveLoop(address, settle=False))
        viewer.until(lambda: viewer.sent)
        link = viewer.loop._link
        assert link is not None and link.shares_memory and len(link._slots) == 1
        viewer.loop._pace._services[False].extend([0.0] * 8)  # the first is predicted to be done by now
        viewer.key = "next"
        viewer.until(lambda: len(viewer.sent) == 2)
        viewer.until(lambda: viewer.pictures and viewer.pictures[-1].id == 2)
        assert (viewer.pictures[-1].image == 253).all() and link._slots == {}
        assert hellos[0].memory
        viewer.loop.stop()
