"""Pictures kept, brought back by a drop, and recorded, in a real Blender."""

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from PIL import Image

from addon.keeping import read_recipe, read_request
from tests.blender.live_session import Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window

BEGIN = """
gallery = importlib.import_module("bl_ext.user_default.draftglass.addon.blender.pictures.gallery")
record = importlib.import_module("bl_ext.user_default.draftglass.addon.blender.pictures.record")
def matrix():
    return [list(row) for row in bpy.context.space_data.region_3d.view_matrix]
"""
OPEN = """
space = bpy.context.space_data
space.show_region_ui = True
region = next(r for r in bpy.context.area.regions if r.type == "UI")
panel = bpy.types.DRAFTGLASS_PT_pictures_view3d
bpy.utils.unregister_class(panel)
panel.bl_options = set()  # open from the beginning
bpy.utils.register_class(panel)
"""
DROP = """
bpy.context.space_data.show_region_ui = True
onto = next(r for r in bpy.context.area.regions if r.type == {region!r})
with bpy.context.temp_override(region=onto):
    dropped = list(bpy.ops.wm.drop_import_file("INVOKE_DEFAULT", directory={folder!r}, files=[{{"name": {name!r}}}]))
dropped
"""
TAKE = "bpy.ops.draftglass.restore_file('INVOKE_DEFAULT', filepath={path!r})"


@pytest.fixture
def live(window: Window, shots: Path, tmp_path: Path) -> Iterator[Live]:
    """Live, started and at rest, which keeps to the test's folder."""
    with Server(tmp_path, STAND_IN) as server:
        found = Live(window, shots)
        window.run(BEGIN + f"bpy.context.scene.draftglass_keep.folder = {str(tmp_path / 'kept')!r}")
        found.connect_to(server)
        window.run("bpy.ops.draftglass.start()")
        found.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 120)
        found.rest()
        yield found


def test_kept_restored_and_recorded(live: Live, tmp_path: Path) -> None:
    run = live.window.run
    live.orbit()
    live.rest()
    there, prompt = run("matrix()"), run("settings.prompt")
    assert run("list(bpy.ops.draftglass.keep())") == ["FINISHED"]
    (path,) = (tmp_path / "kept").glob("*.png")
    recipe = read_recipe(path.read_bytes())
    assert recipe.settings["prompt"] == prompt and recipe.made["blender"] == run("bpy.app.version_string")
    request = read_request(path.read_bytes())
    assert request is not None
    with Image.open(path) as opened:  # the stand-in gives the draft back
        assert numpy.abs(numpy.asarray(opened).astype(int) - request.frame.image).mean() < 3
    assert run("len(gallery.entries()) >= 2 and gallery.entries()[0].kept")
    assert run("all(item[3] for item in gallery._items)"), "a picture has no thumbnail"

    # Somewhere else, with other settings; then the file is dropped on the sidebar.
    live.orbit((-170, 40))
    run("settings.prompt, settings.steps = 'something else', 1")
    live.rest()
    assert not numpy.allclose(run("matrix()"), there, atol=0.05)
    # Where Blender itself has a use for a PNG too, a menu asks.
    left, top, width, height = live.window.rectangle("VIEW_3D")
    live.window.screen.move_to(left + width // 2, top + height // 2)
    offered = run(DROP.format(region="UI", folder=str(path.parent), name=path.name))
    live.window.catch_up()
    live.shot("dropped")
    if offered == ["INTERFACE"]:
        live.window.screen.key("r")  # "Restore from Picture"
    live.window.until(f"settings.prompt == {prompt!r}")
    assert numpy.allclose(run("matrix()"), there, atol=1e-3), "the view did not return"
    live.rest()
    live.shot("restored")

    # A PNG that is none of ours goes where Blender puts it.
    Image.new("RGB", (32, 32), (200, 10, 10)).save(tmp_path / "other.png")
    objects = run("len(bpy.data.objects)")
    run(TAKE.format(path=str(tmp_path / "other.png")))
    live.window.until(f"len(bpy.data.objects) == {objects + 1}")  # not swallowed
    asked = run(DROP.format(region="WINDOW", folder=str(tmp_path), name="other.png"))
    assert asked != ["INTERFACE"], "a reference dropped on the viewport is asked about"
    live.window.until(f"len(bpy.data.objects) == {objects + 2}")
    run("bpy.context.space_data.show_region_ui = False")
    live.rest()

    # The panel, with the gallery.
    run(OPEN)
    live.window.catch_up()
    run("region.active_panel_category = 'Draftglass'\nregion.tag_redraw()")
    live.window.catch_up()
    live.shot("gallery")
    run("space.show_region_ui = False")

    # Recording, while the mouse orbits.
    run("bpy.context.scene.draftglass_keep.record_fps = 20\nbpy.ops.draftglass.record()")
    for by in ((120, 0), (-120, 20)):
        live.orbit(by)
    live.rest()
    recorded = run("record.recorder.count")
    assert recorded > 3
    run("bpy.ops.draftglass.record()")
    assert run("record.recorder.making"), "Blender waited for the video"
    live.window.until("not record.recorder.making", 900)
    live.shot("recorded")
    assert run("[record.recorder.failed, record.recorder.sentence]")[0] is False, run("record.recorder.sentence")
    (video,) = (tmp_path / "kept").glob("*.mp4")
    assert video.stat().st_size > 1000
    length = run(f"clip = bpy.data.movieclips.load({str(video)!r})\n[clip.frame_duration, list(clip.size), clip.fps]")
    assert length[0] > recorded and length[2] == pytest.approx(20)
    assert run("bpy.app.timers.is_registered(record.recorder._look)") is False, "a timer is left behind"
    assert live.stats()["state"] == "live"
