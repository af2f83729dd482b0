"""What the depsgraph has reported as changed, for caches made from it. Imports bpy.

Listens only while somebody asks. Numbers of edits only grow.
"""

from __future__ import annotations

from typing import Any

import bpy
from bpy.app.handlers import persistent

_edits = 0
_everything = 0
_geometry: dict[int, int] = {}
"""By session_uid of an object: the edit in which its geometry was evaluated last."""

_OF_NO_SURFACE = (bpy.types.Camera, bpy.types.Image, bpy.types.Light, bpy.types.Material, bpy.types.Screen)
_OF_NO_SURFACE += (bpy.types.Text, bpy.types.Texture, bpy.types.WindowManager, bpy.types.WorkSpace, bpy.types.World)
_WITHOUT_SURFACE = frozenset({"CAMERA", "LIGHT", "LIGHT_PROBE", "SPEAKER"})
"""Types of objects. A change of these alone moves no surface."""


def edits() -> int:
    """The number of the last edit that may have changed what is shown, or where it is."""
    return _edits


def everything_since(edit: int) -> bool:
    """Whether all that was made from the depsgraph by then is out of date: a file was loaded, or something undone."""
    return _everything > edit


def geometry_since(edit: int) -> set[int]:
    """The ``session_uid`` of each object whose geometry was evaluated after that edit."""
    return {number for number, last in _geometry.items() if last > edit}


def _concerns_surfaces(update: bpy.types.DepsgraphUpdate) -> bool:
    changed = update.id
    if isinstance(changed, bpy.types.Object) and changed.type in _WITHOUT_SURFACE:
        return False
    for_looks = update.is_updated_shading and not (update.is_updated_geometry or update.is_updated_transform)
    return not for_looks and not isinstance(changed, _OF_NO_SURFACE)


@persistent
def _on_update(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    global _edits
    updates = [update for update in depsgraph.updates if _concerns_surfaces(update)]
    if not updates:  # also where nothing was evaluated, such as for a material's colour in the viewport
        return
    _edits += 1
    for update in updates:
        if update.is_updated_geometry and isinstance(update.id, bpy.types.Object):
            _geometry[update.id.original.session_uid] = _edits


@persistent
def _on_break(*_: Any) -> None:
    global _edits, _everything
    _edits += 1
    _everything = _edits
    _geometry.clear()


_HANDLERS = {
    "depsgraph_update_post": _on_update,
    "frame_change_post": _on_update,
    "undo_post": _on_break,
    "redo_post": _on_break,
    "load_post": _on_break,
}


def listen() -> None:
    """Begin, where nobody does so far; other add-ons empty Blender's lists at times, so it may be called again."""
    for name, handler in _HANDLERS.items():
        handlers = getattr(bpy.app.handlers, name)
        if handler not in handlers:
            handlers.append(handler)
            _on_break()  # whatever was missed


def unlisten() -> None:
    """Stop."""
    for name, handler in _HANDLERS.items():
        handlers = getattr(bpy.app.handlers, name)
        if handler in handlers:
            handlers.remove(handler)
