"""Shows the picture in an Image Editor. Imports bpy and gpu.

Live pictures are drawn as a GPU texture over the Image "Draftglass", since each write to an Image's pixels redraws
every 3D View. When the view rests, the picture is written to that Image, to be saved, painted or used in nodes.
"""

from __future__ import annotations

from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from numpy.typing import NDArray

from .viewports import image_editors

NAME = "Draftglass"
_MARK = "draftglass_shown"
_OWNER = "draftglass_made"
SHARE = 0.5
"""How much of the 3D View's width it keeps when an Image Editor is split off."""


class Display:
    """The picture on show. One instance while live runs; the Image stays when it ends."""

    def __init__(self) -> None:
        self._texture: gpu.types.GPUTexture | None = None
        self._newest: NDArray[np.uint8] | None = None
        self._written = True
        self._fitted = False
        self._areas: set[int] = set()  # editors that have our Image open, by address
        self._handler: Any = bpy.types.SpaceImageEditor.draw_handler_add(self._draw, (), "WINDOW", "POST_VIEW")

    def show(self, image: NDArray[np.uint8]) -> None:
        """Show ``image`` (uint8, H x W x 3, sRGB) in the Image Editors that have our Image open."""
        height, width = image.shape[:2]
        if self._newest is None or self._newest.shape != image.shape:
            self._fitted = False
        ours = _the_image(width, height)
        self._reopen(ours)
        pixels = _rgba(image)
        buffer = gpu.types.Buffer("FLOAT", pixels.size, pixels.ravel())
        self._texture = gpu.types.GPUTexture((width, height), format=_texture_format(), data=buffer)
        self._newest, self._written = image, False
        self._redraw()

    def mend(self) -> None:
        """After an undo to before our Image was there, show the picture again: the view may be the same still."""
        image = bpy.data.images.get(NAME)
        if self._newest is None or (image is not None and image.get(_MARK) is not None):
            return
        settled = self._written
        self.show(self._newest)
        if settled:
            self.keep()

    def keep(self) -> None:
        """Write the picture on show to the Image, once."""
        if self._written or self._newest is None:
            return
        height, width = self._newest.shape[:2]
        image = _the_image(width, height)
        image.pixels.foreach_set(_rgba(self._newest).ravel())
        image.update()
        # From here on the editor shows the Image itself, with whatever is painted on it.
        self._texture, self._written = None, True
        self._redraw()

    def close(self) -> None:
        """End drawing; the last picture stays in the Image."""
        if self._handler is not None:
            self.keep()
            bpy.types.SpaceImageEditor.draw_handler_remove(self._handler, "WINDOW")
            self._handler = None
            self._redraw()

    def _reopen(self, ours: bpy.types.Image) -> None:
        """Put our Image back into editors that lost it to an undo; one that the user emptied stays empty."""
        editors = {area.as_pointer(): area.spaces.active for _, area in image_editors()}
        if ours.get(_MARK) is None:
            ours[_MARK] = True
            self._fitted = False
            for address in self._areas & editors.keys():
                if editors[address].image is None:
                    editors[address].image = ours
        self._areas = {address for address, space in editors.items() if space.image == ours}

    def _redraw(self) -> None:
        for window, area in image_editors():
            space = area.spaces.active
            if not is_ours(space.image):
                continue
            if not self._fitted:
                self._fitted = _fit(window, area)
            area.tag_redraw()

    def _draw(self) -> None:
        image = getattr(bpy.context.space_data, "image", None)
        if self._texture is None or not is_ours(image):
            return
        shader = gpu.shader.from_builtin("IMAGE")
        corners = ((0, 0), (1, 0), (1, 1), (0, 1))
        batch = batch_for_shader(shader, "TRI_FAN", {"pos": corners, "texCoord": corners})
        shader.bind()
        shader.uniform_sampler("image", self._texture)
        batch.draw(shader)


