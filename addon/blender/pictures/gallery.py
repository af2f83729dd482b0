"""The pictures kept and settled since Blender was started, with thumbnails. Imports bpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews
import numpy as np

from ...live.shown import ShownPicture
from ..live import switch as live

MOST_BYTES = 256 * 1024 * 1024
"""Of pictures and drafts; beyond it the oldest that were not kept are let go."""
MOST = 200
THUMBNAIL = 128


@dataclass
class Entry:
    """One picture. ``path``: its file, once it is kept."""

    number: int
    shown: ShownPicture
    path: Path | None = None
    kept: bool = False

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        frame = self.shown.request.frame
        depth = frame.inverse_depth.nbytes if frame.inverse_depth is not None else 0
        return self.shown.image.nbytes + frame.image.nbytes + depth

    @property
    def title(self) -> str:
        """For lists."""
        prompt = self.shown.request.style.prompt
        short = prompt if len(prompt) <= 40 else prompt[:39] + "…"
        return f"{'Kept' if self.kept else 'Settled'}: {short}"


_entries: list[Entry] = []
_previews: Any = None
_items: list[tuple[str, str, str, int, int]] = []  # Blender keeps no reference to the strings
_number = _chosen = 0


def entries() -> tuple[Entry, ...]:
    """The newest first."""
    return tuple(reversed(_entries))


def add(shown: ShownPicture) -> Entry:
    """Put ``shown`` at the front, and let the oldest go that there is no room for."""
    global _number, _chosen
    if _entries and _chosen == _entries[-1].number:
        _chosen = 0  # who looks at the newest goes on to do so
    _number += 1
    entry = Entry(_number, shown)
    _entries.append(entry)
    if _previews is not None:
        _draw_thumbnail(entry)
    while len(_entries) > MOST or sum(one.bytes for one in _entries) > MOST_BYTES:
        oldest = next((one for one in _entries[:-1] if not one.kept), _entries[0])
        remove(oldest)
        if oldest is entry:
            break
    _list()
    return entry


def find(shown: ShownPicture) -> Entry | None:
    """The entry of a picture, if it has one."""
    return next((entry for entry in _entries if entry.shown is shown), None)


def get(number: int) -> Entry | None:
    """The entry of that number."""
    return next((entry for entry in _entries if entry.number == number), None)


def remove(entry: Entry) -> None:
    """Take ``entry`` out; its Image and its file are the caller's."""
    _entries.remove(entry)
    if _previews is not None:
        _previews.pop(str(entry.number), None)
    _list()


def changed() -> None:
    """An entry was kept: its title is another."""
    _list()


def selected() -> Entry | None:
    """The entry that the panel shows: the one chosen, the newest otherwise."""
    return get(_chosen) or (_entries[-1] if _entries else None)


def _on_picture(shown: ShownPicture) -> None:
    if shown.settled:
        add(shown)


def _list() -> None:
    _items[:] = [
        (str(entry.number), entry.title, entry.title, _icon(entry), entry.number) for entry in reversed(_entries)
    ]


def _icon(entry: Entry) -> int:
    preview = _previews.get(str(entry.number)) if _previews is not None else None
    return preview.icon_id if preview is not None else 0


def _draw_thumbnail(entry: Entry) -> None:
    image = entry.shown.image
    longer = max(image.shape[:2])
    height, width = (max(1, round(side * min(1.0, THUMBNAIL / longer))) for side in image.shape[:2])
    rows = np.linspace(image.shape[0] - 1, 0, height).round().astype(int)
    columns = np.linspace(0, image.shape[1] - 1, width).round().astype(int)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = image[rows[:, None], columns] / np.float32(255)
    preview = _previews.new(str(entry.number))
    preview.image_size = (width, height)
    preview.image_pixels_float.foreach_set(pixels.ravel())


def _enum_items(_self: Any, _context: bpy.types.Context | None) -> list[tuple[str, str, str, int, int]]:
    return _items


def _get(_self: Any) -> int:
    entry = selected()
    return entry.number if entry is not None else 0


def _set(_self: Any, value: int) -> None:
    global _chosen
    _chosen = value


def attach() -> None:
    """Begin to collect."""
    global _previews
    _previews = bpy.utils.previews.new()
    bpy.types.WindowManager.draftglass_gallery = bpy.props.EnumProperty(
        name="Pictures",
        description="The pictures kept and settled since Blender was started",
        items=_enum_items,
        get=_get,
        set=_set,
    )
    live.on_picture.append(_on_picture)


def detach() -> None:
    """Forget the pictures; files and Images stay."""
    global _previews
    if _on_picture in live.on_picture:
        live.on_picture.remove(_on_picture)
    _entries.clear()
    _items.clear()
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
        _previews = None
        del bpy.types.WindowManager.draftglass_gallery
