"""Two minutes of random edits with live on. ``python -m tests.blender.soak`` does it for longer."""

from pathlib import Path

import pytest

from tests.blender.live_session import Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.soak import Soak
from tests.blender.window import Window

SECONDS = 120


@pytest.mark.slow
def test_random_edits(window: Window, shots: Path, tmp_path: Path) -> None:
    with Server(tmp_path, STAND_IN) as server:
        live = Live(window, shots)
        live.connect_to(server)
        found = Soak(live, tmp_path, seed=7).run(SECONDS)
        live.shot("at the end")
    assert not found["troubles"], found
    assert found["actions"] > 20 and found["pictures_shown"] > 10, found
