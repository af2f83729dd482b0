"""When the system gives few or no more file numbers: no heartbeat raises, and live goes on with what there is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.live import LiveLoop
from addon.problems import LiveState
from tests.plain.live.real_server import inverting
from tests.plain.live.servers import Viewer

resource = pytest.importorskip("resource")  # not on Windows


@contextlib.contextmanager
def left(count: int) -> Iterator[list[int]]:
    """``count`` file numbers, no more. Yields those that are taken for that: closing one gives one back."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/dev/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, limits[1]))
    taken: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(count):
            os.close(taken.pop())
        yield taken
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for number in taken:
            os.close(number)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_live_works_with_few_file_numbers(count: int, tmp_path: Path) -> None:
    with inverting() as (address, _), left(count):
        viewer = Viewer(LiveLoop(address, rest=0.1))
        viewer.until(lambda: len(viewer.pictures) >= 2)
        viewer.loop.stop()
    assert viewer.loop.statistics.attempts == 1


def test_without_any_it_waits_for_one(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("token")
    with inverting() as (address, _), left(0) as taken:
        viewer = Viewer(LiveLoop(type(address)(address.url, token_file=token), rest=0.1))
        viewer.until(lambda: viewer.loop.statistics.attempts == 2)
        assert viewer.loop.state is LiveState.FAILED or viewer.loop.state is LiveState.WAITING
        assert viewer.loop.problem is not None
        os.close(taken.pop())
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()
