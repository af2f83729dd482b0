"""Tells whether the viewport shows something new. Imports bpy.

No single event of Blender's says so: orbiting fires none but a redraw, and a redraw also follows our own writing
of pictures. So a key is compared: matrices, shading, frame, and a counter that edits, undo and file loads raise.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..display import live_image
from .spaces import give_back, looks
from .viewports import Viewport

_edits = 0
_loads = 0
_undos = 0


def count_edit() -> None:
    """Note that what a view shows may have changed."""
    global _edits
    _edits += 1


@persistent
def _on_depsgraph(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    updates = list(depsgraph.updates)
    # Image and screen data don't show in a capture by themselves; an empty list is a change of some other kind.
    if not updates or any(not isinstance(update.id, _UNSEEN) for update in updates):
        count_edit()


@persistent
def _on_event(*_: Any) -> None:
    count_edit()


@persistent
def _on_undo(*_: Any) -> None:
    global _undos
    _undos += 1
    count_edit()


@persistent
def _on_load(*_: Any) -> None:
    global _loads
    _loads += 1
    count_edit()


def loads() -> int:
    """How many files were loaded while live was on."""
    return _loads


def undos() -> int:
    """How often something was undone, or done again, while live was on."""
    return _undos


@persistent
def _on_save(*_: Any) -> None:
    give_back()
    live_image.pack()


_UNSEEN = (bpy.types.Screen, bpy.types.WindowManager, bpy.types.WorkSpace, bpy.types.Text)
_HANDLERS = {
    "depsgraph_update_post": _on_depsgraph,
    "frame_change_post": _on_event,
    "undo_post": _on_undo,
    "redo_post": _on_undo,
    "load_post": _on_load,
    "save_pre": _on_save,
}


def watch() -> None:
    """Begin to count edits; to be called when live starts."""
    for name, handler in _HANDLERS.items():
        handlers = getattr(bpy.app.handlers, name)
        if handler not in handlers:
            handlers.append(handler)


def unwatch() -> None:
    """Stop counting: live is off and costs nothing."""
    for name, handler in _HANDLERS.items():
        handlers = getattr(bpy.app.handlers, name)
        if handler in handlers:
            handlers.remove(handler)


def view_key(viewport: Viewport) -> Hashable:
    """A value that is equal exactly while the viewport shows the same, as far as Blender lets one know.

    It may change without a visible change (selecting fires an edit); the capture's content tells then.
    """
    region, view = viewport.region, viewport.view
    return (
        viewport.area.as_pointer(),
        region.as_pointer(),
        (region.width, region.height),
        tuple(value for row in view.view_matrix for value in row),
        tuple(value for row in view.window_matrix for value in row),
        looks(viewport.space),
        tuple(value for plane in view.clip_planes for value in plane) if view.use_clip_planes else None,
        viewport.scene.name_full,
        viewport.view_layer.name,
        viewport.scene.frame_current_final,
        _edits,
    )
