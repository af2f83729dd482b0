"""The picture over the 3D View that it was made from, with a line that splits the two. Imports bpy and gpu.

Drawn by a handler of the viewport's own, which a capture does not run: so the picture never gets into the draft. A
new picture redraws its viewport once; what live compares to notice a change knows nothing of redraws.
"""

from collections.abc import Callable
from typing import Any

import bpy
import gpu
from bpy.props import BoolProperty, FloatProperty, PointerProperty
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix

from ...live.shown import ShownPicture
from ..capture.framing import Rectangle, place_of
from ..live import switch as live
from . import overlay_shader, picture_texture
from .drawing import AMBER, STRIP, box, frame, quad
from .outlines import WIDTH, Outlines

HANDLE = 7.0
"""Half the height of the split line's handle, in units of Blender's interface."""


class DraftglassOverlay(bpy.types.PropertyGroup):
    """What is drawn over the editors; ``bpy.context.scene.draftglass_overlay``."""

    show: BoolProperty(
        name="Overlay",
        description="Show the picture in the 3D View itself, over the scene that it was made from",
        default=False,
        update=lambda _self, _context: redraw(),
    )
    opacity: FloatProperty(
        name="Opacity",
        description="How much of the scene the picture covers",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=lambda _self, _context: redraw(),
    )
    split: FloatProperty(
        name="Split",
        description="The scene is seen left of this line, the picture right of it; drag the line in the 3D View",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=lambda _self, _context: redraw(),
    )
    hud: BoolProperty(
        name="Numbers on the Picture",
        description="Show rate, stage times, dropped frames, model and progress over the picture",
        default=False,
        update=lambda _self, _context: redraw(),
    )


CLASSES = (DraftglassOverlay,)

dragged: float | None = None
"""Where the split line is while it is dragged: the scene gets it at the end, as each write to it redraws Blender."""
old = False
"""Whether the picture is to be marked as an old one."""

above: list[Callable[[bpy.types.Context], None]] = []
"""What others draw on top of the picture."""

_handlers: list[Any] = []  # of the picture, and of what lies over all else
_outlines = Outlines()
_shown: ShownPicture | None = None
_shader: gpu.types.GPUShader | None = None


def attach() -> None:
    """Add the settings to scenes, and listen to live."""
    bpy.types.Scene.draftglass_overlay = PointerProperty(type=DraftglassOverlay)
    live.on_picture.append(_on_picture)
    live.on_beat.append(_on_beat)


def detach() -> None:
    """Take them away again."""
    close()
    for callbacks, callback in ((live.on_picture, _on_picture), (live.on_beat, _on_beat)):
        if callback in callbacks:
            callbacks.remove(callback)
    del bpy.types.Scene.draftglass_overlay


def followed() -> tuple[bpy.types.Window, bpy.types.Area, bpy.types.Region] | None:
    """The viewport that live follows, with its area and window; None while there is none."""
    session, manager = live.session(), bpy.context.window_manager
    for window in manager.windows if session is not None and manager is not None else ():
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.as_pointer() == session.region:
                        return window, area, region
    return None


def settings_of(window: bpy.types.Window | None) -> DraftglassOverlay | None:
    """The settings of the scene that ``window`` shows."""
    return getattr(window.scene, "draftglass_overlay", None) if window is not None else None


def redraw() -> None:
    """Draw the viewport that live follows anew."""
    found = followed()
    if found is not None:
        found[2].tag_redraw()


def close() -> None:
    """Draw no more, and forget the picture; nothing is left on the GPU."""
    global _shown, old
    _hide()
    picture_texture.forget()
    _shown, old = None, False


def _hide() -> None:
    global _shader, dragged
    if _handlers:
        redraw_viewports()
    for handler in _handlers:
        bpy.types.SpaceView3D.draw_handler_remove(handler, "WINDOW")
    _handlers.clear()
    _outlines.free()
    _shader = dragged = None


def redraw_viewports() -> None:
    """Every 3D View's main regions: where the one that was followed is not known any more."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager is not None else ():
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "WINDOW":
                        region.tag_redraw()


def split_of(settings: DraftglassOverlay) -> float:
    """Where the line is now, 0 to 1 of the picture's width."""
    return settings.split if dragged is None else dragged


def place_in(context: bpy.types.Context) -> Rectangle | None:
    """Where the picture lies in the region of ``context``, in its pixels; None where the overlay is not shown there."""
    session, region, view = live.session(), context.region, context.region_data
    settings = settings_of(context.window)
    if session is None or region is None or view is None or settings is None:
        return None
    if _shown is None or not settings.show or region.as_pointer() != session.region:
        return None
    return place_of(_shown.request.frame.projection, view.window_matrix, region.width, region.height)


def line_in(context: bpy.types.Context) -> float | None:
    """Where the split line is in the region of ``context``, in pixels from its left; None where there is none."""
    place, settings = place_in(context), settings_of(context.window)
    return None if place is None or settings is None else place[0] + (place[2] - place[0]) * split_of(settings)


