"""The 3D View spaces that captures are drawn from. Imports bpy.

A capture wants no overlays, and its depth a Solid draw. Switching either in the user's own space would redraw the
viewport at each capture, so a *twin* is used: a 3D View space of a workspace that no window shows, given the
user's shading whenever that changes. What was changed in a twin is put back when the view rests, when live stops, when
the file is saved and when its workspace comes to be shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import bpy
from bpy.app.handlers import persistent

_VISIBILITY = "show_object_viewport_"
_COPIED = ("clip_start", "clip_end", "lens")
_CAMERA, _LOCAL = "camera", "use_local_camera"

_lent: dict[int, dict[tuple[str, str], Any]] = {}
"""By address of a twin: what it had, by owner ("shading", "overlay" or "") and name, in the order of change."""


def is_plain(space: bpy.types.SpaceView3D) -> bool:
    """Whether a draw of ``space`` leaves a true depth buffer: Solid, and no overlays in it."""
    return (
        space.shading.type == "SOLID"
        and not space.overlay.show_overlays
        and not space.show_gizmo
        and not space.shading.show_xray
    )


def view_spaces() -> Iterator[tuple[bpy.types.Area, bpy.types.SpaceView3D]]:
    """Every 3D View space of the file, those behind another editor included."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if space.type == "VIEW_3D":
                    yield area, space


def any_space() -> tuple[bpy.types.SpaceView3D, bpy.types.Region]:
    """A 3D View of the file with its main region, for use without a window; rather one that shows the whole scene.

    Raises RuntimeError, with a sentence, when the file has none.
    """
    for area, space in sorted(view_spaces(), key=lambda pair: is_local(pair[1])):
        if area.spaces.active == space:
            for region in area.regions:
                if region.type == "WINDOW":
                    return space, region
    raise RuntimeError("the file has no 3D View in any of its workspaces: add one and save it")


def hidden_spaces() -> list[bpy.types.SpaceView3D]:
    """The 3D View spaces that no window shows, and that show the whole scene; in background mode all such."""
    shown = set()
    if not bpy.app.background:
        for window in bpy.context.window_manager.windows:
            shown |= {area.spaces.active.as_pointer() for area in window.screen.areas}
    return [space for _, space in view_spaces() if space.as_pointer() not in shown and not is_local(space)]


def colour_space(space: bpy.types.SpaceView3D) -> bpy.types.SpaceView3D | None:
    """A space that looks as ``space`` does but for overlays and gizmos; None where the file has no room for one."""
    release(shown_only=True)
    if not space.overlay.show_overlays and not space.show_gizmo:
        return space
    if is_local(space):
        return None
    twin = next((hidden for hidden in hidden_spaces() if hidden != space), None)
    if twin is not None:
        borrow(twin)
        hide_overlays(twin)
        copy_looks(space, twin)
    return twin


def depth_space(space: bpy.types.SpaceView3D, but: bpy.types.SpaceView3D | None = None) -> bpy.types.SpaceView3D | None:
    """A plain space that shows the objects that ``space`` shows; None where the file has no room for one."""
    if is_plain(space):
        return space
    if is_local(space):
        return None
    plain = next((hidden for hidden in reversed(hidden_spaces()) if hidden not in (space, but)), None)
    if plain is not None:
        borrow(plain)
        hide_overlays(plain)
        set_value(plain.shading, "type", "SOLID")
        set_value(plain.shading, "show_xray", False)
        _copy_visibility(space, plain)
    return plain


def release(shown_only: bool = False) -> None:
    """Give the twins back as they were; with ``shown_only``, those that a window shows by now."""
    give_back(shown_only)
    if not _lent:
        for handlers, handler in _handlers():
            if handler in handlers:
                handlers.remove(handler)


def give_back(shown_only: bool = False) -> None:
    """As :func:`release`, for within a handler of Blender: one that leaves its list there has the next skipped."""
    if not _lent:
        return
    hidden = {space.as_pointer() for space in hidden_spaces()} if shown_only else set()
    for _, space in view_spaces():
        address = space.as_pointer()
        if address in _lent and address not in hidden:
            values = _lent.pop(address)
            camera, local = values.pop(("", _CAMERA)), values.pop(("", _LOCAL))
            for (owner, name), value in sorted(values.items(), key=lambda item: rank(item[0][1])):
                set_value(getattr(space, owner) if owner else space, name, value)
            _set_camera(space, _found(camera))
            set_value(space, _LOCAL, local)
    if not shown_only:
        _lent.clear()


@persistent
def _on_save(*_: Any) -> None:
    give_back()


@persistent
def _on_load(*_: Any) -> None:
    """The twins go, and their addresses may be others' then."""
    _lent.clear()


def _handlers() -> tuple[tuple[list[Any], Any], ...]:
    return (bpy.app.handlers.save_pre, _on_save), (bpy.app.handlers.load_pre, _on_load)


def borrow(space: bpy.types.SpaceView3D) -> None:
    """Remember what ``space`` has, before the first change."""
    if space.as_pointer() in _lent:
        return
    for handlers, handler in _handlers():
        if handler not in handlers:
            handlers.append(handler)
    before: dict[tuple[str, str], Any] = {
        ("overlay", "show_overlays"): space.overlay.show_overlays,
        ("", "show_gizmo"): space.show_gizmo,
    }
    before |= {("shading", name): _plain(getattr(space.shading, name)) for name in _shading_names(space)}
    before |= {("", name): _plain(getattr(space, name)) for name in _visibility_names()}
    before |= {("", _CAMERA): _kept(space.camera), ("", _LOCAL): space.use_local_camera}
    _lent[space.as_pointer()] = before


