"""Views of a scene along a path, drawn by Blender as the live session draws them. Imports bpy's parts of the add-on."""

from __future__ import annotations

import math
from pathlib import Path

import bpy  # noqa: F401 - it brings mathutils along
from mathutils import Matrix

from addon.blender.capture.draft import Draft
from addon.blender.scene_file.scene import OfflineScene

PATHS = ("orbit", "dolly", "pan", "walk", "turn", "move")
DEGREE = math.tau / 360


def drafts(scene: Path, path: str, frames: int, size: int, moving: str | None = None) -> list[Draft]:
    """``frames`` drafts of ``size`` x ``size`` pixels with their planes. Raises OfflineError.

    ``orbit``: a degree a frame round the scene. ``dolly``: forwards, a hundredth of the nearest surface's distance a
    frame. ``pan``: half a degree to the side. ``walk``: both. ``turn``: the camera rests, and the object ``moving``
    turns by two degrees a frame. ``move``: the camera rests, and ``moving`` is elsewhere from the middle on, by its own
    size.
    """
    opened = OfflineScene(scene, size, True, moving, ids=True)
    opened.ready()
    opened.begin(())
    made: list[Draft] = []
    for number in range(frames):
        elsewhere = path == "move" and number >= frames // 2
        if path == "turn":
            opened.place(0.0, None, None)
            opened.turn(2 * DEGREE * number)
            made.append(opened.draw())
            continue
        if path in ("orbit", "move") or not made:
            turn = number / 360 if path == "orbit" else 0.0
            opened.place(turn, None, opened.own_size if elsewhere else None)
            made.append(opened.draw())
            continue
        forwards = -0.01 * number * made[0].near if path in ("dolly", "walk") else 0.0
        aside = -DEGREE / 2 * number if path in ("pan", "walk") else 0.0
        made.append(opened.draw_from(Matrix.Translation((0, 0, forwards)) @ Matrix.Rotation(aside, 4, "Y")))
    return made
