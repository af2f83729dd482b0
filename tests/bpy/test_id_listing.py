"""When the scene is gone through anew for its ids, in Blender's module: seldom, and never at the cost of the window."""

from __future__ import annotations

from typing import Any

from tests.bpy.shapes import cube


def test_only_what_may_move_a_surface_has_the_scene_listed_anew(scene: Any) -> None:
    import bpy

    from addon.blender.capture.offscreen import Capturer, view_from_camera
    from addon.blender.capture.surfaces.instances import InstanceList

    thing, listings = cube(scene, (0, 0, 0)), [0.0]

    def clock() -> float:
        listings[0] += 0.5  # it is asked before and after
        return 0.0

    material = bpy.data.materials.new("Paint")
    thing.data.materials.append(material)
    capturer = Capturer()
    capturer._surfaces._list = InstanceList(True, clock)

    def listed() -> float:
        before = listings[0]
        bpy.context.view_layer.update()
        assert len(capturer.draw(view_from_camera(scene, 64, 64), 64, 64, ids=True).objects) == 1
        return listings[0] - before

    assert listed() == 1
    assert listed() == 0
    scene.camera.location.x = 0.5
    scene.camera.data.lens = 40
    assert listed() == 0
    material.diffuse_color = (0, 1, 0, 1)
    listed()  # assigning a material may name everything once
    material.roughness = 0.3
    assert listed() == 0
    thing.location.x = 0.2
    assert listed() == 1
    capturer.free()


def test_a_scene_too_large_to_be_listed_at_every_edit_goes_without(scene: Any) -> None:
    """The clock says that listing takes a second: after an edit there is no list until four more have passed."""
    import bpy

    from addon.blender.capture.offscreen import Capturer, view_from_camera
    from addon.blender.capture.surfaces.instances import InstanceList

    thing, now = cube(scene, (0, 0, 0)), [0.0]

    def clock() -> float:
        now[0] += 0.5
        return now[0]

    capturer = Capturer()
    capturer._surfaces._list = InstanceList(False, clock)

    def ids() -> Any:
        bpy.context.view_layer.update()
        return capturer.draw(view_from_camera(scene, 64, 64), 64, 64, ids=True).ids

    assert ids() is not None
    assert ids() is not None  # nothing was edited
    thing.location.x = 1
    assert ids() is None
    now[0] += 3
    assert ids()[32, 42] > 0
    capturer.free()
