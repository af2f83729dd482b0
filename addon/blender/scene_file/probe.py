"""Draws a view at a small size, to find out what it shows and where. Imports bpy, gpu, numpy.

It asks the drawing, since what Blender draws depends on more than any list of objects tells: on view layers, types that
the 3D View leaves out, ways of display, modifiers, what stands in front, and where the clipping planes are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bpy
import gpu
import numpy as np
from numpy.typing import NDArray

from ...geometry.orbit import from_eye
from ..capture.offscreen import draw_view, read_into
from ..capture.view import View

Array = NDArray[np.float64]
SIDE = 128
"""Pixels of a probe, each way."""


@dataclass(frozen=True, eq=False)
class Sight:
    """What a view shows. ``drawn``: bool, H x W, bottom row first, whatever is not background.

    Of the N pixels whose depth is known: ``seen`` N x 3, from the eye, which looks along -Z; ``places`` N x 2, where in
    the picture, -1 to 1 to the right and up.
    """

    view: View
    drawn: NDArray[np.bool_]
    seen: Array
    places: Array

    @property
    def points(self) -> Array:
        """The same N pixels in the world, N x 3."""
        return from_eye(np.array(self.view.view_matrix, np.float64), self.seen)

    @property
    def share(self) -> float:
        """How much of the picture is not background, 0 to 1."""
        return float(self.drawn.mean())


class Probe:
    """Keeps one GPUOffScreen of ``SIDE`` pixels."""

    def __init__(self) -> None:
        self._offscreen: Any = None

    def look(self, view: View) -> Sight:
        """Draw ``view``, whose space is Solid without overlays. Raises RuntimeError where Blender can't draw."""
        if self._offscreen is None:
            self._offscreen = gpu.types.GPUOffScreen(SIDE, SIDE)
        with _set(view.space.shading, {"show_xray": False}):  # through which one sees, but at no depth
            image, depth = self._drawing(view)
        drawn = depth < 1.0  # also where it is 0, of what is shown in front of all
        if not drawn.any():  # a volume, for one, leaves no depth: what differs from the empty view is drawn, too
            with _set(view.space, dict.fromkeys(_types(), False)):
                empty, _ = self._drawing(view)
            drawn = (image != empty).any(2)
        return Sight(view, drawn, *_positions(depth, view))

    def _drawing(self, view: View) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        draw_view(self._offscreen, view, view.space)
        image, depth = np.empty((SIDE, SIDE, 3), np.uint8), np.empty((SIDE, SIDE), np.float32)
        with self._offscreen.bind():
            read_into("UBYTE", (0, 0), image)
            read_into("FLOAT", (0, 0), depth)
        return image, depth


def _positions(depth: NDArray[np.float32], view: View) -> tuple[Array, Array]:
    """``seen`` and ``places`` of :class:`Sight`. What is shown in front of all leaves a depth of 0, which is none."""
    rows, columns = np.nonzero((depth > 0) & (depth < 1))
    places = (np.stack([columns, rows], 1) + 0.5) / SIDE * 2 - 1
    ends = np.concatenate([places, depth[rows, columns, None].astype(np.float64) * 2 - 1, np.ones((len(rows), 1))], 1)
    seen = ends @ np.linalg.inv(np.array(view.projection_matrix, np.float64)).T
    return seen[:, :3] / seen[:, 3:], places


def _types() -> list[str]:
    """The properties of a 3D View that leave out kinds of objects."""
    names = (prop.identifier for prop in bpy.types.SpaceView3D.bl_rna.properties)
    return [name for name in names if name.startswith("show_object_viewport_")]


@contextmanager
def _set(owner: Any, values: dict[str, bool]) -> Iterator[None]:
    """Have ``owner`` so for one drawing."""
    before = {name: getattr(owner, name) for name in values}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)
