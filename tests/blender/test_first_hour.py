"""What a person meets in the first hour: quad view, other workspaces, the gallery, gizmos, the search. No bpy."""

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from tests.blender.live_session import Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window

BEGIN = """
part = lambda path: importlib.import_module("bl_ext.user_default.draftglass.addon." + path)
editors, gallery, hud, words = (part(path) for path in
    ("blender.display.editors", "blender.pictures.gallery", "blender.display.hud", "live.hud_words"))
settings.size = 64
def quadrants():
    return [r for r in bpy.context.area.regions if r.type == "WINDOW"]
"""
FOLLOWED = "[number for number, r in enumerate(quadrants()) if r.as_pointer() == live.session().region]"
SEEN_IN = "[a.spaces.active.image.name for a in bpy.context.window.screen.areas if a.type == 'IMAGE_EDITOR']"
Z_AXIS = "[round(255 * value) for value in bpy.context.preferences.themes[0].user_interface.axis_z[:3]]"


@pytest.fixture
def live(window: Window, shots: Path, tmp_path: Path) -> Iterator[Live]:
    """Live, started and at rest, in the default scene."""
    with Server(tmp_path, STAND_IN) as server:
        found = Live(window, shots)
        found.connect_to(server)
        window.run(BEGIN)
        window.run("bpy.ops.draftglass.start()")
        found.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0)
        found.rest()
        yield found


def drag_in(live: Live, number: int, by: tuple[int, int]) -> None:
    """Orbit in one quadrant."""
    shape = "[r.x, r.y, r.width, r.height]"
    x, y, width, height = live.window.run(f"[{shape} for r in quadrants()][{number}]")
    first = live.window.run(f"[{shape} for r in quadrants()][0]")  # which the rectangle is of
    left, top, _, _ = live.window.rectangle("VIEW_3D")
    bottom = top + first[3] + first[1]  # the screen's row of the window's lowest
    live.window.screen.drag((left - first[0] + x + width // 2, bottom - y - height // 2), by)
    live.window.catch_up()


@pytest.mark.slow
def test_the_first_hour(live: Live) -> None:
    run, until = live.window.run, live.window.until

    # Quad view: the quadrant that is turned is followed.
    run("bpy.context.space_data.show_region_ui = False\nbpy.ops.screen.region_quadview()")
    live.window.catch_up()
    live.rest()
    free = run("[n for n, r in enumerate(quadrants()) if r.data.view_perspective == 'PERSP']")[0]
    live.shot("quad view")
    sent = live.stats()["frames_sent"]
    until(f"{FOLLOWED} == [{free}]")  # not the front view, which has the place of the whole one
    drag_in(live, free, (60, 20))
    until(f"{FOLLOWED} == [{free}]")
    live.wait_for("a frame of that quadrant", lambda stats: stats["frames_sent"] > sent)
    other = next(number for number in range(4) if number != free)
    run(f"quadrants()[{other}].data.view_location.x += 1")  # which the middle button does not turn
    until(f"{FOLLOWED} == [{other}]")
    drag_in(live, free, (-60, -20))
    until(f"{FOLLOWED} == [{free}]")
    run("bpy.ops.screen.region_quadview()")
    live.rest()

    # A workspace without the picture says so, and has a way to it.
    run("bpy.context.window.workspace = bpy.data.workspaces['Modeling']")
    until("bpy.context.window.workspace.name == 'Modeling' and not editors.is_seen()")
    live.rest()
    assert run("bpy.ops.draftglass.show_picture.poll()")
    run("bpy.context.space_data.show_region_ui = True")
    live.window.catch_up()
    run("next(r for r in bpy.context.area.regions if r.type == 'UI').active_panel_category = 'Draftglass'")
    live.window.catch_up()
    live.shot("another workspace")
    run("bpy.ops.draftglass.show_picture()")
    until("editors.is_seen()")
    live.window.catch_up()
    live.shot("the picture there")
    assert not run("bpy.ops.draftglass.show_picture.poll()")
    run("bpy.context.window.workspace = bpy.data.workspaces['Layout']")
    until("bpy.context.window.workspace.name == 'Layout'")
    live.rest()

    # A picture of the gallery is opened beside the live one, and leaves with its editor.
    run("bpy.ops.draftglass.open_picture()")
    live.window.catch_up()
    assert run("len(bpy.context.window_manager.windows)") == 2, "it has a window of its own"
    assert run(SEEN_IN) == ["Draftglass"], "the live picture is not seen any more"
    assert run("[i.name for i in bpy.data.images if i.use_fake_user]") == ["Draftglass"]
    run("w = bpy.context.window_manager.windows[1]\n"
        "with bpy.context.temp_override(window=w):\n    bpy.ops.wm.window_close()")  # fmt: skip
    until("len(bpy.context.window_manager.windows) == 1")
    live.rest()

    # The overlay is split in the middle, and gizmos lie above it.
    run("bpy.context.space_data.show_region_ui = False\n"
        "bpy.ops.wm.tool_set_by_id(name='builtin.move')\n"
        "cube = bpy.data.objects['Cube']\nbpy.context.view_layer.objects.active = cube\ncube.select_set(True)\n"
        "bpy.context.space_data.region_3d.view_location.x = -3\n"
        "bpy.context.scene.draftglass_overlay.show = True")  # fmt: skip
    live.rest()
    live.window.catch_up(8)
    shown = live.area("VIEW_3D", "overlay").astype(int)
    middle = shown.shape[1] // 2
    blue = numpy.abs(shown - numpy.array(run(Z_AXIS))).max(axis=2) < 40
    assert blue[:, middle + 8 :].sum() > 30, "the picture covers the gizmo"
    run("bpy.context.scene.draftglass_overlay.show = False")

    # An engine that draws no drafts is named, and no new picture promised.
    run("bpy.context.scene.render.engine = 'CYCLES'\nbpy.context.space_data.shading.type = 'RENDERED'")
    until("words.status(hud.facts()).words.startswith('Cycles')")
    assert run("words.status(hud.facts()).tone") == "bad"
    live.window.catch_up()
    live.shot("Cycles")
    run("bpy.context.space_data.shading.type = 'SOLID'")
    live.rest()

    # The search: live first, the server's maintenance after it.
    run("bpy.ops.draftglass.stop()")
    left, top, width, height = live.window.rectangle("VIEW_3D")
    live.window.screen.move_to(left + width // 2, top + height // 2)
    live.window.catch_up()
    live.window.screen.key("F3")
    live.window.catch_up()
    live.window.screen.run("xdotool", "type", "--delay", "80", "draftglass")
    live.window.catch_up(8)
    live.shot("search")
    live.window.screen.key("Return")
    until("live.is_running()")
    assert "Traceback" not in live.window.log.read_text(errors="replace")
