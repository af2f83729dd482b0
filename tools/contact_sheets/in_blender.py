"""Captures a scene by the code that captures in Blender: a process of its own, for ``captures``. Imports bpy.

    python -m tools.contact_sheets.in_blender SCENE FOLDER SIZE...

SCENE: a .blend file, or a name of ``blockouts``. Writes FOLDER/SIZE.npz, each a square draft with its depth.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy
import numpy as np

from addon.blender.capture.offscreen import Capturer, ensure_gpu, view_from_camera
from tools.contact_sheets.blockouts import BLOCKOUTS, look


def look_at_all(scene: bpy.types.Scene) -> None:
    """Give a scene without a camera one that sees all of its meshes, from the front, the right and above."""
    corners = [
        np.array(solid.matrix_world) @ (*corner, 1.0)
        for solid in scene.objects
        if solid.type == "MESH"
        for corner in solid.bound_box
    ]
    if not corners:
        raise SystemExit(f"the scene {scene.name!r} has no mesh to look at")
    low, high = np.min(corners, axis=0)[:3], np.max(corners, axis=0)[:3]
    middle, reach = (low + high) / 2, float(np.linalg.norm(high - low))
    look(scene, tuple(middle + reach * np.array((0.62, -0.78, 0.42))), tuple(middle))


def main() -> None:
    """Run from the command line."""
    scene_name, folder, *sizes = sys.argv[1:]
    if scene_name in BLOCKOUTS:
        bpy.ops.wm.read_homefile(use_factory_startup=True)
        for solid in list(bpy.data.objects):
            bpy.data.objects.remove(solid)
        BLOCKOUTS[scene_name](bpy.context.scene)
    else:
        bpy.ops.wm.open_mainfile(filepath=scene_name)
    ensure_gpu()
    scene = bpy.context.scene
    if scene.camera is None:
        look_at_all(scene)
    scene.view_layers[0].update()
    capturer = Capturer()
    for size in map(int, sizes):
        draft = capturer.draw(view_from_camera(scene, size, size), size, size)
        np.savez(
            Path(folder) / f"{size}.npz",
            image=draft.image,
            depth=draft.inverse_depth,
            near=draft.near,
            view=draft.view,
            projection=draft.projection,
        )
    sys.stdout.flush()
    os._exit(0)  # Blender's module is slow to end, and may fail at that


if __name__ == "__main__":
    main()
