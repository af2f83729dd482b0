"""An object displayed In Front in a real Blender, whose viewport draws it with a depth of its own: 4.3 to 5.0."""

from pathlib import Path

import pytest

from tests.blender.live_session import Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window

RADIUS, BEHIND = 0.5, 6.0
# Behind the default cube, right behind its middle as the viewport sees it.
BALL = f"""
_area = next(area for area in bpy.context.screen.areas if area.type == "VIEW_3D")
_view = _area.spaces.active.region_3d.view_matrix
_eye = _view.inverted().translation
_along = -_eye.normalized()
bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32, radius={RADIUS}, location=_along * {BEHIND})
_ball = bpy.context.object
_ball.name = "Ball"
for _other in bpy.context.selected_objects:
    _other.select_set(False)
(_view @ _ball.location).z
"""
DEPTH = """
_frame = live.picture().request.frame
_height, _width = _frame.inverse_depth.shape
[float(_frame.near), int(_frame.inverse_depth[_height // 2, _width // 2]), int((_frame.inverse_depth > 0).sum()),
 int((_frame.inverse_depth == 65535).sum())]
"""


@pytest.fixture
def live(window: Window, shots: Path) -> Live:
    """The add-on in a Blender with its default scene."""
    return Live(window, shots)


def test_one_object_in_front_leaves_all_depth_as_it_is(live: Live, tmp_path: Path) -> None:
    with Server(tmp_path, STAND_IN) as server:
        live.connect_to(server)
        away = -live.window.run(BALL)
        live.window.run("bpy.ops.draftglass.start()")
        live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 120)
        live.rest()
        near, middle, surface, _ = live.window.run(DEPTH)
        assert 65535 * near / middle < away - 2, "the cube covers the ball"

        shown = live.stats()["pictures_shown"]
        live.window.run("bpy.data.objects['Ball'].show_in_front = True")
        live.wait_for("a picture of it", lambda stats: stats["pictures_shown"] > shown)
        live.rest()
        near_then, middle_then, surface_then, nearest = live.window.run(DEPTH)
        live.picture("in front")
    assert near_then == pytest.approx(near, rel=1e-3), "the nearest thing is as near as it was"
    assert 65535 * near_then / middle_then == pytest.approx(away - RADIUS, rel=0.01), "the ball is at its own distance"
    assert surface_then == surface, "what was background still is, and nothing else"
    assert nearest < surface / 10
