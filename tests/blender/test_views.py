"""What live follows, as a person goes about it: camera, quad and local view, shading, undo, files, two windows."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest

from tests.blender.live_session import Live, difference
from tests.blender.serving import STAND_IN, Server
from tests.blender.sidebar import Sidebar
from tests.blender.window import Window

# Mean over values of 0 to 255: two shots of the same thing differ by nothing, of a cube that moved by about 1.
CHANGED = 0.1
NEWEST = """
import numpy
_shown = live.picture()
[list(map(float, _shown.image.reshape(-1, 3).mean(0))), list(_shown.size), _shown.request.frame.projection,
 [list(row) for row in _shown.request.frame.view], _shown.request.frame.inverse_depth.max().item()]
"""
CLOSE_FIRST = """
def _close():
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.wm.window_close()
bpy.app.timers.register(_close, first_interval=0.3)
0
"""
REDRAWS = """
drawn = []
_counting = bpy.types.SpaceView3D.draw_handler_add(lambda: drawn.append(1), (), "WINDOW", "POST_PIXEL")
"""


@pytest.fixture
def artist(window: Window, shots: Path, tmp_path: Path) -> Iterator["Artist"]:
    """Somebody with a server, and live not yet on."""
    with Server(tmp_path, STAND_IN) as server:
        live = Live(window, shots)
        live.connect_to(server)
        yield Artist(live, tmp_path)


class Artist:
    """Does things, and looks whether the picture follows."""

    def __init__(self, live: Live, folder: Path) -> None:
        self.live, self.window, self.folder = live, live.window, folder
        self.shot: numpy.ndarray | None = None

    def start(self) -> None:
        """By the operator, and wait for the settled picture."""
        self.window.run("bpy.ops.draftglass.start()")
        self.live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 120)
        self.live.rest()
        self.shot = self.live.picture("started")

    def do(self, name: str, source: str, patience_s: float = 60) -> list:
        """Run ``source`` in Blender; the picture must follow. Returns what NEWEST says."""
        return self.see(name, lambda: self.window.run(source), patience_s)

    def see(self, name: str, act: Callable[[], object], patience_s: float = 60) -> list:
        """Do something; the picture must follow, and come to rest again."""
        sent = self.live.stats()["frames_sent"]
        act()
        self.live.wait_for(f"a frame after: {name}", lambda stats: stats["frames_sent"] > sent, patience_s)
        self.live.rest()
        now = self.live.picture(name)
        moved = 255.0 if self.shot is None else difference(self.shot, now)
        assert moved > CHANGED, f"the Image Editor did not follow: {name}"
        self.shot = now
        return self.window.run(NEWEST)

    def nothing_happens(self, name: str, seconds: float = 2.0, tries: int = 10) -> None:
        """Nothing is sent, nothing is drawn, nothing in the viewport redraws: before long, and then for good."""
        for left in reversed(range(tries)):
            self.window.run(REDRAWS)
            before = self.live.stats()
            time.sleep(seconds)
            after = self.live.stats()
            drawn = self.window.run("bpy.types.SpaceView3D.draw_handler_remove(_counting, 'WINDOW')\nlen(drawn)")
            went_on = [
                count for count in ("frames_sent", "pictures_shown", "bytes_sent") if after[count] != before[count]
            ]
            if not went_on and not drawn:
                return
            assert left, f"{name}: {went_on} went on, the viewport was redrawn {drawn} times while nothing changed"


def test_views(artist: Artist) -> None:
    artist.start()
    artist.nothing_happens("at rest")
    camera = artist.do("camera view", "bpy.ops.view3d.view_camera()")
    expected = artist.window.run("[list(r) for r in bpy.context.scene.camera.matrix_world.normalized().inverted()]")
    assert numpy.allclose(camera[3], expected, atol=1e-4), "not the camera's view"
    artist.do("camera moved", "bpy.context.scene.camera.location.x += 1")
    artist.do("out of the camera", "bpy.ops.view3d.view_camera()")
    # Of the four views the free one is followed, which shows what was seen before.
    artist.window.run("bpy.ops.screen.region_quadview()")
    artist.live.rest()
    artist.nothing_happens("in quad view")
    artist.do("moved in quad view", "bpy.data.objects['Cube'].location.z = 1")
    artist.window.run("bpy.ops.screen.region_quadview()\nbpy.ops.mesh.primitive_uv_sphere_add(location=(3, 0, 0))")
    artist.live.rest()
    artist.shot = artist.live.picture("a ball")
    artist.do("local view", "bpy.ops.view3d.localview(frame_selected=False)")
    artist.nothing_happens("in local view")
    assert artist.window.run("bpy.context.space_data.overlay.show_overlays and bpy.context.space_data.show_gizmo")
    artist.do("moved in local view", "bpy.context.active_object.location.z += 1")
    artist.do("out of local view", "bpy.ops.view3d.localview(frame_selected=False)")
    artist.do("orthographic", "bpy.ops.view3d.view_axis(type='FRONT')")
    artist.nothing_happens("orthographic")
    assert artist.live.stats()["state"] == "live"


def test_undo_and_files(artist: Artist) -> None:
    window = artist.window
    artist.start()
    window.run("bpy.ops.ed.undo_push(message='before')")
    artist.do("moved", "bpy.data.objects['Cube'].location = (1.5, -1, 0.7)\nbpy.ops.ed.undo_push(message='moved')")
    artist.do("undone", "bpy.ops.ed.undo()")
    assert window.run("bpy.data.objects['Cube'].location.x") == 0
    artist.do("done again", "bpy.ops.ed.redo()")
    path = artist.folder / "town.blend"
    window.run(f"bpy.data.objects['Cube'].scale = (3, 1, 1)\nbpy.ops.wm.save_as_mainfile(filepath={str(path)!r})")
    artist.live.rest()
    window.run("bpy.ops.wm.read_homefile(app_template='')")
    artist.live.wait_for("that live goes on in a new file", lambda stats: stats["state"] == "live", 60)
    artist.live.rest()
    assert window.run("[a.type for a in bpy.context.window.screen.areas].count('IMAGE_EDITOR')") == 1
    artist.shot = artist.live.picture("new file")
    artist.do("opened", f"bpy.ops.wm.open_mainfile(filepath={str(path)!r})")
    artist.do("another scene", "bpy.context.window.scene = bpy.data.scenes.new('Second')")
    artist.do("a frame", "bpy.ops.mesh.primitive_monkey_add(size=3)")
    assert artist.live.stats()["state"] == "live"


@pytest.mark.slow
def test_material_preview(artist: Artist) -> None:
    artist.window.run("bpy.context.space_data.shading.type = 'MATERIAL'")
    artist.window.run("bpy.ops.draftglass.start()")
    artist.live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 240)
    artist.live.rest(patience_s=240)
    artist.shot = artist.live.picture("started")
    artist.nothing_happens("in Material Preview")
    seen = artist.see("orbited", artist.live.orbit, 120)
    assert seen[4] == 65535, "there is no depth in Material Preview"
    artist.do("solid again", "bpy.context.space_data.shading.type = 'SOLID'")


def test_two_windows(artist: Artist) -> None:
    window = artist.window
    artist.start()
    window.run("bpy.ops.wm.window_new_main()")
    time.sleep(2)
    artist.live.rest()
    assert window.run("len(bpy.context.window_manager.windows)") == 2
    window.run("bpy.data.objects['Cube'].location.x = 2")
    sent = artist.live.rest()["frames_sent"]
    artist.live.shot("two windows")
    # The window in which live was started goes; another 3D View is followed from then on.
    # (From a timer: what the rig runs has that very window as its context.)
    window.run(CLOSE_FIRST)
    window.until("len(bpy.context.window_manager.windows) == 1")
    window.run("bpy.data.objects['Cube'].location.x = -2")
    artist.live.wait_for("a frame from the other window", lambda stats: stats["frames_sent"] > sent)
    artist.live.rest()
    artist.live.shot("one window")
    assert window.run("live.state()") == "live"


def test_the_smaller_of_two_views(artist: Artist) -> None:
    """Live is started in it, an Image Editor is split off it, and it is shown maximised for a while."""
    window, main = artist.window, "next(r for r in area.regions if r.type == 'WINDOW')"
    window.run("bpy.ops.screen.area_split(direction='VERTICAL', factor=0.45)")
    views = "sorted((a for a in bpy.context.screen.areas if a.type == 'VIEW_3D'), key=lambda a: a.width)"
    window.until(f"len({views}) == 2")
    start = f"area = {views}[0]\nx = area.x\nwith bpy.context.temp_override(area=area, region={main}):\n    "
    window.run(f"{start}bpy.ops.draftglass.start()")
    artist.live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 120)
    artist.live.rest()
    followed = "live.session().followed.find().area.x == x"
    assert window.run(followed), "another one is followed once the editor is there"
    window.run(f"with bpy.context.temp_override(area={views}[0]):\n    bpy.ops.screen.screen_full_area()")
    window.until(f"len({views}) == 1")
    artist.live.rest()
    window.run("bpy.ops.screen.back_to_previous()")
    window.until(f"len({views}) == 2")
    artist.live.rest()
    assert window.run(followed), "another one is followed once it is small again"


def test_started_and_stopped_by_clicks(artist: Artist) -> None:
    sidebar = Sidebar(artist.window)
    sidebar.click(0)
    artist.live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 120)
    artist.live.rest()
    artist.shot = artist.live.picture("started by a click")
    artist.window.run("bpy.context.space_data.show_region_ui = False")  # it covers the middle, where the mouse orbits
    artist.see("orbited by the mouse", artist.live.orbit)
    sidebar = Sidebar(artist.window)
    sidebar.click(0)
    artist.live.wait_for("that it stopped", lambda stats: stats["state"] == "stopped")
    artist.window.run("bpy.context.space_data.show_region_ui = False")
    artist.live.orbit()
    assert difference(artist.shot, artist.live.picture("stopped by a click")) < CHANGED, "the last picture is gone"
