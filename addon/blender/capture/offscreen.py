"""Draws a 3D View off the screen and reads it back: colours and depth. Imports bpy, gpu, numpy.

A Solid draw gives both. After a Material Preview or Rendered draw the depth buffer is empty, so the depth then is a
Solid draw of its own, in a GPUOffScreen of its own: drawing two shading modes through one would set up the render
engine anew each time. Overlays are left out of both; they would write into the depth too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import bpy
import gpu
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...geometry.inverse_depth import Rows, inverse_depth, moved_back
from .draft import Draft
from .spaces import any_space, colour_space, depth_space, is_plain, release, without_overlays
from .surfaces.drawing import SurfaceDrawer
from .surfaces.identify import Identified, identify
from .surfaces.in_front import is_odd, mend, shows_in_front
from .surfaces.numbers import Numbers
from .view import View

LARGEST = 4096
"""Longest side of what is drawn for a picture, in pixels; any GPU's textures are as large."""


class TooNarrow(RuntimeError):
    """The view has so different an aspect than the picture that it cannot be drawn; ``size``: in pixels, at least."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(f"{size[0]} x {size[1]} pixels would have to be drawn, and {LARGEST} are the most")
        self.size = size


class OnlyInViewport(RuntimeError):
    """A render engine that is not Blender's own, such as Cycles, draws nothing but the viewport; ``engine``: its name.

    What would be captured is black.
    """

    def __init__(self, engine: str) -> None:
        super().__init__(f"{engine} draws the viewport only")
        self.engine = engine


class Capturer:
    """Keeps the two GPUOffScreens between draws, since setting one up costs far more than a draw.

    ``patient``: whether ids are drawn however long it takes to list the scene, for use where nobody waits at a window.
    """

    def __init__(self, patient: bool = False) -> None:
        self._colour: gpu.types.GPUOffScreen | None = None
        self._depth: gpu.types.GPUOffScreen | None = None
        self._size = (0, 0)
        self._surfaces = SurfaceDrawer(patient)
        self._numbers = Numbers()

    def draw(
        self, view: View, width: int, height: int, depth: bool = True, ids: bool = False, normals: bool = False
    ) -> Draft:
        """Draw ``view`` at ``width`` x ``height`` pixels, in true proportions; ``ids`` and ``normals`` need ``depth``.

        Where the projection has another aspect than the picture, the middle of the view is taken: drawn at the
        view's own aspect and cropped, since 4.3's EEVEE takes no projection but the region's own.
        Where that would be huge, as of a very narrow view, only the middle is drawn; TooNarrow where that can't be.
        Raises RuntimeError where Blender can't draw (no GPU), OnlyInViewport where the render engine does not, and
        ValueError for a projection that is none.
        """
        engine = view.scene.render.engine
        if view.space.shading.type == "RENDERED" and not engine.startswith("BLENDER_"):
            raise OnlyInViewport(engine.replace("_", " ").title())
        view, full = _bounded(view, width, height)
        self._resize(full)
        started = time.perf_counter()
        assert self._colour is not None and self._depth is not None
        colour = colour_space(view.space)
        if colour is not None:
            draw_view(self._colour, view, colour)
        else:
            with without_overlays(view.space):
                draw_view(self._colour, view, view.space)
        with_depth = self._colour
        if depth and not (colour is not None and is_plain(colour)):
            with_depth = self._depth
            plain = depth_space(view.space, but=colour)
            if plain is not None:
                draw_view(self._depth, view, plain)
            else:
                with without_overlays(view.space, solid=True):
                    draw_view(self._depth, view, view.space)
        # A GPU draws behind the caller's back: the first read waits for it, so one pixel belongs to the draw.
        with self._colour.bind():
            read_into("UBYTE", (0, 0), np.empty((1, 1, 3), np.uint8))
        if depth:
            with with_depth.bind():
                read_into("FLOAT", (0, 0), np.empty((1, 1), np.float32))
        drawn = time.perf_counter()
        corner = (full[0] - width) // 2, (full[1] - height) // 2
        colours = np.empty((height, width, 3), np.uint8)
        with self._colour.bind():
            read_into("UBYTE", corner, colours)
        image = np.ascontiguousarray(colours[::-1])
        plane, near, identified, ours = None, 1.0, None, 0.0
        seen, projection = rows(view.view_matrix), _cropped(view.projection_matrix, full, (width, height))
        if depth:
            buffer = np.empty((height, width), np.float32)
            with with_depth.bind():
                read_into("FLOAT", corner, buffer)
            buffer = buffer[::-1]
            if ids or normals or is_odd(buffer):
                before = time.perf_counter()
                identified = self._identify(buffer, view, projection, ids or normals, normals)
                ours = (time.perf_counter() - before) * 1000
            plane, near, back = inverse_depth(buffer, projection)
            if back:
                seen, projection = moved_back(seen, projection, back)
        times = (drawn - started) * 1000, (time.perf_counter() - drawn) * 1000 - ours
        draft = Draft(image, plane, near, seen, projection, *times, surfaces_ms=ours)
        if identified is None:
            return draft
        return replace(draft, ids=identified.ids, normals=identified.normals, objects=identified.objects)

    def _identify(
        self, buffer: NDArray[np.float32], view: View, projection: Rows, ids: bool, normals: bool
    ) -> Identified | None:
        """Draw the surfaces, mend ``buffer`` where Blender's depth is none, and tell what is where if ``ids``."""
        height, width = buffer.shape
        surfaces = self._surfaces.draw(view, Matrix(projection), width, height, shows_in_front(view), normals)
        identified = None
        if ids and surfaces is not None:
            identified = identify(surfaces, buffer, rows(view.view_matrix), projection, self._numbers)
        mend(buffer, surfaces, projection)
        return identified

    def free(self) -> None:
        """Give back the GPU memory and the spaces drawn from; the next draw takes them again."""
        self._forget()
        self._surfaces.free()
        release()

    def _forget(self) -> None:
        for offscreen in (self._colour, self._depth):
            if offscreen is not None:
                offscreen.free()
        self._colour = self._depth = None
        self._size = (0, 0)

    def _resize(self, size: tuple[int, int]) -> None:
        if self._size == size:
            return
        self._forget()
        self._colour = gpu.types.GPUOffScreen(*size)
        self._depth = gpu.types.GPUOffScreen(*size)
        self._size = size


