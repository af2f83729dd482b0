"""3D Views that show only a part of the scene, as local view and local collections do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bpy.shapes import GREEN, cube
from tests.bpy.test_capture import draft_of, reddish


def context_of(space: Any) -> Any:
    """What an operator on the 3D View ``space`` takes its place from."""
    import bpy

    screen, area = next((s, a) for s in bpy.data.screens for a in s.areas for one in a.spaces if one == space)
    region = next(region for region in area.regions if region.type == "WINDOW")
    return bpy.context.temp_override(
        window=bpy.context.window, screen=screen, area=area, region=region, space_data=space
    )


def test_without_a_window_a_view_of_the_whole_scene_is_taken(scene: Any) -> None:
    import bpy

    from addon.blender.capture.spaces import any_space

    cube(scene, (-1.5, 0, 0))
    alone = cube(scene, (1.5, 0, 0), GREEN)
    whole = draft_of(scene)
    bpy.context.view_layer.objects.active = alone
    alone.select_set(True)
    first = any_space()[0]
    with context_of(first):
        assert bpy.ops.view3d.localview() == {"FINISHED"}
    assert first.local_view is not None and any_space()[0].local_view is None
    assert reddish(draft_of(scene).image).sum() == reddish(whole.image).sum() > 50


@pytest.mark.parametrize("shading", ["SOLID", "WIREFRAME"])
def test_a_space_with_collections_of_its_own_is_not_borrowed(scene: Any, shading: str) -> None:
    import bpy

    from addon.blender.capture.offscreen import Capturer, view_from_camera
    from addon.blender.capture.spaces import view_spaces

    blocks, alone = bpy.data.collections.new("Blocks"), bpy.data.collections.new("ShownPicture alone in some views")
    scene.collection.children.link(blocks)
    scene.collection.children.link(alone)
    block = cube(scene, (0, 0, 0))
    scene.collection.objects.unlink(block)
    blocks.objects.link(block)
    bpy.context.view_layer.update()
    view = view_from_camera(scene, 128, 128, shading=shading)
    first = Capturer().draw(view, 128, 128)
    assert first.inverse_depth is not None and first.inverse_depth.any()
    others = [space for _, space in view_spaces() if space != view.space]
    for space in (others[0], others[-1]):
        space.use_local_collections = True
        with context_of(space):
            assert bpy.ops.object.hide_collection(collection_index=2) == {"FINISHED"}
    bpy.context.view_layer.update()
    view.space.overlay.show_overlays = True  # so that other spaces are drawn from
    second = Capturer().draw(view, 128, 128)
    assert (second.image == first.image).all() and (second.inverse_depth == first.inverse_depth).all()
