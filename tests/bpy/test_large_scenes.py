"""Views of whole landscapes and of tiny things return as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.bpy.pictures import show, shown, view_of
from tests.bpy.test_keep import addon, turn

__all__ = ["addon"]  # a fixture


@pytest.mark.parametrize("distance", [0.002, 20_000.0])
def test_an_orthographic_view_returns(addon: Any, distance: float) -> None:
    import bpy

    viewport = view_of()
    viewport.view.view_perspective, viewport.view.view_distance = "ORTHO", distance
    viewport.space.clip_start, viewport.space.clip_end = distance / 1000, 5 * distance
    viewport.view.update()
    before = np.array(viewport.view.window_matrix)
    show(shown())
    turn(viewport.view, addon)
    assert bpy.ops.draftglass.restore_picture() == {"FINISHED"}
    viewport.view.update()
    assert viewport.view.view_perspective == "ORTHO"
    assert np.array(viewport.view.window_matrix) == pytest.approx(before, rel=1e-4)


def test_a_camera_far_from_the_worlds_middle_is_known_again(addon: Any) -> None:
    import bpy

    viewport = view_of()
    for number in range(10):
        viewport.view.view_perspective = "CAMERA"
        addon.camera.location = (31_234.5 + number, -47_654.3, 812.1)
        addon.camera.rotation_euler = (1.1, 0.2, 0.3 * number)
        bpy.context.view_layer.update()
        viewport.view.update()
        show(shown(number=number + 1))
        turn(viewport.view, addon)
        assert bpy.ops.draftglass.restore_picture() == {"FINISHED"}
        assert viewport.view.view_perspective == "CAMERA"
    turn(viewport.view, addon)
    addon.camera.rotation_euler.y += 0.01
    bpy.context.view_layer.update()
    assert bpy.ops.draftglass.restore_picture() == {"FINISHED"}
    assert viewport.view.view_perspective == "PERSP", "it has turned since"


def test_a_camera_that_was_scaled_to_nothing_leaves_its_view(addon: Any) -> None:
    import bpy

    viewport = view_of()
    viewport.view.view_perspective = "CAMERA"
    viewport.view.update()
    show(shown())
    addon.camera.scale = (0, 0, 0)
    bpy.context.view_layer.update()
    assert bpy.ops.draftglass.restore_picture() == {"FINISHED"}
    assert viewport.view.view_perspective == "PERSP"


def test_a_projection_of_next_to_nothing_is_left_out(addon: Any) -> None:
    from addon.blender.capture.origin import restore_view

    viewport = view_of()
    viewport.view.view_distance = 7
    matrix = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -5], [0, 0, 0, 1]]
    flat = [[1e-40, 0, 0, 0], [0, 1e-40, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]
    assert restore_view(viewport.space, viewport.view, {"matrix": matrix, "projection": flat})
    assert viewport.view.view_distance == 7
