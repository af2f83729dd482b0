"""Pictures stuck to the scene in a real Blender: undo, save, reopen, all round, by the mouse and the keys."""

from pathlib import Path

from tests.blender.live_session import Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window

BEGIN = """
import zlib
import numpy as np
jobs = importlib.import_module("bl_ext.user_default.draftglass.addon.blender.stick_ui.jobs")
def texels():
    note = bpy.data.objects["Cube"].get("draftglass_stick")
    if note is None or note.get("image") is None:
        return 0
    values = np.empty(len(note["image"].pixels), np.float32)
    note["image"].pixels.foreach_get(values)
    return zlib.crc32((values * 255 + 0.5).astype(np.uint8).tobytes())
bpy.ops.object.select_all(action="DESELECT")
bpy.context.scene.draftglass_stick.texture_size = "512"
"""


def test_stuck_undone_saved_and_all_round(window: Window, shots: Path, tmp_path: Path) -> None:
    with Server(tmp_path, STAND_IN) as server:
        live = Live(window, shots)
        run = live.window.run
        run(BEGIN)
        live.connect_to(server)
        run("bpy.ops.draftglass.start()")
        live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 120)
        live.orbit()
        live.rest()
        run("bpy.ops.ed.undo_push(message='before')")
        assert run("list(bpy.ops.draftglass.stick('EXEC_DEFAULT', True))") == ["FINISHED"]
        first = run("texels()")
        assert first and run("bpy.context.space_data.shading.color_type") == "TEXTURE"
        live.rest()
        live.shot("stuck")
        live.orbit((150, 20))
        live.rest()
        assert run("list(bpy.ops.draftglass.stick('EXEC_DEFAULT', True))") == ["FINISHED"]
        second = run("texels()")
        assert second != first
        left, top, width, height = window.rectangle("VIEW_3D")
        window.screen.move_to(left + width // 2, top + height // 2)
        window.screen.key("ctrl+z")
        window.until(f"texels() == {first}")
        window.screen.key("ctrl+shift+z")
        window.until(f"texels() == {second}")
        run(f"bpy.ops.wm.save_as_mainfile(filepath={str(tmp_path / 'stuck.blend')!r})")
        run(f"bpy.ops.wm.open_mainfile(filepath={str(tmp_path / 'stuck.blend')!r})")
        window.until(f"texels() == {second}")
        live.wait_for("live in the file", lambda stats: stats["state"] == "live", 120)
        live.rest()
        run("bpy.context.scene.draftglass_stick.views = 3")
        assert run("list(bpy.ops.draftglass.stick_around('EXEC_DEFAULT', True))") == ["RUNNING_MODAL"]
        window.until("jobs.finished() is not None and len(jobs.finished().done) > 0", 300)
        live.rest()
        run("bpy.ops.draftglass.stick_coverage()")
        window.catch_up()
        live.shot("coverage")
        run("bpy.ops.draftglass.stick_coverage()")
        assert run("texels()") != second
        window.screen.key("ctrl+z")
        window.until(f"texels() == {second}")
