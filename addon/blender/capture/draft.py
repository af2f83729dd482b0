"""A draft: the result of one capture. numpy only: no bpy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...geometry.alike import are_alike
from ...geometry.inverse_depth import Rows
from ...wire.frame import OBJECT, Objects


@dataclass(frozen=True, eq=False)
class Draft:
    """A captured view. Planes run from the top row down.

    ``image``: uint8, H x W x 3, display sRGB. ``inverse_depth``: uint16, H x W, see ``wire.Frame``, or None.
    ``view``, ``projection``: row-major; the projection is that of the picture, after any cropping. An orthographic
    eye is where ``inverse_depth`` is measured from: elsewhere on its axis than Blender has it.
    ``ids``, ``normals``, ``objects``: see ``surfaces.Identified``; None and empty where they were not asked for, or
    where the scene is too large to be listed at each edit. ``strength``: see ``wire.Frame``; no capture has one, but
    what is painted over a captured view may be given it.
    ``draw_ms``: Blender's own drawing; ``read_ms``: reading back and converting; ``surfaces_ms``: our own drawing.
    """

    image: NDArray[np.uint8]
    inverse_depth: NDArray[np.uint16] | None
    near: float
    view: Rows
    projection: Rows
    draw_ms: float
    read_ms: float
    ids: NDArray[np.uint16] | None = None
    normals: NDArray[np.uint8] | None = None
    objects: Objects = field(default_factory=lambda: np.empty(0, OBJECT))
    surfaces_ms: float = 0.0
    strength: NDArray[np.uint8] | None = None

    def is_like(self, other: Draft) -> bool:
        """Whether both are of the same place and look the same but for what redrawing changes."""
        return (
            (self.view, self.projection) == (other.view, other.projection)
            and are_alike(self.image, other.image)
            and are_alike(self.inverse_depth, other.inverse_depth)
        )
