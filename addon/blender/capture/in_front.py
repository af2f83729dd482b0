"""What is displayed In Front: Blender leaves the near plane in its depth buffer. Imports bpy, mathutils, numpy."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...geometry.inverse_depth import Rows, to_buffer
from .surfaces import SurfaceDrawer
from .view import View


def mend(buffer: NDArray[np.float32], view: View, projection: Rows, drawer: SurfaceDrawer) -> None:
    """Give what is displayed In Front its true depth in ``buffer``, H x W, the top row first.

    ``projection``: that of the picture. Pixels that Blender has drawn a depth for keep it, to the bit. What has no
    triangles, such as hair, is given that of what lies behind: it would be nearer than all else.
    """
    odd = buffer <= 0.0
    if not any_in_front() or not odd.any():
        return
    height, width = buffer.shape
    surfaces = drawer.draw(view, Matrix(projection), width, height, shows_in_front(view))
    depth = np.where(surfaces.number > 0, to_buffer(surfaces.distance, projection), np.float32(1.0))
    buffer[odd] = depth[odd]


def any_in_front() -> bool:
    """Whether an object of the file, seen or not, is displayed In Front."""
    flags = np.zeros(len(bpy.data.objects), bool)
    bpy.data.objects.foreach_get("show_in_front", flags)
    return bool(flags.any())


def shows_in_front(view: View) -> bool:
    """Whether the draft shows such objects over all others: Workbench does, render engines know nothing of it."""
    shading, engine = view.space.shading.type, str(view.scene.render.engine)
    return shading != "MATERIAL" and (shading != "RENDERED" or engine == "BLENDER_WORKBENCH")
