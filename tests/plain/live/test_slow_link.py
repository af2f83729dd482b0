"""A link to another machine: what is measured of it, and what goes small over it. Real sockets, some of them slow."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from addon.live import Address, LiveLoop
from addon.live.speed import FAST, LATER, MANY, PIECE, SURE, TRIES, Speed
from addon.planes import squeeze
from addon.planes.memory import SharedMemory
from addon.planes.squeeze import stretch
from addon.wire import Frame, Message, Probe, ProtocolError, Request, Style, pack
from tests.plain.live.links import link as throttled
from tests.plain.live.servers import Viewer, inverter, script
from tests.plain.live.test_memory import ROOT, SERVER
from tests.plain.wire.strategies import split

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
    with throttled(server, 16) as port:
        viewer = Painter(LiveLoop(Address(f"ws://127.0.0.1:{port}/live", "token"), settle=False))
        viewer.until(lambda: viewer.pictures and viewer.loop._link and viewer.loop._link.speed)
        link = viewer.loop._link
        assert link is not None and link.speed is not None and not link.shares_memory
        viewer.until(lambda: link.speed is not None and link.speed.rate is not None and not link.speed.busy)
        assert link.speed.is_slow and link.speed.rate is not None and link.speed.rate < 3e6
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


NO_LIBRARY = "import sys; sys.modules['simplejpeg'] = None\n"


def test_a_server_without_the_library_takes_small_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen([sys.executable, "-c", NO_LIBRARY + SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    seen: list[dict[str, object]] = []
    monkeypatch.setattr("addon.live.talk.pack", lambda *given, **more: note(seen, pack(*given, **more)))
    try:
        assert process.stdout is not None
        address = Address(f"ws://127.0.0.1:{int(process.stdout.readline())}/live", "token")
        viewer = Painter(LiveLoop(address, settle=False))
        viewer.until(lambda: viewer.pictures)
        assert (viewer.pictures[0].image == 255 - scene()[0]).all()
        (request,) = [header for header in seen if header["type"] == "request"]
        assert [plane["encoding"] for plane in request["planes"]] == ["rgb8", "u12z"]  # type: ignore[attr-defined]
        viewer.loop.stop()
    finally:
        process.kill()
        process.wait()


def note(seen: list[dict[str, object]], data: bytes) -> bytes:
    seen.append(split(data)[0])
    return data


def test_a_jpeg_that_was_not_agreed_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _, jpeg = squeeze.squeeze("image", np.zeros((16, 24, 3), np.uint8))
    monkeypatch.setattr(squeeze, "simplejpeg", None)
    with pytest.raises(ProtocolError, match="not agreed on"):
        stretch("jpeg", jpeg, 16, 24)


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
    with throttled(server, 16) as port:
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
    viewer.until(lambda: link.speed is not None and link.speed.rate is not None and not link.speed.busy)
    assert link.is_near
    assert (viewer.pictures[-1].image == 255 - scene()[0]).all()
    viewer.loop.stop()


@pytest.mark.parametrize("beat", [0.004, 0.05])
@pytest.mark.parametrize(("megabits", "way"), [(50, 0.0), (150, 0.03), (500, 0.0), (500, 0.03)])
def test_a_slow_link_is_found_slow_however_late_it_is_read(
    server: int, megabits: float, way: float, beat: float
) -> None:
    with throttled(server, megabits, way) as port:
        speed = measured(port, beat, TRIES)
    assert speed.is_slow and speed.rate is not None
    assert 0.7 * megabits < speed.rate * 8e-6 < 1.3 * megabits


@pytest.mark.parametrize("beat", [0.004, 0.05])
@pytest.mark.parametrize(("megabits", "way"), [(1000, 0.0), (1000, 0.03), (10000, 0.015), (None, 0.0)])
def test_a_fast_link_is_found_fast_however_late_it_is_read(
    server: int, megabits: float | None, way: float, beat: float
) -> None:
    with contextlib.nullcontext(server) if megabits is None else throttled(server, megabits, way) as port:
        for _ in range(
            4
        ):  # the relay and the server share two cores with other programs, which make them slow at times
            speed = measured(port, beat, TRIES)
            if not speed.is_slow:
                break
    assert not speed.is_slow and speed.rate is not None and speed.rate >= FAST


def measured(port: int, beat: float, tries: int) -> Speed:
    """What a client finds that looks every ``beat`` seconds, until it is sure or has tried so often."""
    loop = LiveLoop(Address(f"ws://127.0.0.1:{port}/live", "token"), settle=False)
    end, speed = time.perf_counter() + 40, None
    while speed is None or speed.rate is None or (speed.busy and len(speed._rates) < tries):
        assert time.perf_counter() < end
        loop.poll(None)
        speed = loop._link.speed if loop._link is not None else None
        time.sleep(beat)
    loop.stop()
    return speed


def simulated(
    there: float,
    back: float,
    way: float,
    beat: float,
    late: Callable[[int], float] = lambda tries: 0.0,
    speed: Speed | None = None,
) -> Speed:
    """A link of so many bytes a second, ``way`` seconds long, seen every ``beat`` seconds.

    ``late``: seconds after it was asked for which the server reads nothing, by how often it was asked before.
    """
    sent: list[Message] = []
    speed = speed or Speed(sent.append)
    speed._send = sent.append
    now, tries = 10.0, 0
    speed.begin(now)
    while speed.busy:
        speed.tick(now)
        if sent:
            stall = late(tries)
            read = [max(now + stall, now + way + (k + 1) * PIECE.nbytes / there) for k in range(len(sent))]
            tries += 1
            sent.clear()
            came, answers = 0.0, []
            for arrived in read:
                came = max(came, arrived + way) + PIECE.nbytes / back
                answers.append((came, Probe(PIECE, arrived + 5e6)))
            while answers:
                before, now = now, now + beat
                while answers and answers[0][0] <= now:
                    speed.came(answers.pop(0)[1], now, before)
        else:
            now += beat
    return speed


@pytest.mark.parametrize("beat", [0.001, 0.004, 0.016, 0.05])
@pytest.mark.parametrize("way", [0.0, 0.03])
@pytest.mark.parametrize(("rate", "is_slow"), [(1e6, True), (62e6, True), (118e6, False), (1.2e9, False)])
def test_heartbeats_and_length_change_nothing(rate: float, is_slow: bool, way: float, beat: float) -> None:
    speed = simulated(rate, rate, way, beat)
    assert speed.is_slow is is_slow and speed.rate == pytest.approx(rate, rel=0.01)


def test_a_link_that_is_slow_only_on_the_way_back_is_slow() -> None:
    assert simulated(1e9, 12e6, 0.01, 0.004).is_slow
    assert not simulated(1e9, 118e6, 0.01, 0.004).is_slow


def test_in_doubt_it_stays_as_it_was_until_all_was_tried() -> None:
    """A tunnel from this machine at 60 MB/s is plain for some seconds: it may be a fast one to a busy server."""
    found: list[tuple[float, bool]] = []

    def note(tries: int) -> float:
        found.append((tries, speed.is_slow))
        return 0.0

    for given in (False, True):
        speed = Speed(lambda message: None, given)
        speed = simulated(60e6, 60e6, 0.0, 0.004, note, speed)
        assert speed.is_slow and all(is_slow is given for _, is_slow in found)
        found.clear()
    speed = Speed(lambda message: None, False)
    simulated(20e6, 20e6, 0.0, 0.004, note, speed)
    assert [is_slow for tries, is_slow in found if tries > TRIES] == [True] * len(LATER), "no doubt"


def test_a_server_that_reads_late_once_makes_no_link_fast() -> None:
    assert simulated(50e6, 50e6, 0.0, 0.05, lambda tries: 0.04 if tries == 2 else 0.0).is_slow


def test_a_server_that_does_not_say_when_it_read_leaves_only_the_whole() -> None:
    speed = Speed(lambda message: None)
    speed.begin(1.0)
    speed.came(Probe(PIECE), 1.001, 1.0)
    for now in (2.0, 3.0):
        speed.tick(now)
        for _ in range(MANY):
            speed.came(Probe(PIECE), now + 0.1, now)
    assert speed.rate is not None and speed.rate < 10e6


def test_a_slow_link_is_asked_no_more_than_it_must() -> None:
    assert len(simulated(1e6, 1e6, 0.0, 0.004)._rates) == 1
    assert len(simulated(6e6, 6e6, 0.0, 0.004)._rates) == SURE
    assert len(simulated(1e9, 1e9, 0.0, 0.004)._rates) == 2


def test_a_probe_that_nobody_sent_says_nothing() -> None:
    speed = Speed(lambda message: None)
    for _ in range(MANY):
        speed.came(Probe(PIECE, 1.0), 1.0, 0.9)
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
