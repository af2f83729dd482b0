"""A link to another machine: what is measured of it, and what goes small over it. Real sockets, some of them slow."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from addon.live import Address, LiveLoop
from addon.live.speed import FAST, MANY, Speed
from addon.planes import squeeze
from addon.planes.memory import SharedMemory
from addon.planes.squeeze import stretch
from addon.wire import Frame, Message, Probe, ProtocolError, Request, Style
from tests.plain.live.servers import Viewer, inverter, script
from tests.plain.live.test_memory import ROOT, SERVER

SIDE = 256


@pytest.fixture
def server() -> Iterator[int]:
    """The port of the real app in a process of its own; its style is to invert."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def as_if_remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sockets of the tests are this machine's; the client takes them for another's."""
    monkeypatch.setattr(Address, "is_loopback", False)


@contextlib.contextmanager
def relay(port: int, rate: float) -> Iterator[int]:
    """A relay to ``port`` that lets ``rate`` bytes a second through, each way. Yields its own port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                time.sleep(len(data) / rate)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class Painter(Viewer):
    """Sends a scene with edges and shades, as a viewport shows it."""

    def beat(self) -> None:
        want = self.loop.poll(self.key)
        if want is not None:
            image, depth = scene()
            request = Request(Frame(want.id, image, depth), Style(width=SIDE, height=SIDE), want.settle)
            self.loop.send(request)
            self.sent.append(request)
        picture = self.loop.take_picture()
        if picture is not None:
            self.pictures.append(picture)


def scene() -> tuple[np.ndarray, np.ndarray]:
    row, column = np.mgrid[0:SIDE, 0:SIDE]
    image = np.stack([row, column, (row + column) // 2], -1).astype(np.uint8)
    image[64:128, 64:160] = (200, 60, 40)
    depth = (20000 + 100 * row + 30 * column).astype(np.uint16)
    depth[64:128, 64:160] = 65535
    depth[:20] = 0
    return image, depth


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((first.astype(float) - second) ** 2)))


def test_over_a_slow_link_planes_go_small_both_ways(server: int) -> None:
    with relay(server, 2e6) as port:
        viewer = Painter(LiveLoop(Address(f"ws://127.0.0.1:{port}/live", "token"), settle=False))
        viewer.until(lambda: viewer.pictures and viewer.loop._link and viewer.loop._link.speed)
        link = viewer.loop._link
        assert link is not None and link.speed is not None and not link.shares_memory
        viewer.until(lambda: link.speed is not None and link.speed.rate is not None and not link.speed._waiting)
        assert link.speed.is_slow and link.speed.rate is not None and link.speed.rate < 6e6
        statistics, seen = viewer.loop.statistics, len(viewer.pictures)
        sent, received = statistics.bytes_sent, statistics.bytes_received
        viewer.key = "next"
        viewer.until(lambda: len(viewer.pictures) > seen)
        raw = SIDE * SIDE
        assert statistics.bytes_sent - sent < raw * 5 / 5 and statistics.bytes_received - received < raw * 3 / 4
        assert psnr(viewer.pictures[-1].image, 255 - scene()[0]) > 30
        viewer.loop.stop()


def test_a_server_that_knows_no_encodings_gets_plain_planes() -> None:
    with script(inverter()) as address:
        viewer = Painter(LiveLoop(address, settle=False))
        viewer.until(lambda: viewer.pictures)
        assert (viewer.pictures[0].image == 255 - scene()[0]).all()
        viewer.loop.stop()


def test_without_the_library_planes_stay_plain(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addon.live.talk.ENCODINGS", ())
    viewer = Painter(LiveLoop(Address(f"ws://127.0.0.1:{server}/live", "token"), settle=False))
    viewer.until(lambda: viewer.pictures)
    assert (viewer.pictures[0].image == 255 - scene()[0]).all()
    viewer.loop.stop()


def test_on_this_machine_nothing_is_measured_and_nothing_small(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the address is loopback again
    viewer = Painter(LiveLoop(Address(f"ws://127.0.0.1:{server}/live", "token"), settle=False))
    viewer.until(lambda: viewer.pictures)
    assert viewer.loop._link is not None and viewer.loop._link.speed is None
    assert (viewer.pictures[0].image == 255 - scene()[0]).all()
    viewer.loop.stop()


class Elsewhere(SharedMemory):
    """Memory that only this end finds, as where the loopback address is the beginning of a tunnel."""

    @classmethod
    def create(cls) -> SharedMemory | None:
        memory = super().create()
        if memory is not None:
            memory.remove_name()
        return memory


def test_a_slow_tunnel_from_a_loopback_address_is_found_out(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("addon.live.talk.SharedMemory", Elsewhere)
    with relay(server, 2e6) as port:
        viewer = Painter(LiveLoop(Address(f"ws://127.0.0.1:{port}/live", "token"), settle=False))
        viewer.until(lambda: viewer.pictures)
        link = viewer.loop._link
        assert link is not None and link.speed is not None
        assert (viewer.pictures[0].image == 255 - scene()[0]).all(), "until it is known, a loopback address is near"
        viewer.until(lambda: link.speed is not None and link.speed.is_slow)
        assert not link.is_near
        seen, sent = len(viewer.pictures), viewer.loop.statistics.bytes_sent
        viewer.key = "next"
        viewer.until(lambda: len(viewer.pictures) > seen)
        assert viewer.loop.statistics.bytes_sent - sent < SIDE * SIDE
        viewer.loop.stop()


def test_a_server_here_that_shares_no_memory_gets_plain_planes(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("addon.live.talk.SharedMemory", Elsewhere)
    viewer = Painter(LiveLoop(Address(f"ws://127.0.0.1:{server}/live", "token"), settle=False))
    viewer.until(lambda: viewer.pictures)
    viewer.key = "next"
    viewer.until(lambda: len(viewer.pictures) > 1)
    link = viewer.loop._link
    assert link is not None and link.speed is not None and not link.shares_memory
    viewer.until(lambda: link.speed is not None and link.speed._waiting == 0)
    assert link.is_near
    assert (viewer.pictures[-1].image == 255 - scene()[0]).all()
    viewer.loop.stop()


def test_a_client_that_reads_late_does_not_take_a_fast_link_for_a_slow_one() -> None:
    sent: list[Message] = []
    speed, now = Speed(is_slow=False), 10.0
    speed.begin(now, sent.append)
    for seconds in (0.001, 0.05, 0.06, 0.01):  # Blender drew for 50 and 60 ms while the answers waited
        count = len(sent)
        sent.clear()
        now += seconds
        for _ in range(count):
            assert not speed.is_slow
            speed.came(now)
    assert not speed.is_slow and speed.rate is not None and speed.rate > FAST and not sent


@pytest.mark.parametrize(("rate", "way"), [(1e6, 0.02), (12e6, 0.001), (12e6, 0.04), (2e9, 0.0005)])
def test_the_rate_is_told_from_the_way(rate: float, way: float) -> None:
    """A link of ``rate`` bytes a second each way and ``way`` seconds long, read every 4 ms."""
    sent: list[Message] = []
    speed, now = Speed(), 10.0
    speed.begin(now, sent.append)
    while sent:
        size = sum(len(message.padding) for message in sent if isinstance(message, Probe))
        count, seconds = len(sent), 2 * way + 2 * size / rate
        sent.clear()
        now += np.ceil(seconds / 0.004) * 0.004
        for _ in range(count):
            speed.came(now)
    assert speed.rate is not None and speed.is_slow == (rate / 2 < FAST)
    if rate < 100e6:
        assert 0.3 * rate < speed.rate < 3 * rate


def test_a_probe_that_nobody_sent_says_nothing() -> None:
    speed = Speed()
    for _ in range(MANY):
        speed.came(1.0)
    assert speed.rate is None and speed.is_slow


def test_depth_keeps_twelve_bits_exactly() -> None:
    depth = np.random.default_rng(1).integers(0, 65536, (40, 24), np.uint16)
    depth[0, :2] = 0, 65535
    encoding, data = squeeze.squeeze("inverse_depth", depth)
    back = stretch(encoding, data, 40, 24)
    assert (back >> 4 == depth >> 4).all() and back[0, :2].tolist() == [0, 65535] and back.dtype == np.uint16


def test_what_lies_about_its_size_is_refused_before_it_is_made() -> None:
    _, jpeg = squeeze.squeeze("image", np.zeros((16, 24, 3), np.uint8))
    _, depth = squeeze.squeeze("inverse_depth", np.zeros((2048, 2048), np.uint16))
    assert len(depth) < 50_000, "eight megabytes in a few"
    for encoding, data in (("jpeg", jpeg), ("jpeg", jpeg[:40]), ("jpeg", b"no"), ("u12z", depth), ("u12z", depth[:9])):
        with pytest.raises(ProtocolError):
            stretch(encoding, data, 16, 16)
