"""The stages of a frame's way over the real server: none is missing, and the server hears of them."""

from __future__ import annotations

import statistics
import time
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest

from addon.live import Address, LiveLoop
from addon.live.statistics import TOLD
from addon.wire import Frame, Request, Style
from tests.plain.live.real_server import inverting
from tests.plain.live.servers import Viewer


@pytest.fixture
def server() -> Iterator[Address]:
    with inverting() as (address, _):
        yield address


def test_the_servers_metrics_hear_at_once_of_what_only_the_client_can_measure(
    server: Address,
) -> None:
    loop = LiveLoop(server, rest=0.1)
    viewer = Viewer(loop)
    for count in (1, 2):  # the moving frame and the settle frame, after which nothing is sent
        viewer.until(lambda: len(viewer.pictures) == count)  # noqa: B023
        loop.shown()
        loop.shown()
    url = server.url.replace("ws:", "http:").replace("/live", "/metrics")
    call = urllib.request.Request(url, headers={"Authorization": "Bearer token"})
    counted = [f'draftglass_stage_seconds_count{{stage="{stage}"}} 2.0' for stage in (*TOLD, "queue", "engine")]
    text, end = "", time.monotonic() + 30
    while not all(line in text for line in counted):
        assert time.monotonic() < end, text
        viewer.beat()
        with urllib.request.urlopen(call, timeout=60) as answer:
            text = answer.read().decode()
    assert len(viewer.sent) == 2
    loop.stop()


@pytest.mark.alone
def test_every_millisecond_of_a_frame_belongs_to_a_stage(server: Address) -> None:
    """From asking for the draft to the picture on show, as an onlooker sees it who knows nothing of the stages."""
    loop = LiveLoop(server, settle=False)
    image = np.zeros((256, 256, 3), np.uint8)
    missing: list[float] = []
    for key in range(12):
        want = None
        while want is None:
            want = loop.poll(key)
        began = time.perf_counter()
        time.sleep(0.003)  # the capture
        loop.send(Request(Frame(want.id, image), Style(width=256, height=256)))
        while loop.take_picture() is None:
            loop.poll(key)
        time.sleep(0.002)
        loop.shown()
        whole = (time.perf_counter() - began) * 1e3
        parts = [loop.statistics.newest[name] for name in ("capture", "wire", "queue", "engine", "reply", "display")]
        assert min(parts) >= 0
        missing.append(whole - sum(parts))
        assert loop.statistics.newest["capture"] >= 3 and loop.statistics.newest["display"] >= 2
    loop.stop()
    # Between the stages lie some lines of Python, which take a tenth of a millisecond on a busy processor.
    assert abs(statistics.median(missing)) < 0.5
