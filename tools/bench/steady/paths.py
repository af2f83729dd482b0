"""Views of a scene along a path, drawn by Blender as the live session draws them. Imports bpy's parts of the add-on."""

from __future__ import annotations

from pathlib import Path

from mathutils import Matrix

from addon.blender.capture.draft import Draft
from addon.blender.capture.scene_file import OfflineScene

PATHS = ("orbit", "dolly", "pan", "walk", "move")
DEGREE = 1 / 360


def drafts(scene: Path, path: str, frames: int, size: int, moving: str | None = None) -> list[Draft]:
    """``frames`` drafts of ``size`` x ``size`` pixels with their planes. Raises OfflineError.

    ``orbit``: a degree a frame round the scene. ``dolly``: forwards, a hundredth of the nearest surface's distance a
    frame. ``pan``: half a degree to the side. ``walk``: forwards while turning. ``move``: the camera rests, and the
    object ``moving`` is elsewhere from the middle on, by its own size.
    """
    opened = OfflineScene(scene, size, True, moving)
    opened.ready()
    made = []
    for number in range(frames):
        moved = None
        if path == "move":
            moved = opened.own_size if number >= frames // 2 else (0.0, 0.0, 0.0)
        opened.place(number * DEGREE if path == "orbit" else 0.0, None, moved)
        if path in ("dolly", "walk"):
            opened.step(Matrix.Translation((0, 0, -number * 0.01 * made[0].near if made else 0.0)))
        if path in ("pan", "walk"):
            opened.step(Matrix.Rotation(-number * DEGREE / 2 * 6.2831853, 4, "Y"))
        made.append(opened.draw(ids=True))
    return made
