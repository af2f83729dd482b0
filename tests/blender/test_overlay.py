"""The picture over the viewport, in a real Blender: its colours, its place, its line dragged, and what it costs."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from tests.blender.live_session import Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window

# Nothing but the scene is on the screen: what is seen in the viewport can be told from the picture's pixels.
PLAIN = """
def overlay():
    return bpy.context.scene.draftglass_overlay
space = bpy.context.space_data
space.overlay.show_overlays = False
space.show_region_toolbar = space.show_region_header = space.show_region_tool_header = False
space.shading.light, space.shading.color_type = "FLAT", "OBJECT"
space.shading.background_type, space.shading.background_color = "VIEWPORT", (0.05, 0.2, 0.6)
bpy.data.objects["Cube"].color = (0.8, 0.1, 0.02, 1)
bpy.data.objects["Cube"].scale = (2, 2, 2)
settings.prompt, settings.size = "a negative of a castle", 512
overlay().split = 0
bpy.ops.ed.undo_push(message="plain")
"""
PLACE = """
from mathutils import Vector
def seen(x, y, z):
    from bpy_extras.view3d_utils import location_3d_to_region_2d
    region = next(r for r in bpy.context.area.regions if r.type == "WINDOW")
    return list(location_3d_to_region_2d(region, bpy.context.space_data.region_3d, Vector((x, y, z))))
"""
COUNT = """
drawn = []
count = bpy.types.SpaceView3D.draw_handler_add(lambda: drawn.append(1), (), "WINDOW", "POST_PIXEL")
"""
# The stand-in makes a picture of 512 pixels of a viewport of a little more: an edge may be off by the blur of that.
NEAR = 3
EDGE = 60
"""Pixels in which there are headers, and what is cut off for the picture's proportions."""
CUBE = numpy.array((232, 90, 39))
"""The cube's colour on the screen."""


@pytest.fixture
def live(window: Window, shots: Path, tmp_path: Path) -> Iterator[Live]:
    """Live at rest, with an engine that inverts the draft's colours and takes its time."""
    with Server(tmp_path, (*STAND_IN, "--delay", "0.8")) as server:
        found = Live(window, shots)
        window.run(PLAIN + PLACE)
        found.connect_to(server)
        window.run("bpy.ops.draftglass.start()")
        found.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0)
        found.rest()
        yield found


def viewport(live: Live, name: str) -> numpy.ndarray:
    """What the screen shows in the 3D View, top row first, once Blender has smoothed the edges, which it does over
    several redraws."""
    live.window.catch_up()
    rectangle = live.window.rectangle("VIEW_3D")
    assert rectangle is not None
    left, top, width, height = rectangle
    before = None
    for _ in range(20):
        picture = live.shot(name)[top : top + height, left : left + width].astype(int)
        if before is not None and (picture == before).all():
            return picture
        before = picture
        live.window.catch_up()  # or two pictures of one redraw are taken for the last two
    raise AssertionError(f"{name}: the 3D View went on changing")


def commonest_two(pixels: numpy.ndarray) -> list[tuple[int, ...]]:
    """The colours that most pixels have: background and cube."""
    colours, counts = numpy.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    return [tuple(int(value) for value in colours[n]) for n in counts.argsort()[:-3:-1]]


