"""Memory stays flat over 2,000 frames, measured on a server process with the real engine."""

from __future__ import annotations

from pathlib import Path

import psutil

from addon.wire import Picture
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
