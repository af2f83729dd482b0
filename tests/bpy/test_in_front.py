"""Objects displayed In Front, in Blender's module: seen over all others, at their own distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.bpy.shapes import GREEN, cube
from tests.bpy.test_capture import draft_of

BEHIND, WALL = 4.5, -5.5
"""Along Y: the near sides of the cube In Front and of the wall before it; the camera is at -10."""


def distances(draft: Any) -> np.ndarray:
    """In scene units; infinite where there is nothing."""
    with np.errstate(divide="ignore"):
        return 65535 * draft.near / draft.inverse_depth.astype(np.float64)


def in_front(thing: Any) -> None:
    """Display it In Front."""
    import bpy

    thing.show_in_front = True
    bpy.context.view_layer.update()


@pytest.fixture
def hidden(scene: Any) -> Any:
    """A cube behind a wall that covers it."""
    cube(scene, (0, WALL + 1, 0), GREEN, size=2)
    return cube(scene, (0, BEHIND + 0.5, 0), size=1)


@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
@pytest.mark.parametrize("shading", ["SOLID", "WIREFRAME", "RENDERED"])
def test_it_has_its_own_distance_and_near_is_of_what_is_seen(scene: Any, hidden: Any, kind: str, shading: str) -> None:
    import bpy

    scene.render.engine = "BLENDER_WORKBENCH"
    scene.camera.data.type, scene.camera.data.ortho_scale = kind, 4
    bpy.context.view_layer.update()
    before = draft_of(scene, shading=shading)
    in_front(hidden)
    draft = draft_of(scene, shading=shading)
    middle = distances(draft)[64, 64]
    eye = -(np.array(draft.view) @ (0, 0, 0, 1))[2]
    assert middle == pytest.approx(eye + BEHIND, rel=1e-3)
    assert draft.near == pytest.approx(before.near, rel=1e-3)
    assert draft.near == pytest.approx(eye + WALL, rel=1e-3)


def test_all_other_pixels_keep_their_bits(scene: Any, hidden: Any) -> None:
    before = draft_of(scene)
    in_front(hidden)
    draft = draft_of(scene)
    changed = draft.inverse_depth != before.inverse_depth
    assert draft.near == before.near
    assert (draft.image[changed] != before.image[changed]).any(axis=1).all()  # green before, red now
    assert changed.sum() > 100


def test_things_without_triangles_are_left_out_of_near(scene: Any, hidden: Any) -> None:
    import bpy

    hair = bpy.data.hair_curves.new("Hair")
    hair.add_curves([2] * 40)
    points = [(x / 20 - 1, -7, z) for x in range(40) for z in (-1, 1)]
    hair.attributes["position"].data.foreach_set("vector", np.ravel(points))
    thing = bpy.data.objects.new("Hair", hair)
    scene.collection.objects.link(thing)
    bpy.context.view_layer.update()
    assert draft_of(scene).near == pytest.approx(3, rel=1e-2)
    in_front(thing)
    assert draft_of(scene).near == pytest.approx(WALL + 10, rel=1e-3)


def test_a_mesh_edited_and_moved_while_in_front_is_followed(scene: Any, hidden: Any) -> None:
    import bpy

    from addon.blender.capture.offscreen import Capturer, view_from_camera

    in_front(hidden)
    capturer = Capturer()

    def middle() -> float:
        bpy.context.view_layer.update()
        return float(distances(capturer.draw(view_from_camera(scene, 128, 128), 128, 128))[64, 64])

    assert middle() == pytest.approx(BEHIND + 10, rel=1e-3)
    hidden.location.y += 3
    assert middle() == pytest.approx(BEHIND + 13, rel=1e-3)
    for vertex in hidden.data.vertices:
        vertex.co.y *= 3
    hidden.data.update()
    assert middle() == pytest.approx(BEHIND + 12, rel=1e-3)
    bpy.context.view_layer.objects.active = hidden
    bpy.ops.object.mode_set(mode="EDIT")
    assert middle() == pytest.approx(BEHIND + 12, rel=1e-3)
    bpy.ops.object.mode_set(mode="OBJECT")
    hidden.modifiers.new("Array", "ARRAY").relative_offset_displace = (0, -2, 0)
    assert middle() == pytest.approx(BEHIND + 6, rel=1e-3)
    hidden.hide_viewport = True
    assert middle() == pytest.approx(WALL + 10, rel=1e-3)
    capturer.free()
