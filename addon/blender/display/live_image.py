"""The Image datablock that holds the live picture: found under any name, written, packed. Imports bpy.

References to it die with an undo or a file load, so it is looked up each time: by its number, which outlives both
and a new name, else by the mark that it has had since it was made.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from numpy.typing import NDArray

NAME = "Draftglass"
"""When it is made; a person may give it another one."""
_MARK, _SHOWN, _PINNED = "draftglass_made", "draftglass_shown", "draftglass_pinned"
_number = 0  # of our Image in this session of Blender: a copy of it has the same mark, but another number


def find() -> bpy.types.Image | None:
    """Our Image, if the file has it. One of the same name without our mark, or in a library, is another's."""
    global _number
    named = bpy.data.images.get((NAME, None))
    if named is not None and named.session_uid == _number:
        return named
    marked = [image for image in bpy.data.images if _is_marked(image)]
    found = min(marked, key=lambda image: (image.session_uid != _number, image != named), default=None)
    _number = found.session_uid if found is not None else 0
    return found


def make(width: int, height: int) -> bpy.types.Image:
    """Our Image at that size, made where the file has none."""
    global _number
    image = find()
    if image is None:
        image = bpy.data.images.new(NAME, width, height)
        image.use_fake_user = True
        image[_MARK] = True
        _number = image.session_uid
    if image.source in {"SEQUENCE", "MOVIE"} or not all(image.size):
        image.source = "GENERATED"  # saved to a file that is gone by now, or given a source that no pixels go to
    if tuple(image.size) != (width, height):
        image.scale(width, height)
    return image


def hold(width: int, height: int) -> bpy.types.Image:
    """Our Image for a picture of that size: as it is, where it is a larger one of the same proportions.

    So it keeps the size of the picture at rest, and nobody's zoom jumps, while smaller ones are drawn over it.
    """
    held = size()
    if held is not None and held[0] >= width and held[0] * height == held[1] * width:
        width, height = held
    return make(width, height)


def size() -> tuple[int, int] | None:
    """Width and height of our Image; None where the file has none."""
    image = find()
    return None if image is None else (image.size[0], image.size[1])  # type: ignore[index]


def is_ours(image: bpy.types.Image | None) -> bool:
    """Whether ``image`` is the one that live's pictures are seen in."""
    return image is not None and image.session_uid == _number and image.library is None


def write(image: NDArray[np.uint8]) -> None:
    """Give our Image the pixels of ``image`` (uint8, H x W x 3, sRGB, top row first)."""
    height, width = image.shape[:2]
    ours = make(width, height)
    ours.pixels.foreach_set(rgba(image).ravel())
    ours.update()


def pack() -> None:
    """Put what our Image shows into the .blend, where it is not yet: else Blender asks about it when it is closed."""
    image = find()
    if image is not None and image.is_dirty and image.has_data:
        image.pack()


def is_shown(image: bpy.types.Image) -> bool:
    """Whether editors have shown it since it was made: an undo takes that back."""
    return image.get(_SHOWN) is not None


def note_shown(image: bpy.types.Image) -> None:
    """Keep in mind that editors show it."""
    image[_SHOWN] = True


def pin(space: bpy.types.SpaceImageEditor, image: bpy.types.Image) -> None:
    """Show ``image`` and hold it there: else Texture Paint puts the painted image in its place."""
    space.image = image
    space.use_image_pin = True
    image[_PINNED] = True


def unpin() -> None:
    """Let go of it in all editors, if it was us who held it there; a person who pins it while live is off keeps it."""
    image = find()
    if image is None or image.get(_PINNED) is None:
        return
    del image[_PINNED]
    for space in _editors():
        if space.image == image:
            space.use_image_pin = False


def rgba(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 RGBA, bottom row first, 0..1, as Blender's pixels are."""
    height, width = image.shape[:2]
    pixels = np.ones((height, width, 4), np.float32)
    np.multiply(image[::-1], np.float32(1 / 255), out=pixels[..., :3])
    return pixels


def _is_marked(image: bpy.types.Image) -> bool:
    has_mark = image.get(_MARK) is not None or image.get(_SHOWN) is not None
    return has_mark and image.library is None and image.source in {"GENERATED", "FILE"}


def _editors() -> Sequence[bpy.types.SpaceImageEditor]:
    """Every Image Editor of the file, those of screens that no window shows included."""
    spaces = (space for screen in bpy.data.screens for area in screen.areas for space in area.spaces)
    return [space for space in spaces if space.type == "IMAGE_EDITOR"]
