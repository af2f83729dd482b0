"""The overlay in Blender's module: where it lies, when it draws, and that it costs nothing while live is off."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from addon.wire import Frame, Request, Style


@pytest.fixture
def addon(scene: Any) -> Iterator[Any]:
    """The add-on, registered."""
    from addon.blender import registration
    from addon.blender.display import overlay, picture_texture
    from addon.blender.live import switch as live

    registration.register()
    yield SimpleNamespace(live=live, overlay=overlay, pictures=picture_texture, settings=scene.draftglass_overlay)
    registration.unregister()


@pytest.fixture
def view() -> Any:
    """The 3D View that live follows."""
    from addon.blender.capture.viewports import Followed

    return Followed().find()


@pytest.fixture
def following(addon: Any, view: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As in a session that follows ``view`` and has just shown a picture of the whole of it."""
    from addon.live.shown import ShownPicture

    monkeypatch.setattr(addon.live, "_session", SimpleNamespace(region=view.region.as_pointer(), pictures_shown=1))
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, 48:] = 255
    projection = tuple(tuple(row) for row in view.view.window_matrix)
    request = Request(Frame(1, image, projection=projection), Style(width=96, height=64))
    shown = ShownPicture(image, request)
    for callback in addon.live.on_picture:
        callback(shown)
    yield shown
    addon.overlay.close()


def context_of(view: Any, region: Any = None) -> Any:
    """A context over ``view``, or over another region."""
    return SimpleNamespace(region=region or view.region, region_data=view.view, window=view.window)


def test_the_settings_have_limits_and_tooltips(addon: Any) -> None:
    settings = addon.settings
    assert (settings.show, settings.opacity, settings.split, settings.hud) == (False, 1.0, 0.5, False)
    settings.opacity, settings.split = 7.0, -3.0
    assert (settings.opacity, settings.split) == (1.0, 0.0)
    for prop in settings.bl_rna.properties:
        if prop.identifier not in {"rna_type", "name"}:
            assert len(prop.description) > 20, prop.identifier


def test_the_switches_are_operators(addon: Any) -> None:
    import bpy

    assert bpy.ops.draftglass.overlay() == {"FINISHED"} and addon.settings.show
    assert bpy.ops.draftglass.overlay() == {"FINISHED"} and not addon.settings.show
    assert bpy.ops.draftglass.hud() == {"FINISHED"} and addon.settings.hud
    assert not bpy.ops.draftglass.drag_split.poll(), "there is no overlay to split"


def test_it_lies_in_the_viewport_that_is_followed_and_in_no_other(addon: Any, view: Any, following: Any) -> None:
    place_in, context = addon.overlay.place_in, context_of(view)
    assert place_in(context) is None, "the overlay is off"
    addon.settings.show = True
    width, height = view.region.width, view.region.height
    assert place_in(context) == pytest.approx((0, 0, width, height), abs=1e-3)
    header = next(region for region in view.area.regions if region.type == "HEADER")
    assert place_in(context_of(view, header)) is None


def test_the_line_is_where_the_split_is_and_stays_inside(addon: Any, view: Any, following: Any) -> None:
    overlay, context = addon.overlay, context_of(view)
    assert overlay.line_in(context) is None
    addon.settings.show, addon.settings.split = True, 0.25
    width = view.region.width
    assert overlay.line_in(context) == pytest.approx(width / 4, abs=0.01)
    assert [overlay.part_at(context, x) for x in (-50, width / 2, width + 50)] == pytest.approx([0, 0.5, 1], abs=1e-4)
    overlay.dragged = 0.75
    assert overlay.line_in(context) == pytest.approx(width * 0.75, abs=0.01), "while it is dragged"
    assert addon.settings.split == 0.25


def test_drawing_begins_and_ends_with_the_switch_and_with_live(
    addon: Any, view: Any, following: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = addon.overlay
    overlay._on_beat()
    assert not overlay._handlers
    addon.settings.show = True
    overlay._on_beat()
    assert len(overlay._handlers) == 2
    addon.settings.show = False
    overlay._on_beat()
    assert not overlay._handlers and overlay._shown is following, "the picture is there when it is wanted again"
    addon.settings.show = True
    overlay._on_beat()
    monkeypatch.setattr(addon.live, "_session", None)
    overlay._on_beat()
    assert not overlay._handlers and overlay._shown is None and addon.pictures._made is None


def test_the_shader_gives_back_the_colours_that_blender_lays_over_the_viewport(addon: Any, following: Any) -> None:
    """Drawn into a buffer as Blender keeps it (sRGB, 8 bits), and merged as it does (gamma 2.2)."""
    import gpu
    from gpu_extras.batch import batch_for_shader
    from mathutils import Matrix

    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 8, 0).repeat(3, 2)
    shader, texture = addon.overlay._the_shader(), addon.pictures.texture_of(ramp)
    assert addon.pictures.texture_of(ramp) is texture, "made once, whoever asks"
    offscreen = gpu.types.GPUOffScreen(256, 8, format="RGBA32F")
    try:
        with offscreen.bind(), gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
            gpu.matrix.load_matrix(Matrix.Identity(4))
            gpu.matrix.load_projection_matrix(Matrix.Identity(4))
            corners = ((-1, -1), (1, -1), (-1, 1), (1, 1))
            places = ((0, 0), (1, 0), (0, 1), (1, 1))
            batch = batch_for_shader(shader, "TRI_STRIP", {"pos": corners, "texCoord": places})
            shader.bind()
            shader.uniform_sampler("image", texture)
            shader.uniform_sampler("selected", texture)
            shader.uniform_int("reach", [0])
            shader.uniform_float("opacity", 1.0)
            batch.draw(shader)
            read = gpu.state.active_framebuffer_get().read_color(0, 4, 256, 1, 3, 0, "FLOAT")
        linear = np.array(read.to_list(), np.float64).reshape(256, 3)
    finally:
        offscreen.free()
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    kept = np.rint(encoded * 255) / 255
    decoded = np.where(kept <= 0.04045, kept / 12.92, ((kept + 0.055) / 1.055) ** 2.4)
    seen = np.rint(decoded ** (1 / 2.2) * 255)
    assert np.abs(seen - np.arange(256)[:, None]).max() <= 3