def outline(pixels: numpy.ndarray, background: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is not background, away from the edges, which the picture need not cover."""
    inner = pixels[EDGE:-EDGE, EDGE : -2 * EDGE]  # without the buttons on the right
    rows, columns = numpy.nonzero(numpy.abs(inner - background).max(axis=2) > 60)
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_colours_place_and_the_line(live: Live) -> None:
    run = live.window.run
    scene = viewport(live, "the scene")
    around, cube = commonest_two(scene)
    live.rest(quiet_s=5)  # on a slow machine the editor's areas may still find their sizes
    sent, drafts = live.stats()["frames_sent"], run("live.picture().request.frame.id")
    run("overlay().show = True")
    live.rest(quiet_s=3)
    picture = viewport(live, "overlay")
    assert live.stats()["frames_sent"] == sent, "the overlay was taken for a change of the view"

    # Colours: the inverted scene's, within 3 of 255.
    assert commonest_two(picture)[0] == pytest.approx([255 - value for value in around], abs=3)
    assert commonest_two(picture)[1] == pytest.approx([255 - value for value in cube], abs=3)
    # Place: the cube is where it was.
    assert outline(picture, commonest_two(picture)[0]) == pytest.approx(outline(scene, around), abs=NEAR)
    # The draft has no overlay in it: its colours are the scene's.
    run("bpy.data.objects['Cube'].location.z = 0.3")
    live.wait_for("a new frame", lambda stats: stats["frames_sent"] > sent)
    live.rest()
    assert run("live.picture().request.frame.id") > drafts
    corner = run("live.picture().request.frame.image[4, 4].tolist()")
    assert corner == pytest.approx(around, abs=3), "the overlay got into the draft"
    run("bpy.data.objects['Cube'].location.z = 0")
    live.rest()

    # The line, dragged with the mouse from the left edge to the middle; then by undo and redo.
    left, top, width, height = live.window.rectangle("VIEW_3D")
    run("bpy.ops.ed.undo_push(message='before')")
    sent = live.stats()["frames_sent"]
    for _ in range(3):  # Blender may miss a drag
        live.window.screen.drag((left + 14, top + height // 2), (width // 2 - 14, 25), button=1)
        live.window.catch_up()
        if run("overlay().split"):
            break
    assert run("overlay().split") == pytest.approx(0.5, abs=0.02), "the line did not follow the mouse"
    halves = viewport(live, "split")
    middle = width // 2
    assert tuple(halves[EDGE, middle - 30]) == pytest.approx(around, abs=1)
    assert tuple(halves[EDGE, middle + 30]) == pytest.approx([255 - value for value in around], abs=3)
    live.rest()
    assert live.stats()["frames_sent"] == sent, "dragging the line sent frames"
    run("bpy.ops.ed.undo()")
    assert run("[overlay().split, live.state()]") == [0.0, "live"]
    run("bpy.ops.ed.redo()")
    assert run("overlay().split") == pytest.approx(0.5, abs=0.02)

    # By keyboard and mouse, where gizmos are off.
    run("bpy.context.space_data.show_gizmo = False")
    live.window.screen.move_to(left + middle, top + height // 2)
    run("bpy.ops.draftglass.drag_split('INVOKE_DEFAULT')")
    live.window.screen.move_to(left + width // 4, top + height // 2)
    live.window.catch_up()
    live.window.screen.click(left + width // 4, top + height // 2)
    live.window.catch_up()
    assert run("overlay().split") == pytest.approx(0.25, abs=0.02)

    # Half of it: the scene shows through.
    run("overlay().split, overlay().opacity = 0, 0.5")
    mixed = viewport(live, "half")[EDGE, 100]
    low, high = (numpy.minimum, numpy.maximum)
    inverted = 255 - numpy.array(around)
    assert (mixed >= low(around, inverted) - 3).all() and (mixed <= high(around, inverted) + 3).all()
    assert numpy.abs(mixed - around).max() > 10 and numpy.abs(mixed - inverted).max() > 10

    # Nothing is left of it when live stops.
    run("overlay().opacity = 1\nbpy.context.space_data.show_gizmo = True\nbpy.ops.draftglass.stop()")
    middle_of = (slice(height // 4, 3 * height // 4), slice(width // 4, 3 * width // 4))  # no button that the mouse lit
    assert numpy.abs(viewport(live, "stopped") - scene)[middle_of].max() <= 3


def test_it_stays_aligned(live: Live) -> None:
    run = live.window.run
    run("overlay().show = True\nbpy.context.scene.camera.data.show_passepartout = False")
    for name, act in {
        "viewport resized": "",
        "square": "settings.aspect = 'SQUARE'",
        "camera view": "bpy.ops.view3d.view_camera()",
        "the camera's frame": "settings.aspect = 'CAMERA'",
        "camera view zoomed": "bpy.context.space_data.region_3d.view_camera_zoom = -5",
        "orthographic": "bpy.ops.view3d.view_camera()\nbpy.ops.view3d.view_axis(type='FRONT')",
    }.items():
        if name == "viewport resized":  # by its border
            left, top, width, height = live.window.rectangle("VIEW_3D")
            live.window.screen.drag((left + width + 1, top + height // 2), (-150, 0), button=1)
            live.window.catch_up(10)
            assert live.window.rectangle("VIEW_3D")[2] < width - 100
        else:
            run(act)
        live.rest()
        run("overlay().show = False")
        scene = viewport(live, f"{name}, the scene")
        run("overlay().show = True")
        picture = viewport(live, name)
        inside = numpy.abs(picture - scene).max(axis=2) > 10  # what the picture covers
        cube = (numpy.abs(scene - CUBE).max(axis=2) < 40) & inside
        inverse = numpy.abs(picture - (255 - CUBE)).max(axis=2) < 40
        both = (cube & inverse).sum() / max(1, (cube | inverse).sum())
        assert cube.sum() > 500, f"{name}: there is no cube"
        assert both > 0.9, f"{name}: the overlay's cube covers {both:.2f} of the scene's"


def test_numbers_old_pictures_and_progress(live: Live) -> None:
    run = live.window.run
    run(
        "hud = importlib.import_module('bl_ext.user_default.draftglass.addon.blender.display.hud')\n"
        "words = importlib.import_module('bl_ext.user_default.draftglass.addon.live.hud_words')"
    )
    run("overlay().show = overlay().hud = True\nsettings.settle_steps = 8\nsaid = set()")
    run("live.on_beat.append(lambda: said.add(words.status(hud.facts()).words))")
    run("bpy.data.objects['Cube'].location.x = 1.5")
    live.window.until("any(words.startswith('Outdated picture, ') for words in said)")
    live.shot("old picture")
    live.window.until("any(words.startswith('Settling: step ') for words in said)")
    live.shot("settling")
    live.rest()
    live.shot("settled")
    told = run("sorted(said)")
    assert any(words.startswith("Outdated picture, making a new one") for words in told), told
    assert len([words for words in told if words.startswith("Settling: step ")]) >= 2, told
    assert run("words.status(hud.facts()).words") == "Settled"
    lines = run("words.numbers(hud.facts())")
    assert "frames/s" in lines[0] and "dropped" in lines[0] and "stand-in" in lines[0]
    assert all(stage in lines[1] for stage in ("capture", "wire", "engine", "reply", "display")), lines

    # At rest the overlay costs nothing: no redraw of the viewport, nothing sent. Before long, and then for good.
    for left in reversed(range(10)):
        run(COUNT)
        before = live.stats()["frames_sent"]
        time.sleep(2)
        drawn = run("bpy.types.SpaceView3D.draw_handler_remove(count, 'WINDOW')\nlen(drawn)")
        if not drawn and live.stats()["frames_sent"] == before:
            break
        assert left, f"at rest the viewport was redrawn {drawn} times"
