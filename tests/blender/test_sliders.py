"""Sliders dragged with live on: each once, and 10,000 moves."""

from pathlib import Path

import pytest

from tests.blender.live_session import Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.sliders import SLIDERS, soak
from tests.blender.window import Window


def dragged(window: Window, shots: Path, tmp_path: Path, moves: int, shading: str = "SOLID") -> None:
    with Server(tmp_path, STAND_IN) as server:
        live = Live(window, shots)
        live.connect_to(server)
        found = soak(live, moves, shading)
        live.shot("at the end")
    assert not found["troubles"], found
    assert found["moves"] >= moves and found["pictures_shown"] > 3, found


@pytest.mark.slow
def test_each_slider_once(window: Window, shots: Path, tmp_path: Path) -> None:
    dragged(window, shots, tmp_path, len(SLIDERS))


@pytest.mark.slow
@pytest.mark.parametrize("shading", ["SOLID", "MATERIAL"])
def test_ten_thousand_moves(window: Window, shots: Path, tmp_path: Path, shading: str) -> None:
    dragged(window, shots, tmp_path, 10_000, shading)