def test_registering_twice_leaves_nothing_behind(addon: Any) -> None:
    from addon.blender import registration

    heard = addon.live.on_beat, addon.live.on_picture
    registered = [list(callbacks) for callbacks in heard]
    registration.unregister()
    assert all(len(left) < len(before) for left, before in zip(heard, registered, strict=True))
    registration.register()
    assert [list(callbacks) for callbacks in heard] == registered


def test_an_undo_to_before_the_image_leaves_the_editor_its_picture(addon: Any) -> None:
    import bpy

    from addon.blender.display.live_image import NAME
    from addon.blender.display.live_view import Display

    editor = next(area for area in bpy.context.window.screen.areas if area.type == "OUTLINER")
    editor.type = "IMAGE_EDITOR"
    display = Display()
    try:
        display.show(np.full((64, 64, 3), 90, np.uint8))
        editor.spaces.active.image = bpy.data.images[NAME]
        display.show(np.full((64, 64, 3), 120, np.uint8))
        display.keep()
        bpy.data.images.remove(bpy.data.images[NAME])  # as such an undo does
        display.mend()
        image = bpy.data.images[NAME]
        assert editor.spaces.active.image == image
        assert image.pixels[0] == pytest.approx(120 / 255, abs=1e-3), "and it was settled"
        display.mend()
        assert bpy.data.images[NAME] == image and len(bpy.data.images) == 1
    finally:
        display.close()


def test_the_picture_leaves_the_outlines_of_what_is_selected_free(
    addon: Any, view: Any, following: Any, scene: Any
) -> None:
    """Drawn over a buffer of another colour: that is left along the edge of a selected cube, and nowhere else."""
    import bpy
    import gpu
    from mathutils import Matrix

    from addon.blender.display.outlines import Outlines
    from tests.bpy.shapes import cube

    block = cube(scene, (0, 0, 0))
    block.select_set(True)
    bpy.context.view_layer.objects.active = block
    bpy.context.view_layer.update()
    half = np.float32(0.25)
    region = SimpleNamespace(width=64, height=64)
    flat = Matrix(((half, 0, 0, 0), (0, 0, half, 0), (0, -0.01, 0, 0), (0, 0, 0, 1)))  # from the front, 8 units wide
    view.space.overlay.show_overlays = True
    context = SimpleNamespace(
        selected_objects=[block],
        space_data=view.space,
        region=region,
        region_data=SimpleNamespace(window_matrix=flat, view_matrix=Matrix.Identity(4)),
        view_layer=bpy.context.view_layer,
    )
    outlines = Outlines()
    mask = outlines.mask(context)
    assert mask is not None
    seen = np.array(mask.read().to_list(), np.float32).reshape(64, 64, -1)[..., 0] > 0
    rows, columns = np.nonzero(seen)
    assert rows.min() == columns.min() == 28 and rows.max() == columns.max() == 35, "a cube of 1 of 8 units"
    again = outlines._batches[block.session_uid]
    outlines.mask(context)
    assert outlines._batches[block.session_uid] is again, "it is made anew at each redraw"
    block.data.transform(Matrix.Scale(2, 4))
    block.data.update()
    bpy.context.view_layer.update()
    assert outlines.mask(context) is not None and outlines._batches[block.session_uid] is not again
    view.space.overlay.show_outline_selected = False
    assert outlines.mask(context) is None
    view.space.overlay.show_outline_selected = True
    context.selected_objects = []
    assert outlines.mask(context) is None

    shader = addon.overlay._the_shader()
    from gpu_extras.batch import batch_for_shader

    offscreen = gpu.types.GPUOffScreen(64, 64)
    try:
        with offscreen.bind(), gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
            gpu.state.active_framebuffer_get().clear(color=(0.0, 1.0, 0.0, 1.0))
            gpu.matrix.load_matrix(Matrix.Identity(4))
            gpu.matrix.load_projection_matrix(Matrix.Identity(4))
            corners, places = ((-1, -1), (1, -1), (-1, 1), (1, 1)), ((0, 0), (1, 0), (0, 1), (1, 1))
            batch = batch_for_shader(shader, "TRI_STRIP", {"pos": corners, "texCoord": places})
            shader.bind()
            shader.uniform_sampler("image", addon.pictures.texture_of(np.zeros((8, 8, 3), np.uint8)))
            shader.uniform_sampler("selected", mask)
            shader.uniform_int("reach", [2])
            shader.uniform_float("opacity", 1.0)
            batch.draw(shader)
            read = gpu.state.active_framebuffer_get().read_color(0, 0, 64, 64, 4, 0, "UBYTE")
        left = np.array(read.to_list()).reshape(64, 64, 4)[..., 1] > 200
    finally:
        offscreen.free()
    assert not left[32, 8] and not left[32, 32] and not left[8, 32], "the picture is not there"
    for at in (24, 39):  # it is 2 units wide now
        assert left[32, at] and left[at, 32], "the picture covers an outline"
