"""What a film's frames show, and at which size. Imports bpy."""

from __future__ import annotations

from ..capture.framing import picture_size, projection_of, size_of, widened
from ..capture.view import View
from ..capture.viewports import Viewport


def film_size(viewport: Viewport, camera: bool) -> tuple[int, int]:
    """Width and height of the frames: that of a view at rest, in the proportions of the scene's render by a camera."""
    if not camera:
        return size_of(viewport, at_rest=True)
    settings, render = viewport.scene.draftglass, viewport.scene.render
    longer = max(settings.size, settings.settle_size if settings.settle else 0)
    width = render.resolution_x * render.pixel_aspect_x
    return picture_size(longer, width, render.resolution_y * render.pixel_aspect_y)


def view_through(viewport: Viewport, camera: bool) -> View:
    """The view of the current frame, through the scene's ``camera`` or as the 3D View has it, with its looks.

    Raises ValueError for a camera that stands nowhere or is scaled to nothing.
    """
    scene, layer = viewport.scene, viewport.view_layer
    if not camera:
        matrix, projection = viewport.view.view_matrix.copy(), projection_of(viewport, at_rest=True)
        return View(scene, layer, viewport.space, viewport.region, matrix, projection)
    eye, render = scene.camera, scene.render
    if eye is None or eye.type != "CAMERA":
        raise ValueError(f"the scene {scene.name!r} has no camera at frame {scene.frame_current}")
    upright = eye.evaluated_get(layer.depsgraph).matrix_world.normalized()
    if not abs(upright.determinant()) > 1e-6:  # nor is it where a number is none
        raise ValueError(f"the camera {eye.name!r} stands nowhere, or is scaled to nothing")
    width, height = film_size(viewport, camera)
    frame = eye.calc_matrix_camera(
        layer.depsgraph,
        x=render.resolution_x,
        y=render.resolution_y,
        scale_x=render.pixel_aspect_x,
        scale_y=render.pixel_aspect_y,
    )
    return View(scene, layer, viewport.space, viewport.region, upright.inverted(), widened(frame, width / height))
