"""A server that Blender started itself and that hangs: said, ended, started again, and live goes on."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.blender.serving import STAND_IN
from tests.bpy.shapes import cube
from tests.bpy.test_out_of_the_way import beat_until, rest, start

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux says what a process does"),
]


@pytest.fixture
def live(scene: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Live with a server of its own that gives the draft back."""
    from addon.blender import registration
    from addon.blender.live import switch as live
    from addon.blender.server import process
    from addon.setup import ServerProcess, pulse

    registration.register()
    scene.draftglass.size, scene.draftglass.settle_size = 64, 0
    monkeypatch.setattr(process, "ServerProcess", functools.partial(ServerProcess, program=STAND_IN))
    monkeypatch.setattr(process, "user_folder", lambda: tmp_path)
    monkeypatch.setattr(pulse, "HUNG_SECONDS", 3.0)  # no less: a machine may stand still for a second
    chosen = SimpleNamespace(server_url="", token="", token_file="", server_python=sys.executable)
    monkeypatch.setattr(live, "preferences", lambda: chosen)
    yield live
    registration.unregister()


def test_it_is_ended_and_started_again(live: Any, scene: Any) -> None:
    start(live)
    rest(live)
    pid = live.process().pid
    os.kill(pid, signal.SIGSTOP)
    said: list[str] = []
    states: list[str] = []

    def started_again(stats: dict[str, Any]) -> bool:
        problem = live.problem()
        if problem is not None and (not said or said[-1] != problem.code):
            said.append(problem.code)
        if not states or states[-1] != stats["state"]:
            states.append(stats["state"])
        return live.process().pid not in (None, pid) and stats["state"] == "live"

    cube(scene, (0, 0, 0))
    beat_until(live, started_again)
    assert said in (["server_hung"], ["no_answer", "server_hung"]), said
    assert "starting" in states and "waiting" not in states[states.index("starting") :], states
    shown = live.stats()["pictures_shown"]
    cube(scene, (1, 0, 1))
    beat_until(live, lambda stats: stats["pictures_shown"] > shown)
    assert live.problem() is None


def test_busy_with_a_slow_picture_it_is_let_be(live: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.blender.server import process
    from addon.setup import ServerProcess

    slow = (*STAND_IN, "--delay", "6")
    monkeypatch.setattr(process, "ServerProcess", functools.partial(ServerProcess, program=slow))
    start(live)
    beat_until(live, lambda stats: stats["frames_sent"] > 0)
    pid = live.process().pid

    def shown(stats: dict[str, Any]) -> bool:
        assert live.problem() is None, live.sentence()
        return stats["pictures_shown"] > 0

    beat_until(live, shown)
    assert live.process().pid == pid and live.stats()["lost"] == 0
