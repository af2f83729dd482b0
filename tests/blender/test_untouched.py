"""The file is the user's: what is done with live on leaves what the same leaves with live off, property by property.

The undo history too. One round, or an hour of them; DRAFTGLASS_SOAK_MINUTES takes another time.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.blender import all_data
from tests.blender.live_session import Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window

UNDO_STEPS = """
import os, re, tempfile
def undo_steps():
    with tempfile.TemporaryFile() as kept:
        outside = os.dup(1)
        os.dup2(kept.fileno(), 1)
        try:
            bpy.context.window_manager.print_undo_steps()
            __import__("ctypes").CDLL(None).fflush(None)
        finally:
            os.dup2(outside, 1)
            os.close(outside)
        kept.seek(0)
        return re.sub(r"\\{?0x[0-9a-f]+\\}?", "", kept.read().decode())
"""
PREPARE = """
settings.size = 64
scene = bpy.context.scene
scene.render.engine = "BLENDER_WORKBENCH"
other = bpy.data.objects.new("Other camera", bpy.data.cameras.new("Other camera"))
other.location, other.rotation_euler = (0, -9, 1), (1.5, 0, 0)
scene.collection.objects.link(other)
bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
bpy.context.view_layer.update()
"""
# Each is done and then undone by the next, so that a round ends where it began.
LOCAL = "bpy.ops.object.select_all(action='SELECT')\nbpy.ops.view3d.localview(frame_selected=False)"
VIEW = "bpy.context.space_data.region_3d.view_perspective"
ROUND = (
    "bpy.ops.ed.undo_push(message='round')",
    "bpy.context.space_data.shading.type = 'WIREFRAME'",
    "bpy.context.space_data.shading.type = 'RENDERED'",
    "bpy.context.space_data.shading.type = 'SOLID'",
    "bpy.context.space_data.shading.light = 'MATCAP'",
    "bpy.context.space_data.shading.light = 'STUDIO'",
    "bpy.context.space_data.shading.show_xray = True",
    "bpy.context.space_data.shading.show_xray = False",
    "bpy.context.space_data.overlay.show_overlays = False",
    "bpy.context.space_data.overlay.show_overlays = True",
    f"{VIEW} = 'CAMERA'",
    "bpy.context.scene.camera = bpy.data.objects['Other camera']",
    "bpy.ops.ed.undo_push(message='other camera')",
    "bpy.context.space_data.shading.type = 'RENDERED'",
    "bpy.context.scene.camera = None",
    "bpy.context.scene.camera = bpy.data.objects['Camera']",
    "bpy.context.space_data.use_local_camera = True\nbpy.context.space_data.camera = bpy.data.objects['Other camera']",
    "bpy.context.space_data.use_local_camera = False\nbpy.context.space_data.shading.type = 'SOLID'",
    f"{VIEW} = 'PERSP'",
    "bpy.ops.screen.region_quadview()",
    "bpy.ops.screen.region_quadview()",
    LOCAL,
    LOCAL,
    "bpy.context.window.workspace = bpy.data.workspaces['Modeling']",
    "bpy.context.window.workspace = bpy.data.workspaces['Shading']",
    "bpy.context.window.workspace = bpy.data.workspaces['Layout']",
    "bpy.data.objects['Cube'].location.x = 2\nbpy.ops.ed.undo_push(message='moved')",
    "bpy.ops.ed.undo()",
    "bpy.ops.ed.redo()",
    "bpy.data.objects['Cube'].location.x = 0\nbpy.ops.ed.undo_push(message='moved back')",
)
IN_MATERIAL_PREVIEW = ("bpy.context.space_data.shading.type = 'MATERIAL'",)


@pytest.fixture
def live(window: Window, shots: Path, tmp_path: Path) -> Iterator[Live]:
    """A file that live was started in before, saved and open, with two cameras; live is off."""
    with Server(tmp_path, STAND_IN) as server:
        found = Live(window, shots)
        found.connect_to(server)
        window.run(Path(all_data.__file__).read_text("utf-8"))
        window.run(UNDO_STEPS)
        window.run(PREPARE)
        window.run("bpy.ops.draftglass.start()")
        found.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0)
        found.rest()
        window.run("bpy.ops.draftglass.stop()")
        window.run(f"path = {str(tmp_path / 'file.blend')!r}\nbpy.ops.wm.save_as_mainfile(filepath=path)")
        yield found


def open_again(live: Live) -> None:
    """The file as it was saved, its undo history empty."""
    live.window.run("bpy.ops.wm.open_mainfile(filepath=path)")
    live.window.catch_up()


def round_of(live: Live, steps: tuple[str, ...], wait: Callable[[], object]) -> None:
    for step in steps:
        live.window.run(step)
        wait()


def compare(live: Live, steps: tuple[str, ...], seconds: float) -> None:
    """Do the steps once with live off, and with live on as often as the time allows."""
    run = live.window.run
    open_again(live)
    round_of(live, steps, live.window.catch_up)
    undo = run("without = all_data()\nundo_steps()")
    assert "moved back" in undo, undo
    open_again(live)
    run("bpy.ops.draftglass.start()")
    began, sent = time.monotonic(), 0
    while not sent or time.monotonic() - began < seconds:
        round_of(live, steps, live.rest)
        assert not sent or live.stats()["frames_sent"] > sent
        if not sent:
            assert run("undo_steps()") == undo, "live is in the undo history"
        sent = live.stats()["frames_sent"]
    assert sent > len(steps) / 3, f"{sent} frames for {len(steps)} steps: live did not see them"
    run("bpy.ops.draftglass.stop()")
    found = run("differences(without, all_data())[:40]")
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_a_round_leaves_all_data_and_the_undo_history_as_without_live(live: Live) -> None:
    compare(live, ROUND, 0)


@pytest.mark.slow
def test_rounds_for_an_hour(live: Live) -> None:
    minutes = float(os.environ.get("DRAFTGLASS_SOAK_MINUTES", "60"))
    compare(live, (*ROUND[:3], *IN_MATERIAL_PREVIEW, *ROUND[3:]), 60 * minutes)
