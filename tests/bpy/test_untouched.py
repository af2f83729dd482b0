"""The file is the user's: whatever captures borrow, every property of every datablock is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.blender.all_data import all_data, differences
from tests.bpy.shapes import cube

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of properties that are read, as all are
SHADINGS = ("WIREFRAME", "SOLID", "RENDERED")
LIGHTS = ("STUDIO", "MATCAP", "FLAT")


@pytest.fixture
def two_cameras(blender: Any) -> Iterator[Any]:
    """Blender's default file, all of its workspaces, and a second camera."""
    from addon.blender.capture import spaces

    blender.ops.wm.read_factory_settings()
    scene = blender.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"  # EEVEE, which compiles for a minute, is for the real Blender
    other = blender.data.objects.new("Other camera", blender.data.cameras.new("Other camera"))
    other.location = (0, -6, 0)
    scene.collection.objects.link(other)
    blender.context.view_layer.update()
    yield scene
    spaces.release()


def shown(screen: Any) -> Any:
    """The 3D View of a screen and its region."""
    area = next(area for area in screen.areas if area.type == "VIEW_3D")
    return area.spaces.active, next(region for region in area.regions if region.type == "WINDOW")


def captured(scene: Any, capturer: Any, shading: str) -> None:
    """Draw the window's own 3D View, as live does."""
    import bpy

    from addon.blender.capture.view import View

    space, region = shown(bpy.context.window.screen)
    space.shading.type = shading
    view = space.region_3d
    capturer.draw(
        View(scene, scene.view_layers[0], space, region, view.view_matrix.copy(), view.window_matrix.copy()), 64, 64
    )


def of_the_scene(data: dict[str, Any]) -> dict[str, Any]:
    """All but screens, which captures borrow from until they are given back."""
    return {path: value for path, value in data.items() if not path.startswith("screens[")}


@pytest.fixture
def as_in_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the window's own 3D Views taken for shown ones, which no capture may borrow, as where there is a screen."""
    import bpy

    from addon.blender.capture import spaces

    def hidden() -> list[Any]:
        mine = {area.spaces.active.as_pointer() for area in bpy.context.window.screen.areas}
        return [space for _, space in spaces.view_spaces() if space.as_pointer() not in mine]

    monkeypatch.setattr(spaces, "hidden_spaces", hidden)


@pytest.mark.parametrize("shading", SHADINGS)
@pytest.mark.parametrize("local", [False, True])
def test_captures_leave_all_data_as_it_was(two_cameras: Any, as_in_a_window: None, shading: str, local: bool) -> None:
    import bpy

    from addon.blender.capture.offscreen import Capturer, ensure_gpu

    ensure_gpu()
    scene = two_cameras
    mine, _ = shown(bpy.context.window.screen)
    if local:
        mine.use_local_camera, mine.camera = True, bpy.data.objects["Other camera"]
    mine.shading.type, mine.lens, mine.clip_end = shading, 31.0, 77.0
    mine.show_object_viewport_curve = False
    scene.camera = bpy.data.objects["Camera"]
    before = all_data()
    capturer = Capturer()
    for light in LIGHTS:
        mine.shading.light = light
        captured(scene, capturer, shading)
        mine.shading.light = "STUDIO"
        assert not differences(of_the_scene(before), of_the_scene(all_data()))[:20]
    capturer.free()
    assert not differences(before, all_data())[:20]


def test_the_scene_keeps_the_camera_that_is_chosen_while_spaces_are_borrowed(
    two_cameras: Any, as_in_a_window: None
) -> None:
    import bpy

    from addon.blender.capture.offscreen import Capturer, ensure_gpu

    ensure_gpu()
    scene, capturer = two_cameras, Capturer()
    for name in ("Camera", "Other camera", None, "Camera"):
        chosen = bpy.data.objects[name] if name else None
        scene.camera = chosen
        for shading in SHADINGS:
            captured(scene, capturer, shading)
            assert scene.camera == chosen, f"{shading}: the scene's camera is another"
        capturer.free()
        assert scene.camera == chosen, "giving a space back changed the scene's camera"


def test_a_camera_with_an_eye_of_its_own_is_looked_through_by_what_is_borrowed(
    two_cameras: Any, as_in_a_window: None
) -> None:
    import bpy

    from addon.blender.capture import spaces

    mine, _ = shown(bpy.context.window.screen)
    twin = spaces.colour_space(mine)
    assert twin is not None and twin != mine and twin.camera == two_cameras.camera == mine.camera
    mine.use_local_camera, mine.camera = True, bpy.data.objects["Other camera"]
    again = spaces.colour_space(mine)
    assert again == twin and twin.camera == bpy.data.objects["Other camera"]
    assert two_cameras.camera == bpy.data.objects["Camera"]


def test_what_is_saved_holds_the_camera_and_the_spaces_as_they_were(
    two_cameras: Any, as_in_a_window: None, tmp_path: Path
) -> None:
    import bpy

    from addon.blender.capture.offscreen import Capturer, ensure_gpu

    ensure_gpu()
    cube(two_cameras, (0, 0, 0))
    mine, _ = shown(bpy.context.window.screen)
    mine.shading.type = "RENDERED"
    path = str(tmp_path / "file.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=False)
    bpy.ops.wm.open_mainfile(filepath=path)
    before = all_data()
    capturer = Capturer()
    captured(bpy.context.scene, capturer, "RENDERED")
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=path)
    assert not differences(before, all_data())[:20]
    capturer.free()
