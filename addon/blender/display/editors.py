"""Opens an Image Editor for the live picture, and shows all of it there. Imports bpy."""

from __future__ import annotations

import bpy

from ..capture.viewports import image_editors
from . import live_image

SHARE = 0.5
"""How much of the 3D View's width it keeps when an Image Editor is split off."""


def open_editor(window: bpy.types.Window, area: bpy.types.Area, width: int, height: int) -> bpy.types.Area | None:
    """Show our Image in an Image Editor: one that has it, else an empty one, else one split off the 3D View ``area``.

    Returns the area that the 3D View is in afterwards; None where that must wait, as it is shown maximised. One that
    is too small to be split opens nothing; nor does background mode, where the screens of the file are nobody's to see.
    """
    if bpy.app.background:
        return area
    image = live_image.find()
    if image is not None and any(other.spaces.active.image == image for _, other in image_editors()):
        return area
    # an empty UV Editor is an Image Editor, too, but somebody's place to unwrap
    free = next((area.spaces.active for _, area in image_editors() if _is_free(area)), None)
    if free is None and window.screen.show_fullscreen:
        return None
    image = live_image.make(width, height)
    if free is not None:
        live_image.pin(free, image)
        return area
    before = {other.as_pointer() for other in window.screen.areas}
    tab = next((region.active_panel_category for region in area.regions if region.type == "UI"), "")
    region = next(region for region in area.regions if region.type == "WINDOW")
    try:
        with bpy.context.temp_override(window=window, screen=window.screen, area=area, region=region):
            bpy.ops.screen.area_split(direction="VERTICAL", factor=SHARE)
    except RuntimeError:
        return area
    new = next((other for other in window.screen.areas if other.as_pointer() not in before), None)
    if new is None:
        return area
    # The part on the right becomes the editor. The new part is the left one, at 0 until it is laid out.
    right = max((area, new), key=lambda other: other.x)
    left = new if right == area else area
    right.type = "IMAGE_EDITOR"
    live_image.pin(right.spaces.active, image)
    if tab:
        _show_tab(left.as_pointer(), tab)
    return left


def is_seen() -> bool:
    """Whether an Image Editor on the screen shows the picture."""
    return any(live_image.is_ours(area.spaces.active.image) for _, area in image_editors())


def _is_free(area: bpy.types.Area) -> bool:
    return area.ui_type == "IMAGE_EDITOR" and area.spaces.active.image is None


def _show_tab(area: int, tab: str, tries: int = 30) -> None:
    """Open a tab of the sidebar of the area at this address, once it is drawn: a split area opens its first one."""

    def attempt() -> float | None:
        nonlocal tries
        tries -= 1
        areas = (other for window in bpy.context.window_manager.windows for other in window.screen.areas)
        regions = (region for other in areas if other.as_pointer() == area for region in other.regions)
        region = next((region for region in regions if region.type == "UI"), None)
        if region is None or tries < 0:
            return None
        try:
            region.active_panel_category = tab
        except (AttributeError, TypeError):  # not drawn yet
            return 0.1
        region.tag_redraw()
        return None

    bpy.app.timers.register(attempt, first_interval=0.1)


def show_all(window: bpy.types.Window, area: bpy.types.Area) -> bool:
    """Zoom the editor so that the whole picture is seen. False while it has no size yet."""
    region = next((region for region in area.regions if region.type == "WINDOW"), None)
    if region is None or min(region.width, region.height) < 8:
        return False
    with bpy.context.temp_override(window=window, screen=window.screen, area=area, region=region):
        bpy.ops.image.view_all(fit_view=True)
    return True