@contextmanager
def without_overlays(space: bpy.types.SpaceView3D, solid: bool = False) -> Iterator[None]:
    """Switch the user's own ``space`` for one draw, and back: where no twin can be had, as in local view.

    Costs a redraw of the viewport; ``solid`` also sets Solid shading without X-ray, for the depth.
    """
    before: list[tuple[Any, str, Any, Any]] = [
        (space.overlay, "show_overlays", space.overlay.show_overlays, False),
        (space, "show_gizmo", space.show_gizmo, False),
    ]
    if solid:
        before += [
            (space.shading, "show_xray", space.shading.show_xray, False),
            (space.shading, "type", space.shading.type, "SOLID"),
        ]
    try:
        for owner, name, _, wanted in before:
            set_value(owner, name, wanted)
        yield
    finally:
        for owner, name, value, _ in reversed(before):
            set_value(owner, name, value)


def looks(space: bpy.types.SpaceView3D) -> tuple[Any, ...]:
    """All settings of ``space`` that change what a capture shows, as plain values that can be compared."""
    return (*(_plain(getattr(space.shading, name)) for name in _shading_names(space)), *visibility(space))


def visibility(space: bpy.types.SpaceView3D) -> tuple[Any, ...]:
    """The part of :func:`looks` that chooses objects, and the camera."""
    values: list[Any] = [_plain(getattr(space, name)) for name in (*_visibility_names(), _CAMERA, _LOCAL)]
    values.append(space.local_view is not None)
    values.append(space.use_local_collections)  # which of them are shown changes by an edit that Blender tells of
    return tuple(values)


def is_local(space: bpy.types.SpaceView3D) -> bool:
    """Whether ``space`` shows a choice of objects that no other space can be given."""
    return space.local_view is not None or space.use_local_collections


def hide_overlays(space: bpy.types.SpaceView3D) -> None:
    set_value(space.overlay, "show_overlays", False)
    set_value(space, "show_gizmo", False)


def copy_looks(source: bpy.types.SpaceView3D, target: bpy.types.SpaceView3D) -> None:
    """Give ``target`` the shading and the object types that ``source`` shows."""
    names = _shading_names(source)
    # the type and the light decide which of the others exist, so they go first
    for name in sorted(names, key=rank):
        set_value(target.shading, name, getattr(source.shading, name))
    _copy_visibility(source, target)


def _copy_visibility(source: bpy.types.SpaceView3D, target: bpy.types.SpaceView3D) -> None:
    for name in _visibility_names():
        set_value(target, name, getattr(source, name))
    _set_camera(target, source.camera)


def _set_camera(space: bpy.types.SpaceView3D, camera: bpy.types.Object | None) -> None:
    """Have ``space`` look through ``camera``, as one of its own: else Blender gives that camera to the scene."""
    if space.camera != camera:
        set_value(space, _LOCAL, True)
        space.camera = camera


def rank(name: str) -> tuple[bool, bool]:
    return name != "type", name != "light"


def _shading_names(space: bpy.types.SpaceView3D) -> tuple[str, ...]:
    """What there is to be read of its shading. Where no studio light is used, asking for it is an error to Blender."""
    names, shading = _all_shading_names(), space.shading
    lit = shading.light in {"STUDIO", "MATCAP"} if shading.type == "SOLID" else shading.type != "WIREFRAME"
    return names if lit else tuple(name for name in names if name != "studio_light")


@cache
def _all_shading_names() -> tuple[str, ...]:
    """Asked for once: looking up the names takes longer than all their values do."""
    properties = bpy.types.View3DShading.bl_rna.properties
    return tuple(prop.identifier for prop in properties if not prop.is_readonly and prop.type != "POINTER")


@cache
def _visibility_names() -> tuple[str, ...]:
    names = (prop.identifier for prop in bpy.types.SpaceView3D.bl_rna.properties)
    return (*(name for name in names if name.startswith(_VISIBILITY)), *_COPIED)


def set_value(owner: Any, name: str, value: Any) -> None:
    """Set only what differs: each write redraws every viewport. An enum value that the twin can't take is left."""
    if _plain(getattr(owner, name)) != _plain(value):
        try:
            setattr(owner, name, set(value) if isinstance(value, frozenset) else value)
        except TypeError:
            return


class _Object(NamedTuple):
    """What tells an object of the file: a reference to it dies with an undo."""

    name: str
    library: str | None


def _kept(thing: bpy.types.Object | None) -> _Object | None:
    if thing is None:
        return None
    return _Object(thing.name, thing.library.filepath if thing.library is not None else None)


def _found(kept: _Object | None) -> bpy.types.Object | None:
    return bpy.data.objects.get((kept.name, kept.library)) if kept is not None else None


def _plain(value: Any) -> Any:
    """``value`` as it may be kept: vectors and colours are views of what is about to change."""
    if isinstance(value, bpy.types.ID):
        return value.name_full
    if isinstance(value, (str, int, float, bool, frozenset, type(None))):
        return value
    if isinstance(value, set):
        return frozenset(value)
    return tuple(value)
