"""Detects pixels that a script wrote into an image of the scene: Blender tells only the viewport. Imports bpy, numpy.

The first write of an image is an edit like any other; of later ones nothing is heard but that a 3D View is drawn. So
after such a draw, and only then, the images with unsaved pixels are read and compared with what they were. (5.2 itself
shows them in a viewport only after `Image.update_tag()`, which is an edit.)
"""

from __future__ import annotations

import time
import zlib
from typing import Any

import bpy
import numpy as np

from ..display.live_image import is_ours

LEAST_PAUSE = 0.1
"""Seconds between two looks."""
SHARE = 0.05
"""Of the time that reading may take: a large image (1024 x 1024 takes 10 ms) is looked at less often."""


class Textures:
    """What the images looked like. One instance while live runs; costs a count for each draw of a 3D View."""

    def __init__(self) -> None:
        self._drawn = False
        self._next = 0.0
        self._seen: dict[int, tuple[tuple[int, ...], int]] = {}  # by number of the image: its size and checksum
        self._handler: Any = bpy.types.SpaceView3D.draw_handler_add(self._note, (), "WINDOW", "PRE_VIEW")

    def changed(self) -> bool:
        """Whether pixels were written since this looked the last time, which it does now if there is a reason."""
        began = time.perf_counter()
        if not self._drawn or began < self._next:
            return False
        self._drawn = False
        images = [image for image in bpy.data.images if self._may_change(image)]
        looks = {image.session_uid: _look(image) for image in images}
        changed = any(self._seen.get(number) != look for number, look in looks.items())
        self._seen = {image.session_uid: looks[image.session_uid] for image in images if image.is_dirty}
        ended = time.perf_counter()
        self._next = ended + max(LEAST_PAUSE, (ended - began) / SHARE)
        return changed

    def close(self) -> None:
        """Stop listening."""
        if self._handler is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self._handler, "WINDOW")
            self._handler = None

    def _note(self) -> None:
        self._drawn = True

    def _may_change(self, image: bpy.types.Image) -> bool:
        """Whether a script may have written to it since: saving and packing make an image clean again."""
        in_use = image.users > image.use_fake_user and image.has_data
        return in_use and (image.is_dirty or image.session_uid in self._seen) and not is_ours(image)


def _look(image: bpy.types.Image) -> tuple[tuple[int, ...], int]:
    size = (*image.size, image.channels)
    pixels = np.empty(size[0] * size[1] * size[2], np.float32)
    image.pixels.foreach_get(pixels)
    return size, zlib.crc32(pixels)
