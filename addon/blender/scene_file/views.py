"""Views of a chosen scene: through its camera, and from a matrix. Imports bpy, mathutils, numpy."""

from __future__ import annotations

import math
from dataclasses import replace

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...geometry.orbit import clipping, with_clipping
from ..capture.view import View
from .choice import Choice
from .errors import OfflineError


def camera_view(choice: Choice, width: int, height: int) -> View:
    """What the scene's camera sees at the current frame. Raises OfflineError for a camera that stands nowhere."""
    camera = choice.scene.camera
    assert camera is not None, "whoever asks has looked"
    depsgraph = choice.view_layer.depsgraph
    matrix = (camera.evaluated_get(depsgraph) if depsgraph is not None else camera).matrix_world
    values = [value for row in matrix for value in row]
    if not all(math.isfinite(value) for value in values):
        raise OfflineError(f"the camera {camera.name!r} stands nowhere: its place or turn is not a number")
    upright = matrix.normalized()
    if abs(upright.determinant()) < 1e-6:
        scale = " x ".join(f"{value:g}" for value in matrix.to_scale())
        raise OfflineError(f"the camera {camera.name!r} is scaled by {scale}: no axis may be scaled to nothing")
    projection = camera.calc_matrix_camera(depsgraph, x=width, y=height)
    return View(choice.scene, choice.view_layer, choice.space, choice.region, upright.inverted(), projection)


def view_of(choice: Choice, view: NDArray[np.float64], projection: NDArray[np.float64]) -> View:
    """A view by its matrices, 4 x 4 each: world to view, and view to clip space."""
    return View(choice.scene, choice.view_layer, choice.space, choice.region, Matrix(view), Matrix(projection))


def clipped(view: View, near: float, far: float) -> View:
    """``view`` with its clipping planes at other distances."""
    projection = with_clipping(np.array(view.projection_matrix, np.float64), near, far)
    return replace(view, projection_matrix=Matrix(projection))


def clip_distances(view: View) -> tuple[float, float]:
    """The distances of the clipping planes of ``view``."""
    return clipping(np.array(view.projection_matrix, np.float64))


def length(scene: bpy.types.Scene, value: float) -> str:
    """``value`` in the scene's unit of length, such as ``140 m``."""
    settings = scene.unit_settings
    if settings.system == "NONE":
        return f"{value:.4g}"
    return bpy.utils.units.to_string(settings.system, "LENGTH", value * settings.scale_length, precision=4)