def part_at(context: bpy.types.Context, x: float) -> float:
    """The split, 0 to 1, of a line at ``x`` pixels from the region's left."""
    place = place_in(context)
    return 0.0 if place is None else min(1.0, max(0.0, (x - place[0]) / max(1.0, place[2] - place[0])))


def _on_picture(shown: ShownPicture) -> None:
    global _shown
    _shown = shown
    if _handlers:
        redraw()


def _on_beat() -> None:
    if not live.is_running():
        close()
        return
    found = followed()
    settings = settings_of(found[0]) if found is not None else None
    wanted = settings is not None and settings.show
    if wanted and not _handlers:
        add = bpy.types.SpaceView3D.draw_handler_add
        _handlers[:] = add(_draw_picture, (), "WINDOW", "POST_VIEW"), add(_draw, (), "WINDOW", "POST_PIXEL")
        redraw()
    elif not wanted and _handlers:
        _hide()


def _draw_picture() -> None:
    """Before Blender draws its gizmos, in the pixels of the region."""
    context = bpy.context
    width, height = context.region.width, context.region.height
    to_clip = Matrix(((2 / width, 0, 0, -1), (0, 2 / height, 0, -1), (0, 0, -1, 0), (0, 0, 0, 1)))
    depth_test = gpu.state.depth_test_get()
    gpu.state.depth_test_set("NONE")
    with gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
        gpu.matrix.load_matrix(Matrix.Identity(4))
        gpu.matrix.load_projection_matrix(to_clip)
        _draw_in_pixels(context)
    gpu.state.depth_test_set(depth_test)


def _draw_in_pixels(context: bpy.types.Context) -> None:
    place, settings = place_in(context), settings_of(context.window)
    if place is None or settings is None:
        return
    left, bottom, right, top = place
    split = split_of(settings)
    middle = left + (right - left) * split
    if settings.opacity > 0 and split < 1:
        shader = _the_shader()
        corners = ((middle, bottom), (right, bottom), (right, top), (middle, top))
        places = ((split, 0), (1, 0), (1, 1), (split, 1))
        values = {"pos": [corners[n] for n in STRIP], "texCoord": [places[n] for n in STRIP]}
        batch = batch_for_shader(shader, "TRI_STRIP", values)
        selected = _outlines.mask(context)
        shader.bind()
        texture = picture_texture.texture_of(_shown.image)
        shader.uniform_sampler("image", texture)
        shader.uniform_sampler("selected", selected or texture)
        shader.uniform_int("reach", [round(WIDTH * context.preferences.system.ui_scale)] if selected else [0])
        shader.uniform_float("opacity", settings.opacity)
        gpu.state.blend_set("ALPHA")
        batch.draw(shader)
        gpu.state.blend_set("NONE")
    if old:
        frame(left, bottom, right, top, AMBER)


def _draw() -> None:
    """What lies over all else: the line, and what others have to say."""
    context = bpy.context
    if place_in(context) is None:
        return
    draw_line(context, dragged is not None)
    for draw in above:
        draw(context)


def free_span(context: bpy.types.Context) -> tuple[float, float]:
    """Left and right end of what no toolbar and no sidebar covers, in pixels of the region."""
    region, left, right = context.region, 0.0, float(context.region.width)
    for other in context.area.regions if context.area is not None else ():
        if other.type in {"TOOLS", "UI"} and other.width > 1 and other.height > 1:
            begin, end = other.x - region.x, other.x - region.x + other.width
            if begin <= 2 and end < right:
                left = max(left, float(end))
            elif end >= region.width - 2 and begin > left:
                right = min(right, float(begin))
    return left, right


def handle_in(context: bpy.types.Context) -> tuple[float, float] | None:
    """The middle of the split line's handle: where it can be taken hold of, also with the line at the very edge."""
    place, x = place_in(context), line_in(context)
    if place is None or x is None:
        return None
    left, right = free_span(context)
    room = 2 * HANDLE * context.preferences.system.ui_scale
    return min(max(x, left + room), right - room), (max(place[1], 0) + min(place[3], context.region.height)) / 2


def draw_line(context: bpy.types.Context, lit: bool) -> None:
    """The split line, and its handle."""
    place, x, handle = place_in(context), line_in(context), handle_in(context)
    if place is None or x is None or handle is None:
        return
    scale, (at, middle) = context.preferences.system.ui_scale, handle
    bright = (1, 1, 1, 1) if lit else (0.85, 0.85, 0.85, 0.9)
    for width, colour in ((2.0 * scale, (0, 0, 0, 0.6)), (1.0 * scale, bright)):
        box(x - width / 2, place[1], x + width / 2, place[3], colour)
    for size, colour in ((HANDLE * scale + 1, (0, 0, 0, 0.6)), (HANDLE * scale, bright)):
        quad(((at - size, middle), (at, middle - size), (at + size, middle), (at, middle + size)), colour)


def _the_shader() -> gpu.types.GPUShader:
    global _shader
    if _shader is None:
        _shader = overlay_shader.make()
    return _shader
