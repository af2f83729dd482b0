"""Memory stays flat over 2,000 frames, measured on a server process with the real engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from addon.geometry.camera import Camera
from addon.wire import Frame, Picture, Request, Style
from tests.plain.geometry.scene import BOX, GROUND, drawn, perspective, placed
from tests.plain.server.rig import Client, Spawned, make_request, wait_ready

FRAMES = 2000
BATCH = 50
WARM = 40 * BATCH
"""Frames until the C library's heaps are as large as a client this hurried ever makes them: by 20 MB, once."""
ALLOWED = 8 * 2**20
"""2 MB were seen; a leak of every draft would be 380 MB, of one in forty 10 MB, and 4 KB a frame are found too."""


def flood(client: Client, first: int, frames: int) -> int:
    """Send ``frames`` requests in batches, as a hurried client does; return how many became pictures."""
    pictures = 0
    for start in range(first, first + frames, BATCH):
        for number in range(start, start + BATCH):
            client.send(make_request(number, side=128, draft=256))
        answers = [client.answer() for _ in range(BATCH)]
        pictures += sum(isinstance(answer, Picture) for answer in answers)
        assert {answer.id for answer in answers} == set(range(start, start + BATCH))
    return pictures


def test_memory_is_flat_over_2000_frames(tmp_path: Path, checkpoint: Path) -> None:
    with Spawned(tmp_path, "--model", str(checkpoint), "--device", "cpu") as server:
        address = server.address()
        wait_ready(address)
        process = psutil.Process(server.process.pid)
        with address.client() as client:
            flood(client, 0, WARM)
            before = process.memory_info().rss
            assert flood(client, WARM, FRAMES) >= FRAMES / BATCH
            assert process.memory_info().rss - before < ALLOWED


STEADY_WARM, STEADY_ALLOWED = 500, 12 * 2**20
"""2,000 kept pictures of this size, with their planes, would be 40 MB."""


def steady(number: int) -> Request:
    """A picture that builds on the one before it, from an eye that goes round a box which moves now and then."""
    angle, offset = number / 12, float(number // 40 % 2)
    camera = Camera.of(placed((6 * np.sin(angle), -6 * np.cos(angle), 0.5), angle), perspective())
    inverse, ids = drawn(camera, (offset, 0.0, 0.0))
    near, world = 1 / float(inverse.max()), np.eye(4)
    world[0, 3] = offset
    plane = np.round(inverse * near * 65535).astype(np.uint16)
    image = np.array([[120, 160, 220], [90, 140, 70], [170, 90, 60]], np.uint8)[ids]
    matrices = camera.view.tolist(), camera.projection.tolist()
    frame = Frame(number, image, plane, near, *matrices, ids=ids, objects=[(GROUND, np.eye(4)), (BOX, world)])
    style = Style("a castle", steps=1, strength=0.9, steady=1.0, width=64, height=64)
    return Request(frame, style, after=number - 1 if number else None)


@pytest.mark.slow
def test_memory_is_flat_over_2000_steady_frames(tmp_path: Path, checkpoint: Path) -> None:
    with Spawned(tmp_path, "--model", str(checkpoint), "--device", "cpu") as server:
        address = server.address()
        wait_ready(address)
        process, used = psutil.Process(server.process.pid), []
        with address.client() as client:
            for number in range(STEADY_WARM + FRAMES):
                client.send(steady(number))
                answer = client.answer()
                assert isinstance(answer, Picture) and answer.after == (number - 1 if number else None)
                if number % STEADY_WARM == STEADY_WARM - 1:
                    used.append(process.memory_info().rss)
        print("MB:", [round(each / 2**20, 1) for each in used])
        assert used[-1] - used[0] < STEADY_ALLOWED
