"""The depth of what is displayed In Front, for which Blender writes only the near plane. Imports bpy, numpy."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ....geometry.inverse_depth import Rows, to_buffer
from ..view import View
from .drawing import Surfaces


def is_odd(buffer: NDArray[np.float32]) -> bool:
    """Whether ``buffer``, of Blender's own draw, has pixels that :func:`mend` is for."""
    return bool((buffer <= 0.0).any()) and any_in_front()


def mend(buffer: NDArray[np.float32], surfaces: Surfaces | None, projection: Rows) -> None:
    """Give what is displayed In Front its true depth in ``buffer``, H x W, the top row first.

    ``projection``: that of the picture. Pixels that Blender has drawn a depth for keep it, to the bit. What has no
    triangles, such as hair, is given that of what lies behind: it would be nearer than all else. Without ``surfaces``
    all of them are background.
    """
    odd = buffer <= 0.0
    buffer[odd] = 1.0
    if surfaces is not None:
        odd &= surfaces.number > 0
        buffer[odd] = to_buffer(surfaces.distance[odd], projection)


def any_in_front() -> bool:
    """Whether an object of the file, seen or not, is displayed In Front."""
    flags = np.zeros(len(bpy.data.objects), bool)
    bpy.data.objects.foreach_get("show_in_front", flags)
    return bool(flags.any())


def shows_in_front(view: View) -> bool:
    """Whether the draft shows such objects over all others: Workbench does, render engines know nothing of it."""
    shading, engine = view.space.shading.type, str(view.scene.render.engine)
    return shading != "MATERIAL" and (shading != "RENDERED" or engine == "BLENDER_WORKBENCH")
