"""Shows the picture in an Image Editor. Imports bpy and gpu.

Live pictures are drawn as a GPU texture over our Image, since each write to an Image's pixels redraws
every 3D View. When the view rests, the picture is written to that Image, to be saved, painted or used in nodes.
"""

from __future__ import annotations

from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from numpy.typing import NDArray

from ..capture.viewports import image_editors
from . import live_image, picture_texture
from .editors import show_all
from .live_image import is_ours


class Display:
    """The picture on show. One instance while live runs; the Image stays when it ends."""

    def __init__(self) -> None:
        self._newest: NDArray[np.uint8] | None = None
        self._written = self._tidy = True
        self._fitted = False
        self._areas: set[int] = set()  # editors that have our Image open, by address
        self._handler: Any = bpy.types.SpaceImageEditor.draw_handler_add(self._draw, (), "WINDOW", "POST_VIEW")

    def show(self, image: NDArray[np.uint8]) -> None:
        """Show ``image`` (uint8, H x W x 3, sRGB) in the Image Editors that have our Image open."""
        height, width = image.shape[:2]
        size = live_image.size()
        self._reopen(live_image.hold(width, height))
        if self._newest is None or live_image.size() != size:
            self._fitted = False
        picture_texture.texture_of(image)  # here, as drawing it should take no longer than it must
        self._newest, self._written, self._tidy = image, False, False
        self._redraw()

    def mend(self) -> None:
        """After an undo to before our Image was there, show the picture again: the view may be the same still."""
        image = live_image.find()
        if self._newest is None or (image is not None and live_image.is_shown(image)):
            return
        settled = self._written
        self.show(self._newest)
        if settled:
            self.keep()

    def keep(self) -> None:
        """Write the picture on show to the Image, once."""
        if self._written or self._newest is None:
            return
        size = live_image.size()
        live_image.write(self._newest)
        if live_image.size() != size:
            self._fitted = False
        # From here on the editor shows the Image itself, with whatever is painted on it.
        self._written = True
        self._redraw()

    def tidy(self) -> None:
        """Leave nothing in the Image that Blender would ask about when it is closed. Once a picture; takes 30 ms."""
        if not self._tidy:
            self._tidy = True
            self.keep()
            live_image.pack()

    def close(self) -> None:
        """End drawing; the last picture stays in the Image."""
        if self._handler is not None:
            self.tidy()
            live_image.unpin()
            bpy.types.SpaceImageEditor.draw_handler_remove(self._handler, "WINDOW")
            self._handler = None
            picture_texture.forget()
            self._redraw()

    def _reopen(self, ours: bpy.types.Image) -> None:
        """Put our Image back into editors that lost it to an undo; one that the user emptied stays empty."""
        editors = {area.as_pointer(): area.spaces.active for _, area in image_editors()}
        if not live_image.is_shown(ours):
            live_image.note_shown(ours)
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
                self._fitted = show_all(window, area)
            area.tag_redraw()

    def _draw(self) -> None:
        image = getattr(bpy.context.space_data, "image", None)
        if self._newest is None or self._written or not is_ours(image):
            return
        shader = gpu.shader.from_builtin("IMAGE")
        corners = ((0, 0), (1, 0), (1, 1), (0, 1))
        batch = batch_for_shader(shader, "TRI_FAN", {"pos": corners, "texCoord": corners})
        shader.bind()
        shader.uniform_sampler("image", picture_texture.texture_of(self._newest))
        batch.draw(shader)
