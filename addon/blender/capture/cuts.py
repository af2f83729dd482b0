"""Camera cuts: where timeline markers hand over to another camera. Imports bpy."""

from __future__ import annotations

from collections.abc import Iterable

import bpy


def cuts(scene: bpy.types.Scene, frames: Iterable[int]) -> set[int]:
    """Those of ``frames``, in the order they are taken in, that another camera takes than the one before."""
    found, before = set(), None
    for number, frame in enumerate(frames):
        camera = camera_at(scene, frame)
        if number and camera != before:
            found.add(frame)
        before = camera
    return found


def camera_at(scene: bpy.types.Scene, frame: int) -> bpy.types.Object | None:
    """The camera that takes ``frame``: that of the last marker by then, else of the first one, else the scene's.

    As Blender's ``BKE_scene_camera_switch_find`` chooses it.
    """
    bound = sorted((marker.frame, index) for index, marker in enumerate(scene.timeline_markers) if marker.camera)
    if not bound:
        return scene.camera
    at = max((each for each in bound if each[0] <= frame), default=bound[0])
    return scene.timeline_markers[at[1]].camera