def open_editor(window: bpy.types.Window, area: bpy.types.Area, width: int, height: int) -> bool:
    """Show our Image in an Image Editor: one that has it, else an empty one, else one split off the 3D View ``area``.

    Returns False where that must wait, as the area is shown maximised. One that is too small to be split opens
    nothing; nor does background mode, where the screens of the file are nobody's to see.
    """
    if bpy.app.background:
        return True
    image = _the_image(width, height)
    editors = [area.spaces.active for _, area in image_editors()]
    if any(space.image == image for space in editors):
        return True
    # an empty UV Editor is an Image Editor, too, but somebody's place to unwrap
    free = next((area.spaces.active for _, area in image_editors() if _is_free(area)), None)
    if free is not None:
        _show(free, image)
        return True
    if window.screen.show_fullscreen:
        return False
    before = {other.as_pointer() for other in window.screen.areas}
    tab = next((region.active_panel_category for region in area.regions if region.type == "UI"), "")
    region = next(region for region in area.regions if region.type == "WINDOW")
    try:
        with bpy.context.temp_override(window=window, screen=window.screen, area=area, region=region):
            bpy.ops.screen.area_split(direction="VERTICAL", factor=SHARE)
    except RuntimeError:
        return True
    new = next((other for other in window.screen.areas if other.as_pointer() not in before), None)
    if new is None:
        return True
    # the part on the right becomes the editor; the address of the 3D View that is followed may be either's
    right = max((area, new), key=lambda other: other.x)
    right.type = "IMAGE_EDITOR"
    _show(right.spaces.active, image)
    if tab:
        _show_tab(min((area, new), key=lambda other: other.x).as_pointer(), tab)
    return True


def _is_free(area: bpy.types.Area) -> bool:
    return area.ui_type == "IMAGE_EDITOR" and area.spaces.active.image is None


def _show(space: bpy.types.SpaceImageEditor, image: bpy.types.Image) -> None:
    space.image = image
    space.use_image_pin = True  # else Texture Paint puts the painted image in its place


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


def _the_image(width: int, height: int) -> bpy.types.Image:
    """Our Image at that size, looked up by name: undo and file loads make references invalid.

    One of the same name in a linked library is another's, and stays as it is.
    """
    image = bpy.data.images.get((NAME, None))
    if image is not None and not _is_made_by_us(image):
        image.name = NAME + " (other)"
        image = None
    if image is None:
        image = bpy.data.images.new(NAME, width, height)
        image.use_fake_user = True
        image[_OWNER] = True
    if tuple(image.size) != (width, height):
        image.scale(width, height)
    return image


def _is_made_by_us(image: bpy.types.Image) -> bool:
    return image.source in {"GENERATED", "FILE"} and (image.get(_OWNER) or image.get(_MARK)) is not None


def is_ours(image: bpy.types.Image | None) -> bool:
    return image is not None and image.name == NAME and image.library is None


def _fit(window: bpy.types.Window, area: bpy.types.Area) -> bool:
    """Zoom the editor so that the whole picture is seen. False while it has no size yet."""
    region = next((region for region in area.regions if region.type == "WINDOW"), None)
    if region is None or min(region.width, region.height) < 8:
        return False
    with bpy.context.temp_override(window=window, screen=window.screen, area=area, region=region):
        bpy.ops.image.view_all(fit_view=True)
    return True


def _rgba(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 RGBA, bottom row first, 0..1, as Blender's pixels are."""
    height, width = image.shape[:2]
    pixels = np.ones((height, width, 4), np.float32)
    np.multiply(image[::-1], np.float32(1 / 255), out=pixels[..., :3])
    return pixels


def _texture_format() -> str:
    """Before 5.0 the shader IMAGE takes linear values and its sRGB texture decodes them; since then it takes sRGB."""
    return "RGBA8" if bpy.app.version >= (5, 0, 0) else "SRGB8_A8"
