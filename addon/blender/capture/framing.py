"""What part of the view the picture shows, at which size, and where it then lies in the viewport. Imports bpy.

A picture's place is found from two projections, its own and the viewport's: so it stays right when the window is
resized, the camera view zoomed or shifted, or the lens changed after the picture was made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import bpy
from mathutils import Matrix

from .offscreen import takes_only_its_own
from .viewports import Viewport

FINE, COARSE, COARSE_FROM = 32, 64, 448
"""Sides of the picture are multiples of this: what the coarsest level of small models needs, and of usual ones."""
Rows = Sequence[Sequence[float]]
Rectangle = tuple[float, float, float, float]
"""Left, bottom, right, top, in pixels of the region."""


def picture_size(longer: int, width: float, height: float) -> tuple[int, int]:
    """Sides of a picture of the aspect ``width`` : ``height``, the longer one near ``longer``; to the grid.

    Halfway between two, as of 16 : 9, the larger: rather more than the camera's frame than a part of it.
    """
    scale, grid = longer / max(width, height), COARSE if longer >= COARSE_FROM else FINE
    sides = (max(64, math.floor(side * scale / grid + 0.5) * grid) for side in (width, height))
    return tuple(sides)  # type: ignore[return-value]


def size_of(viewport: Viewport, at_rest: bool = False) -> tuple[int, int]:
    """Width and height of the picture that the scene's settings ask for, while the view changes or ``at_rest``."""
    settings = viewport.scene.draftglass
    if at_rest and settings.settle and settings.settle_size > settings.size:
        return picture_size(settings.settle_size, *size_of(viewport))  # of the same proportions: nothing jumps
    if settings.aspect == "SQUARE":
        return picture_size(settings.size, 1, 1)
    if settings.aspect == "CAMERA":
        render = viewport.scene.render
        width = render.resolution_x * render.pixel_aspect_x
        return picture_size(settings.size, width, render.resolution_y * render.pixel_aspect_y)
    return picture_size(settings.size, viewport.region.width, viewport.region.height)


def projection_of(viewport: Viewport, at_rest: bool = False) -> Matrix:
    """The projection to capture through. Where it has another aspect than the picture, the middle is taken.

    With the camera's aspect in camera view it is the camera's own, so that the picture shows all of the camera's frame.
    """
    camera = _camera(viewport)
    if viewport.scene.draftglass.aspect != "CAMERA" or camera is None or takes_only_its_own(viewport.space):
        return viewport.view.window_matrix.copy()
    render = viewport.scene.render
    frame = camera.calc_matrix_camera(
        viewport.view_layer.depsgraph,
        x=render.resolution_x,
        y=render.resolution_y,
        scale_x=render.pixel_aspect_x,
        scale_y=render.pixel_aspect_y,
    )
    width, height = size_of(viewport, at_rest)
    return widened(frame, width / height)


def widened(projection: Matrix, aspect: float) -> Matrix:
    """``projection`` with more beside or above and below its frame, so that it is ``aspect`` times as wide as high.

    A picture's sides keep to a grid, so that its aspect is only near the camera's; whichever side the sensor fits,
    no part of the frame may be lost.
    """
    own = abs(projection[1][1] / projection[0][0])
    return Matrix.Diagonal((min(1.0, own / aspect), min(1.0, aspect / own), 1.0, 1.0)) @ projection


def place_of(projection: Rows, window: Rows, width: float, height: float) -> Rectangle:
    """Where a picture taken through ``projection`` lies in a region of ``width`` x ``height`` that has ``window``.

    Both as Blender names them (view to clip space), row-major, perspective or orthographic. Where one is
    perspective and the other is not, the largest rectangle of the picture's aspect in the middle of the region.
    """
    flat = [abs(matrix[3][3]) > 0.5 for matrix in (projection, window)]
    bounds = []
    for axis in (0, 1):
        scale = window[axis][axis] / projection[axis][axis]
        if flat[0] and flat[1]:
            shift = window[axis][3] - scale * projection[axis][3]
        else:
            shift = scale * projection[axis][2] - window[axis][2]
        bounds.append((shift - scale, shift + scale))
    if flat[0] != flat[1]:
        aspect = abs(projection[1][1] / projection[0][0])
        part = min(1.0, aspect * height / width), min(1.0, width / (aspect * height))
        bounds = [(-side, side) for side in part]
    (left, right), (bottom, top) = bounds
    return (left + 1) / 2 * width, (bottom + 1) / 2 * height, (right + 1) / 2 * width, (top + 1) / 2 * height


def _camera(viewport: Viewport) -> bpy.types.Object | None:
    """The camera that the view looks through; None where it does not."""
    if viewport.view.view_perspective != "CAMERA":
        return None
    camera = viewport.space.camera if viewport.space.use_local_camera else viewport.scene.camera
    return camera if camera is not None and camera.type == "CAMERA" else None
