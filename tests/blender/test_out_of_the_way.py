"""Live while Blender is at something else: rendering, playing, moving, sculpting, in background."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blender.live_session import EXTENSION, Live
from tests.blender.places import Place
from tests.blender.screen import environment
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window

RENDERING = "bpy.app.is_job_running('RENDER')"
BACKGROUND = f"""
import bpy, importlib
before = {{name: len(getattr(bpy.app.handlers, name)) for name in dir(bpy.app.handlers)
          if isinstance(getattr(bpy.app.handlers, name), list)}}
live = importlib.import_module("{EXTENSION}.addon.blender.live.switch")
editors = importlib.import_module("{EXTENSION}.addon.blender.display.editors")
assert not bpy.ops.draftglass.start.poll(), "live can be started where there is nothing to be seen"
assert not live.running() and live.state() == "stopped"
assert not bpy.app.timers.is_registered(live._heartbeat)
assert not [h for name in before for h in getattr(bpy.app.handlers, name) if "draftglass" in h.__module__]
window = bpy.context.window_manager.windows[0]
area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
areas = len(window.screen.areas)
editors.open_editor(window, area, 64, 64)
assert len(window.screen.areas) == areas
print("ALL IS WELL")
"""


@pytest.fixture
def live(window: Window, shots: Path, tmp_path: Path) -> Iterator[Live]:
    """Live, started and at rest, in the default scene."""
    with Server(tmp_path, STAND_IN) as server:
        found = Live(window, shots)
        found.connect_to(server)
        window.run("bpy.ops.draftglass.start()")
        found.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 120)
        found.rest()
        yield found


def still_live(live: Live) -> int:
    """Live goes on after what was done; returns the frames sent by then."""
    stats = live.rest()
    assert stats["state"] == "live", stats
    assert "Traceback" not in live.window.log.read_text(errors="replace")
    return stats["frames_sent"]


def test_at_something_else(live: Live, tmp_path: Path) -> None:
    run, screen = live.window.run, live.window.screen
    # Playing an animation: live follows, and Blender goes on playing.
    run("c = bpy.data.objects['Cube']\nc.keyframe_insert('location', frame=1)\nc.location.x = 4\n"
        "c.keyframe_insert('location', frame=200)\nbpy.context.scene.frame_set(1)")  # fmt: skip
    sent = still_live(live)
    run("bpy.ops.screen.animation_play()")
    live.window.until("bpy.context.scene.frame_current > 20")
    live.wait_for("frames of the animation", lambda stats: stats["frames_sent"] > sent + 2)
    assert run("bpy.context.screen.is_animation_playing"), "live stopped the animation"
    run("bpy.ops.screen.animation_cancel(restore_frame=False)")
    still_live(live)

    # Moving an object by hand: a modal operator of Blender's; live follows it while it runs.
    run(
        "c.animation_data_clear()\nc.location = (0, 0, 0)\n"
        "bpy.context.view_layer.objects.active = c\nc.select_set(True)"
    )
    sent = still_live(live)
    left, top, width, height = live.window.rectangle("VIEW_3D")
    middle = left + width // 2, top + height // 2
    screen.move_to(*middle)
    live.window.catch_up()
    screen.key("g")
    live.window.until("[o.bl_idname for o in bpy.context.window.modal_operators] == ['TRANSFORM_OT_translate']")
    for step in range(12):
        screen.move_to(middle[0] + 8 * step, middle[1] - 3 * step)
        time.sleep(0.1)
    live.shot("moving")
    live.wait_for("frames while moving", lambda stats: stats["frames_sent"] > sent)
    assert run("len(bpy.context.window.modal_operators)") == 1, "live ended what the hand was at"
    screen.click(middle[0] + 90, middle[1] - 30)
    live.window.until("not bpy.context.window.modal_operators")
    assert run("c.location.length") > 0.1, "the object did not move"
    still_live(live)

    # Sculpting: strokes go through, and the picture follows. Debian's package of 4.3 comes without its brushes.
    run("c.location = (0, 0, 0)\nbpy.ops.object.mode_set(mode='EDIT')\nbpy.ops.mesh.subdivide(number_cuts=30)\n"
        "bpy.ops.object.mode_set(mode='SCULPT')\nbefore = [v.co.copy() for v in c.data.vertices]")  # fmt: skip
    sent = still_live(live)
    has_brush = run("bpy.context.tool_settings.sculpt.brush is not None")
    for _ in range(3):
        left, top, width, height = live.window.rectangle("VIEW_3D")
        screen.drag((left + width // 2 - 10, top + height // 2), (20, 10), button=1, moves=16)
    live.window.catch_up()
    live.shot("sculpted")
    moved = run("bpy.ops.object.mode_set(mode='OBJECT')\n"
                "sum((v.co - b).length > 1e-6 for v, b in zip(c.data.vertices, before))")  # fmt: skip
    if has_brush:
        assert moved > 0, "no stroke went through"
        assert still_live(live) > sent
    still_live(live)

    # Rendering: nothing is captured meanwhile, and what changed is seen afterwards.
    run("s = bpy.context.scene\ns.render.engine = 'BLENDER_WORKBENCH'\ns.frame_end = 40\n"
        f"s.render.filepath = {str(tmp_path / 'render_')!r}\n"
        "s.render.resolution_x, s.render.resolution_y = 320, 180\n"
        "bpy.context.preferences.view.render_display_type = 'NONE'")  # fmt: skip
    still_live(live)
    run("bpy.ops.render.render('INVOKE_DEFAULT', animation=True)")
    rendering = []
    until = time.monotonic() + 900
    while time.monotonic() < until:
        now = run(f"[{RENDERING}, live.stats()['frames_sent'], live.sentence()]")
        if now[0]:
            rendering.append(now)
        elif rendering:
            break
        time.sleep(0.1)
    assert len(rendering) > 2, "it was not rendered"
    assert rendering[-1][1] - rendering[0][1] <= 1, "live captured while Blender rendered"
    assert rendering[-1][2] == "Blender is rendering; live goes on afterwards."
    sent = live.stats()["frames_sent"]
    run("c.location.z += 1")
    live.wait_for("a frame after the render", lambda stats: stats["frames_sent"] > sent)
    still_live(live)

    # No 3D View open at all, and one again.
    run("areas = [a for a in bpy.context.screen.areas if a.type == 'VIEW_3D']\nfor a in areas: a.type = 'CONSOLE'")
    live.wait_for("that it is said", lambda stats: stats["sentence"].startswith("No 3D View is open"))
    live.shot("no 3D View")
    run("for a in areas: a.type = 'VIEW_3D'")
    sent = live.stats()["frames_sent"]
    run("c.location.z -= 2")
    live.wait_for("a frame of the view that came back", lambda stats: stats["frames_sent"] > sent)
    still_live(live)


def test_in_background(place: Place, home: Path) -> None:
    done = subprocess.run(
        place.command(["timeout", "-k", "5", "900", place.blender, "--background", "--python-exit-code", "1",
                       "--python-expr", BACKGROUND]),
        env=environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and "ALL IS WELL" in done.stdout, done.stdout[-3000:]
