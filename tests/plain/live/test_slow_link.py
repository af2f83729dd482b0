"""A link to another machine: what is measured of it, and what goes small over it. Real sockets, some of them slow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from addon.live import Address, LiveLoop
from addon.transport import compression
from addon.transport.compression import stretch
from addon.transport.shared_memory import SharedMemory
from addon.wire import Frame, ProtocolError, Request, Style, pack
from tests.plain.live.links import link as throttled
from tests.plain.live.real_server import inverting
from tests.plain.live.servers import Viewer, inverter, script
from tests.plain.wire.samples import split

pytestmark = pytest.mark.alone

SIDE = 256


@pytest.fixture
def server() -> Iterator[int]:
    """Its port."""
    with inverting() as (address, _):
        yield address.split()[1]


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
    seen: list[dict[str, object]] = []
    monkeypatch.setattr("addon.live.channel.pack", lambda *given, **more: note(seen, pack(*given, **more)))
    with inverting(NO_LIBRARY) as (address, _), throttled(address.split()[1], 16) as port:
        viewer = Painter(LiveLoop(Address(f"ws://127.0.0.1:{port}/live", "token"), settle=False))
        viewer.until(lambda: viewer.pictures)
        assert (viewer.pictures[0].image == 255 - scene()[0]).all()
        (request,) = [header for header in seen if header["type"] == "request"]
        assert [plane["encoding"] for plane in request["planes"]] == ["rgb8", "u12z"]  # type: ignore[attr-defined]
        viewer.loop.stop()


def note(seen: list[dict[str, object]], data: bytes) -> bytes:
    seen.append(split(data)[0])
    return data


def test_a_jpeg_that_was_not_agreed_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _, jpeg = compression.squeeze("image", np.zeros((16, 24, 3), np.uint8))
    monkeypatch.setattr(compression, "simplejpeg", None)
    with pytest.raises(ProtocolError, match="not agreed on"):
        stretch("image", "jpeg", jpeg, 16, 24)


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
    monkeypatch.setattr("addon.live.channel.SharedMemory", Elsewhere)
    with throttled(server, 16) as port:
        viewer = Painter(LiveLoop(Address(f"ws://127.0.0.1:{port}/live", "token"), settle=False))
        viewer.until(lambda: viewer.pictures)
        link = viewer.loop._link
        assert link is not None and link.speed is not None
        viewer.until(lambda: link.speed is not None and link.speed.is_slow)
        assert not link.is_near
        seen, sent = len(viewer.pictures), viewer.loop.statistics.bytes_sent
        viewer.key = "next"
        viewer.until(lambda: len(viewer.pictures) > seen)
        assert viewer.loop.statistics.bytes_sent - sent < SIDE * SIDE
        viewer.loop.stop()


def test_a_server_here_that_shares_no_memory_gets_plain_planes(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("addon.live.channel.SharedMemory", Elsewhere)
    # the server may wait for a processor while it is measured
    monkeypatch.setattr(
        "addon.transport.link_speed.FAST", 10e6
    )  # the server may wait for a processor while it is measured
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


def test_depth_keeps_twelve_bits_exactly() -> None:
    depth = np.random.default_rng(1).integers(0, 65536, (40, 24), np.uint16)
    depth[0, :2] = 0, 65535
    encoding, data = compression.squeeze("inverse_depth", depth)
    back = stretch("inverse_depth", encoding, data, 40, 24)
    assert (back >> 4 == depth >> 4).all() and back[0, :2].tolist() == [0, 65535] and back.dtype == np.uint16


def test_what_lies_about_its_size_is_refused_before_it_is_made() -> None:
    _, jpeg = compression.squeeze("image", np.zeros((16, 24, 3), np.uint8))
    _, depth = compression.squeeze("inverse_depth", np.zeros((2048, 2048), np.uint16))
    assert len(depth) < 50_000, "eight megabytes in a few"
    for encoding, data in (("jpeg", jpeg), ("jpeg", jpeg[:40]), ("jpeg", b"no"), ("u12z", depth), ("u12z", depth[:9])):
        with pytest.raises(ProtocolError):
            stretch("inverse_depth", encoding, data, 16, 16)
