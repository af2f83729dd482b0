"""What a capture holds, in Blender's module: colours, orientation, proportions, depth."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bpy.shapes import GREEN, RED, ball, cube


def draft_of(scene: Any, width: int = 128, height: int = 128, **named: Any) -> Any:
    """The scene through its camera."""
    from addon.blender.capture.offscreen import Capturer, view_from_camera

    capturer = Capturer()
    try:
        return capturer.draw(view_from_camera(scene, width, height, **named), width, height)
    finally:
        capturer.free()


def reddish(image: np.ndarray) -> np.ndarray:
    """Where ``image`` is clearly red."""
    return (image[..., 0] > 200) & (image[..., 1] < 60) & (image[..., 2] < 60)


def test_colours_and_the_top_row_first(scene: Any) -> None:
    cube(scene, (-1.5, 0, 1.5), RED)
    cube(scene, (1.5, 0, -1.5), GREEN)
    draft = draft_of(scene)
    assert draft.image.shape == (128, 128, 3)
    assert draft.image.dtype == np.uint8
    rows, columns = np.nonzero(reddish(draft.image))
    assert rows.size > 50
    assert rows.max() < 64
    assert columns.max() < 64
    rows, columns = np.nonzero((draft.image[..., 1] > 200) & (draft.image[..., 0] < 60))
    assert rows.min() > 64
    assert columns.min() > 64


def test_depth_lies_on_the_colours(scene: Any) -> None:
    cube(scene, (-1.5, 0, 1.5))
    draft = draft_of(scene)
    assert draft.near == pytest.approx(9.5, rel=1e-3)
    red = reddish(draft.image)
    assert (draft.inverse_depth[red] > 60000).mean() > 0.98
    assert not draft.inverse_depth[64:].any()


@pytest.mark.parametrize(("width", "height"), [(128, 128), (256, 128), (64, 192)])
def test_a_ball_is_round_at_each_aspect(scene: Any, width: int, height: int) -> None:
    from addon.blender.capture.offscreen import Capturer, view_from_camera

    ball(scene, (0, 0, 0), radius=0.45)
    view = view_from_camera(scene, 1920, 1080)
    draft = Capturer().draw(view, width, height)
    rows, columns = np.nonzero(reddish(draft.image))
    assert np.ptp(rows) > 12
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)


def test_the_projection_is_that_of_the_cropped_picture(scene: Any) -> None:
    from addon.blender.capture.offscreen import Capturer, view_from_camera

    ball(scene, (0.8, 0, 0.5), radius=0.1)
    draft = Capturer().draw(view_from_camera(scene, 1920, 1080), 256, 256)
    clip = np.array(draft.projection) @ np.array(draft.view) @ np.array((0.8, 0, 0.5, 1.0))
    x, y = (clip[0] / clip[3] + 1) * 128, (1 - clip[1] / clip[3]) * 128
    rows, columns = np.nonzero(reddish(draft.image))
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((x, y), abs=1.0)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.2)])
@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_depth_against_rays(scene: Any, kind: str, shift: tuple[float, float]) -> None:
    import bpy
    from mathutils import Vector

    for place in ((0, 0, 0), (-2, 4, 1), (2, 9, -1), (0.5, 20, 2)):
        ball(scene, place, radius=1.5)
    lens = scene.camera.data
    lens.type, lens.ortho_scale, (lens.shift_x, lens.shift_y) = kind, 8, shift
    bpy.context.view_layer.update()
    draft = draft_of(scene, 192, 128)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    to_world = np.linalg.inv(np.array(draft.projection) @ np.array(draft.view))
    found, expected = [], []
    for row in range(2, 128, 6):
        for column in range(2, 192, 6):
            ends = []
            for z in (-1, 1):
                point = to_world @ ((column + 0.5) / 96 - 1, 1 - (row + 0.5) / 64, z, 1)
                ends.append(Vector(point[:3] / point[3]))
            hit, place, *_ = scene.ray_cast(depsgraph, ends[0], ends[1] - ends[0])
            value = int(draft.inverse_depth[row, column])
            if hit and value:
                expected.append(-(np.array(draft.view) @ (*place, 1.0))[2])
                found.append(65535 * draft.near / value)
    assert len(found) > 100
    if kind == "ORTHO":  # the nearest is as far away as the view is high
        assert draft.near == pytest.approx(2 / draft.projection[1][1], rel=1e-5)
    errors = np.abs(np.array(found) - expected) / expected
    assert np.median(errors) < 1e-4
    assert errors.max() < 1e-2


def test_rendered_and_wireframe_shading_have_the_depth_of_solid(scene: Any) -> None:
    cube(scene, (0, 0, 0), size=2)
    scene.render.engine = "BLENDER_WORKBENCH"
    solid = draft_of(scene)
    for shading in ("RENDERED", "WIREFRAME"):
        other = draft_of(scene, shading=shading)
        assert (other.inverse_depth == solid.inverse_depth).all()
    assert (other.image != solid.image).any()


def test_overlays_and_xray_change_neither_colours_nor_depth(scene: Any) -> None:
    from addon.blender.capture.offscreen import Capturer, view_from_camera

    cube(scene, (0, 0, 0)).select_set(True)
    view = view_from_camera(scene, 128, 128)
    plain = Capturer().draw(view, 128, 128)
    view.space.overlay.show_overlays = True
    view.space.show_gizmo = True
    overlaid = Capturer().draw(view, 128, 128)
    assert (overlaid.image == plain.image).all()
    assert (overlaid.inverse_depth == plain.inverse_depth).all()
    view.space.shading.show_xray = True
    seen_through = Capturer().draw(view, 128, 128)
    assert (seen_through.inverse_depth == plain.inverse_depth).all()
    assert view.space.overlay.show_overlays
    assert view.space.shading.show_xray


def test_a_camera_that_a_borrowed_space_had_may_go(scene: Any) -> None:
    """As an undo or a click lets it go: references to it are dead then."""
    import bpy

    from addon.blender.capture import spaces

    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    scene.collection.objects.link(other)
    for _, space in spaces.view_spaces():
        space.use_local_camera, space.camera = True, other
    (_, mine), *rest = spaces.view_spaces()
    mine.camera, mine.overlay.show_overlays = scene.camera, True
    twin = spaces.colour_space(mine)
    assert twin is not None and twin != mine and twin.camera == scene.camera
    bpy.data.objects.remove(other)
    spaces.release()
    assert all(space.camera is None for _, space in rest)


def test_borrowed_spaces_are_given_back_as_they_were(scene: Any) -> None:
    from addon.blender.capture import spaces
    from addon.blender.capture.offscreen import Capturer, view_from_camera

    view = view_from_camera(scene, 64, 64)
    view.space.shading.type = "WIREFRAME"
    for _, space in spaces.view_spaces():
        space.overlay.show_overlays = True
    before = [(space.overlay.show_overlays, spaces.looks(space)) for _, space in spaces.view_spaces()]
    capturer = Capturer()
    capturer.draw(view, 64, 64)
    during = [(space.overlay.show_overlays, spaces.looks(space)) for _, space in spaces.view_spaces()]
    assert during != before
    capturer.free()
    after = [(space.overlay.show_overlays, spaces.looks(space)) for _, space in spaces.view_spaces()]
    assert after == before


def test_the_same_view_gives_the_same_bytes(scene: Any) -> None:
    from addon.blender.capture.offscreen import Capturer, view_from_camera

    ball(scene, (0, 0, 0))
    capturer, view = Capturer(), view_from_camera(scene, 128, 128)
    sums = set()
    for _ in range(4):
        draft = capturer.draw(view, 128, 128)
        sums.add((zlib.crc32(draft.image), zlib.crc32(draft.inverse_depth), draft.near))
    assert len(sums) == 1
    moved = replace(view, view_matrix=view.view_matrix.copy())
    moved.view_matrix.translation.x += 0.1
    assert zlib.crc32(capturer.draw(moved, 128, 128).image) not in {colours for colours, _, _ in sums}


def test_a_capture_is_a_valid_frame(scene: Any) -> None:
    from addon.wire import Frame

    draft = draft_of(scene)  # an empty scene: all background
    assert not draft.inverse_depth.any()
    frame = Frame(1, draft.image, draft.inverse_depth, draft.near, draft.view, draft.projection)
    assert frame.near == 1.0


def test_a_scene_without_a_camera_is_refused_in_a_sentence(scene: Any) -> None:
    scene.camera = None
    with pytest.raises(RuntimeError, match="has no camera"):
        draft_of(scene)


def test_other_handlers_are_not_skipped(scene: Any, tmp_path: Path) -> None:
    """One that leaves Blender's list while Blender goes through it takes the place of the next, which is not called."""
    import bpy

    from addon.blender.capture import spaces

    called = []

    @bpy.app.handlers.persistent
    def others(*_: Any) -> None:
        called.append("called")

    for handlers, act in (
        (bpy.app.handlers.save_pre, lambda: bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"), copy=True)),
        (bpy.app.handlers.load_pre, lambda: bpy.ops.wm.read_homefile(use_factory_startup=True)),
    ):
        spaces.borrow(next(space for _, space in spaces.view_spaces()))
        handlers.append(others)
        called.clear()
        act()
        handlers.remove(others)
        assert called == ["called"] and not spaces._lent
        spaces.release()
        assert not [one for one in handlers if one.__module__ == spaces.__name__]
