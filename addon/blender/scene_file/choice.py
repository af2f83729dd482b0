"""Which scene, view layer, camera and 3D View of a file are taken. Imports bpy.

Those that the file's own window shows, but for what was asked for by name. What is set here is set in memory only,
which nobody saves.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import bpy

from .errors import OfflineError
from .opening import named


@dataclass(frozen=True)
class Wanted:
    """What was asked for by name; None for what the file's window shows."""

    scene: str | None = None
    view_layer: str | None = None
    camera: str | None = None


@dataclass(frozen=True)
class Choice:
    """What the views are taken of: ``space`` and ``region`` are a 3D View in Solid shading without overlays."""

    scene: bpy.types.Scene
    view_layer: bpy.types.ViewLayer
    space: bpy.types.SpaceView3D
    region: bpy.types.Region


def choose(wanted: Wanted) -> Choice:
    """Find what is ``wanted``, and have the file's window show it. Raises OfflineError for a name that is not there."""
    window = main_window()
    scene: bpy.types.Scene = window.scene
    layer: bpy.types.ViewLayer = window.view_layer
    if wanted.scene is not None and wanted.scene != scene.name:
        scene = find(bpy.data.scenes, wanted.scene, "scene", "the file")
        layer = scene.view_layers[0]
    if wanted.view_layer is not None:
        layer = find(scene.view_layers, wanted.view_layer, "view layer", f"the scene {scene.name!r}")
    space, region = _canvas(window)
    window.scene, window.view_layer = scene, layer
    if wanted.camera is not None:
        _look_through(scene, wanted.camera)
    layer.update()
    return Choice(scene, layer, space, region)


def main_window() -> bpy.types.Window:
    """The window that was the file's first; Blender opens every file with one, in the background too."""
    manager = bpy.context.window_manager
    assert manager is not None and len(manager.windows), "Blender makes a window for a file that has none"
    return next((window for window in manager.windows if window.parent is None), manager.windows[0])


def find(among: Any, name: str, kind: str, where: str) -> Any:
    """The one of that ``name``. Raises OfflineError, with names that are near it."""
    found = among.get(name)
    if found is None:
        raise OfflineError(f"there is no {kind} {name!r} in {where}{near(name, among.keys())}")
    return found


def near(name: str, known: Iterable[str]) -> str:
    """The end of a sentence with those ``known`` names that look like ``name``, else with the first; empty without."""
    all_of_them = list(known)
    close = difflib.get_close_matches(name, all_of_them, 3, 0.4)
    if close:
        return f"; near it: {named(close)}"
    return f"; there is {named(all_of_them)}" if all_of_them else ""


def _look_through(scene: bpy.types.Scene, name: str) -> None:
    """Make the camera of that name the scene's, for all of its frames."""
    camera = scene.objects.get(name) or bpy.data.objects.get(name)
    cameras = [known.name for known in bpy.data.objects if known.type == "CAMERA"]
    if camera is None:
        raise OfflineError(f"there is no camera {name!r} in the file{near(name, cameras)}")
    if camera.type != "CAMERA":
        raise OfflineError(f"{name!r} is no camera but of the kind {camera.type.lower()}{near(name, cameras)}")
    scene.camera = camera
    for marker in scene.timeline_markers:
        marker.camera = None


def _canvas(window: bpy.types.Window) -> tuple[bpy.types.SpaceView3D, bpy.types.Region]:
    """The largest 3D View of the window's screen, made ready to be drawn from; else the largest there is."""
    area = _largest(window.screen.areas) or _largest(area for screen in bpy.data.screens for area in screen.areas)
    if area is None:  # in memory only: the file on the disk stays as it is
        area = max(window.screen.areas, key=lambda other: other.width * other.height)
        area.type = "VIEW_3D"
    space: Any = area.spaces.active
    region = next(region for region in area.regions if region.type == "WINDOW")
    if space.local_view is not None:  # a choice of objects that is no part of the scene
        screen = next(screen for screen in bpy.data.screens if any(area == other for other in screen.areas))
        with bpy.context.temp_override(window=window, screen=screen, area=area, region=region):
            bpy.ops.view3d.localview(frame_selected=False)
    space.use_local_collections = False
    space.shading.type = "SOLID"
    space.overlay.show_overlays = space.show_gizmo = False
    if space.region_3d is not None:
        space.region_3d.use_clip_planes = False
    return space, region


def _largest(areas: Iterable[bpy.types.Area]) -> bpy.types.Area | None:
    return max(
        (area for area in areas if area.type == "VIEW_3D"), key=lambda area: area.width * area.height, default=None
    )
