"""*Render > Draftglass Animation* in a real Blender: beside Blender's own loop, to its end, and to Esc."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blender.live_session import Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window

BEGIN = """
import importlib
operators = importlib.import_module("bl_ext.user_default.draftglass.addon.blender.film.operators")
scene = bpy.context.scene
settings, film = scene.draftglass, scene.draftglass.film
settings.size, settings.settle_size, film.makes, scene.frame_current = 128, 0, "SEQUENCE", 7
film.steady = 0  # the stand-in for a server has no memory
def under_way():
    return any(one.bl_idname == "DRAFTGLASS_OT_animation" for w in bpy.context.window_manager.windows
               for one in w.modal_operators)
"""


@pytest.fixture
def live(window: Window, shots: Path, tmp_path: Path) -> Iterator[Live]:
    """A Blender that has a server, and keeps to the test's folder; live is off."""
    with Server(tmp_path, STAND_IN) as server:
        found = Live(window, shots)
        window.run(BEGIN + f"scene.draftglass_keep.folder = {str(tmp_path / 'kept')!r}")
        found.connect_to(server)
        yield found


def test_a_film_ends_by_itself_and_by_escape(live: Live, tmp_path: Path) -> None:
    window, folder = live.window, tmp_path / "kept" / "film"
    window.run("scene.frame_end = 4; bpy.ops.draftglass.animation()")
    window.until("not under_way()")
    assert window.run("operators.newest.state.value") == "done", window.run("operators.newest.sentence")
    assert sorted(path.name for path in folder.iterdir()) == [*(f"000{n}.png" for n in range(1, 5)), "film.json"]
    assert window.run("scene.frame_current") == 7

    window.run("scene.frame_end = 100000; bpy.ops.draftglass.animation()")
    window.until(f"under_way() and len(__import__('os').listdir({str(folder)!r})) > 7")
    live.shot("under way")
    left, top, width, height = window.rectangle("VIEW_3D")
    window.screen.move_to(left + width // 2, top + height // 2)
    window.screen.key("Escape")
    window.until("not under_way()")
    made = len(list(folder.glob("*.png")))
    assert 6 < made < 100000 and window.run("scene.frame_current") == 7
