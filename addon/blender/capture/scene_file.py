"""A .blend file's views without a window, in Blender as a Python module. Imports bpy, gpu, mathutils, numpy."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import gpu
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from ..display.live_view import Display
from .draft import Draft
from .offscreen import Capturer, ensure_gpu, view_from_camera
from .view import View

ELEVATION = math.radians(25)
"""How far above the scene's middle an orbit looks from, where the scene has no camera to go by."""
HALF_ANGLE = math.atan(18 / 50)
"""Half the field of view of such an orbit: a lens of 50 mm, Blender's own default."""
MARGIN = 1.1
"""How much farther away than where the scene just fits."""
UNSEEN = frozenset({"EMPTY", "CAMERA", "LIGHT", "LIGHT_PROBE", "SPEAKER", "ARMATURE", "LATTICE"})
MAGIC = (b"BLENDER", b"\x28\xb5\x2f\xfd", b"\x1f\x8b")
"""How a .blend file begins: plain, compressed by zstandard, and, in old ones, by gzip."""


class OfflineError(RuntimeError):
    """The file cannot give the views asked for; ``str(error)`` is one line for the user."""


class OfflineScene:
    """The scene of a .blend file, and the view of it that is taken next."""

    def __init__(self, path: Path, size: int, orbit: bool, moving: str | None = None) -> None:
        """Open ``path``. Raises OfflineError.

        ``size``: side of the drafts in pixels. ``orbit``: views round the scene, else those of its camera.
        ``moving``: the name of the object that :meth:`place` will move.
        """
        self._size, self._orbit = size, orbit
        _open(path)
        self._scene: bpy.types.Scene = _scene()
        self._layer = self._scene.view_layers[0]
        self._capturer = Capturer()
        self._display: Display | None = None
        self._view: View | None = None
        low, high = self._bounds()
        self._middle, self._radius = (low + high) / 2, max((high - low).length / 2, 1e-3)
        if not orbit and self._scene.camera is None:
            raise OfflineError(f"the scene {self._scene.name!r} has no camera: add one, or use --orbit")
        self._moving = self._find(moving) if moving else None
        self._home = self._moving.delta_location.copy() if self._moving else Vector()

    def ready(self) -> None:
        """Make a GPU context. Raises RuntimeError where this machine can't draw."""
        # The default draws each view eight times, which a renderer in software takes most of a second for.
        preferences = bpy.context.preferences
        assert preferences is not None, "they are there from the start"
        preferences.system.viewport_aa = "FXAA"
        with _silent():
            ensure_gpu()

    def place(self, turn: float | None, frame: int | None, moved: tuple[float, float, float] | None) -> None:
        """Choose the next view: ``turn`` (0 to 1) of an orbit or ``frame`` of the animation; and where the object is.

        ``moved``: by how much, x, y, z in its parent's space, or None for where the file has it.
        """
        if frame is not None:
            self._scene.frame_set(frame)
        if self._moving is not None:
            # A delta: whatever animates the object's own location goes on doing so.
            self._moving.delta_location = self._home + Vector(moved or (0, 0, 0))
        self._layer.update()
        if self._scene.camera is not None:
            self._view = view_from_camera(self._scene, self._size, self._size)
        else:
            self._view = self._overview()
        if turn is not None:
            middle = Matrix.Translation(self._middle.to_tuple())
            around = middle @ Matrix.Rotation(math.tau * turn, 4, "Z") @ middle.inverted()
            self._view = dataclasses.replace(self._view, view_matrix=self._view.view_matrix @ around.inverted())

    def step(self, motion: Matrix) -> None:
        """Move the eye of the view chosen by :meth:`place` by ``motion``, in its own space."""
        assert self._view is not None, "place() comes first"
        self._view = dataclasses.replace(self._view, view_matrix=motion.inverted() @ self._view.view_matrix)

    @property
    def own_size(self) -> tuple[float, float, float]:
        """How far along x the object that :meth:`place` moves is moved by its own size."""
        assert self._moving is not None, "no object was named"
        return (self._moving.dimensions.x, 0.0, 0.0)

    def draw(self, ids: bool = False) -> Draft:
        """Capture the view chosen by :meth:`place`; ``ids``: with what tells objects apart."""
        assert self._view is not None, "place() comes first"
        return self._capturer.draw(self._view, self._size, self._size, ids=ids)

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show ``picture`` (uint8 H x W x 3) as the live session does: a texture for the Image Editors."""
        if self._display is None:
            self._display = Display()
        self._display.show(picture)

    def about(self) -> dict[str, str]:
        """The version of Blender, and what it draws with."""
        return {"version": bpy.app.version_string, "renderer": gpu.platform.renderer_get()}

    def _overview(self) -> View:
        """From the south-east above, all of the scene in the picture."""
        distance = MARGIN * self._radius / math.sin(HALF_ANGLE)
        flat = math.cos(ELEVATION) * distance * math.sqrt(0.5)
        eye = self._middle + Vector((flat, -flat, math.sin(ELEVATION) * distance))
        turned = (self._middle - eye).to_track_quat("-Z", "Y").to_matrix().to_4x4()
        lens = bpy.data.cameras.new("Draftglass overview")
        lens.lens, lens.clip_start, lens.clip_end = 50, distance / 1000, distance * 4
        camera = bpy.data.objects.new("Draftglass overview", lens)
        try:
            view = view_from_camera(self._scene, self._size, self._size, camera)
        finally:
            bpy.data.cameras.remove(lens)  # and with it the object
        return dataclasses.replace(view, view_matrix=(Matrix.Translation(eye.to_tuple()) @ turned).inverted())

    def _bounds(self) -> tuple[Vector, Vector]:
        """The corners of the box round all that can be seen, instances included. Raises OfflineError for nothing."""
        corners: list[Vector] = []
        depsgraph = self._layer.depsgraph
        for instance in depsgraph.object_instances if depsgraph is not None else ():
            shown = instance.object
            if shown is None or shown.type in UNSEEN or not instance.show_self:
                continue
            if isinstance(shown.data, bpy.types.Mesh) and not len(shown.data.vertices):
                continue
            matrix = instance.matrix_world.copy()
            corners += [matrix @ Vector(corner) for corner in shown.bound_box]
        if not corners:
            raise OfflineError(f"the scene {self._scene.name!r} is empty: there is nothing in it to be seen")
        low, high = (Vector([pick(corner[axis] for corner in corners) for axis in range(3)]) for pick in (min, max))
        return low, high

    def _find(self, name: str) -> bpy.types.Object:
        found = self._scene.objects.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self._scene.objects.keys(), 3, 0.4)
            known = f"; near it are {', '.join(map(repr, near))}" if near else ""
            raise OfflineError(f"there is no object {name!r} in the scene {self._scene.name!r}{known}")
        return found


def _scene() -> bpy.types.Scene:
    scene = bpy.context.scene
    assert scene is not None, "Blender opens every file with a scene"
    return scene


def _open(path: Path) -> None:
    with path.open("rb") as file:
        if not file.read(7).startswith(MAGIC):
            raise OfflineError(f"{path} is no .blend file")
    try:
        with _silent():  # Blender reports the read on standard output
            bpy.ops.wm.open_mainfile(filepath=str(path.absolute()), use_scripts=False)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0].removeprefix("Error: ")
        raise OfflineError(f"{path} can't be opened: {reason}") from None


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what Blender and its drivers print past Python off the terminal."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)