def takes_only_its_own(space: bpy.types.SpaceView3D) -> bool:
    """Before 5.0, EEVEE draws a 3D View through its own projection, whatever it is told."""
    return bpy.app.version < (5, 0, 0) and space.shading.type in {"MATERIAL", "RENDERED"}


def _bounded(view: View, width: int, height: int) -> tuple[View, tuple[int, int]]:
    """What to draw, and at which size: all of the view, or the middle where all is too much."""
    matrices = rows(view.view_matrix) + rows(view.projection_matrix)
    if not all(math.isfinite(value) for row in matrices for value in row):
        raise ValueError("the view's matrices hold a value that is no number")
    full = covering_size(view.projection_matrix, width, height)
    if max(full) <= LARGEST:
        return view, full
    if takes_only_its_own(view.space):
        raise TooNarrow(full)
    middle = Matrix(_cropped(view.projection_matrix, full, (width, height)))
    return replace(view, projection_matrix=middle), (width, height)


def covering_size(projection: Sequence[Sequence[float]], width: int, height: int) -> tuple[int, int]:
    """The smallest size in pixels with the projection's aspect that covers ``width`` x ``height``."""
    aspect = abs(projection[1][1] / projection[0][0])
    if aspect * height >= width:
        return max(width, round(aspect * height)), height
    return width, max(height, round(width / aspect))


def rows(matrix: Sequence[Sequence[float]]) -> Rows:
    """``matrix`` as tuples, row-major."""
    return tuple(tuple(row) for row in matrix)


def view_from_camera(
    scene: bpy.types.Scene, width: int, height: int, camera: bpy.types.Object | None = None, shading: str = "SOLID"
) -> View:
    """The view through ``camera`` (default: the scene's) at the scene's current frame, for use without a window.

    Changes the shading and overlays of one of the file's 3D Views, which nobody sees in background mode.
    Raises RuntimeError, with a sentence, when the scene has no camera or the file no 3D View.
    """
    camera = camera or scene.camera
    if camera is None:
        raise RuntimeError(f"the scene {scene.name!r} has no camera: add one, or orbit instead")
    space, region = any_space()
    if space.shading.type != shading:
        space.shading.type = shading
    if space.overlay.show_overlays:
        space.overlay.show_overlays = False
    view_layer = scene.view_layers[0]
    evaluated = camera.evaluated_get(view_layer.depsgraph) if view_layer.depsgraph else camera
    projection = camera.calc_matrix_camera(view_layer.depsgraph, x=width, y=height)
    return View(scene, view_layer, space, region, evaluated.matrix_world.normalized().inverted(), projection)


def ensure_gpu() -> None:
    """Make a GPU context where there is none: in background mode the first render makes one.

    Renders 16 x 16 pixels with Workbench in a scene of its own. Raises RuntimeError with Blender's reason where
    the machine can't draw.
    """
    if not bpy.app.background:
        return
    try:
        gpu.types.GPUOffScreen(8, 8).free()
        return
    except SystemError:  # "GPU functions for drawing are not available in background mode"
        pass
    scene = bpy.data.scenes.new("Draftglass GPU")
    try:
        scene.render.engine = "BLENDER_WORKBENCH"
        scene.render.resolution_x = scene.render.resolution_y = 16
        scene.render.resolution_percentage = 100
        scene.camera = bpy.data.objects.new("Draftglass GPU", bpy.data.cameras.new("Draftglass GPU"))
        bpy.ops.render.render(scene=scene.name)
    finally:
        camera = scene.camera
        bpy.data.scenes.remove(scene)
        if camera is not None:
            bpy.data.cameras.remove(camera.data)
    try:
        gpu.types.GPUOffScreen(8, 8).free()
    except SystemError as error:
        raise RuntimeError(f"Blender can't draw on this machine: {error}") from None


def draw_view(offscreen: gpu.types.GPUOffScreen, view: View, space: bpy.types.SpaceView3D) -> None:
    offscreen.draw_view3d(
        view.scene,
        view.view_layer,
        space,
        view.region,
        view.view_matrix,
        view.projection_matrix,
        do_color_management=True,
    )


def read_into(kind: str, corner: tuple[int, int], into: NDArray[Any]) -> None:
    """Fill ``into`` from the bound framebuffer, bottom row first, with no copy in between; ``corner``: lower left."""
    height, width = into.shape[:2]
    buffer = gpu.types.Buffer(kind, into.shape, into)
    framebuffer = gpu.state.active_framebuffer_get()
    if kind == "FLOAT":
        framebuffer.read_depth(*corner, width, height, data=buffer)
    else:
        framebuffer.read_color(*corner, width, height, 3, 0, kind, data=buffer)


def _cropped(projection: Matrix, full: tuple[int, int], size: tuple[int, int]) -> Rows:
    """The projection of the middle ``size`` pixels of a picture of ``full`` pixels."""
    scale = Matrix.Diagonal((full[0] / size[0], full[1] / size[1], 1.0, 1.0))
    return rows(scale @ projection)
