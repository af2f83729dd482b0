"""A .blend file's views without a window, in Blender as a Python module. Imports bpy, gpu, mathutils, numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bpy
import gpu
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from ..capture.cuts import cuts
from ..capture.draft import Draft
from ..capture.offscreen import Capturer, ensure_gpu
from ..capture.view import View
from ..display.live_view import Display
from .bounds import boxes
from .choice import Choice, Wanted, choose, find
from .errors import OfflineError
from .findings import Finding, Findings, has_depth, is_plain
from .opening import missing, named, open_file, python_off, silent
from .probe import Probe
from .sights import Orbit
from .unseen import unseen_objects, why, words
from .views import camera_view

WHAT_IS_SHOWN = Wanted()


class OfflineScene:
    """The scene of a .blend file, and the view of it that is taken next."""

    def __init__(
        self,
        path: Path,
        size: int,
        orbit: bool,
        moving: str | None = None,
        wanted: Wanted = WHAT_IS_SHOWN,
        planes: bool = False,
        ids: bool = False,
    ) -> None:
        """Open ``path``. Raises OfflineError.

        ``size``: side of the drafts in pixels. ``orbit``: views round the scene, else those of its camera.
        ``moving``: the name of the object that :meth:`place` will move.
        ``planes``: whether drafts have ids and normals; ``ids``: whether they have ids at least.
        """
        self._size, self._turns, self._planes, self._ids = size, orbit, planes, planes or ids
        open_file(path)
        self._choice: Choice = choose(wanted)
        self._scene, self._layer = self._choice.scene, self._choice.view_layer
        self._capturer, self._probe = Capturer(patient=True), Probe()
        self._display: Display | None = None
        self._orbit: Orbit | None = None
        self._view: View | None = None
        self._place: tuple[float | None, int | None] = (None, None)
        self._stand_ins: dict[float, int] = {}
        self._findings = Findings("", " of the orbit") if orbit else Findings("frame ", "")
        if orbit and next(boxes(self._choice), None) is None:
            raise OfflineError(words(unseen_objects(self._choice), self._choice, None))
        bound = any(marker.camera is not None for marker in self._scene.timeline_markers)
        if not orbit and self._scene.camera is None and not bound:
            raise OfflineError(
                f"the scene {self._scene.name!r} has no camera: add one, or use --orbit{self._cameras()}"
            )
        self._moving = self._find(moving) if moving else None
        self._home = self._moving.delta_location.copy() if self._moving else Vector()
        self._turned = self._moving.delta_rotation_euler.z if self._moving else 0.0

    def ready(self) -> None:
        """Make a GPU context. Raises RuntimeError where this machine can't draw."""
        # The default draws each view eight times, which a renderer in software takes most of a second for.
        preferences = bpy.context.preferences
        assert preferences is not None, "they are there from the start"
        preferences.system.viewport_aa = "FXAA"
        with silent():
            ensure_gpu()

    def begin(self, frames: Sequence[int]) -> list[str]:
        """Look for what is seen, at one of ``frames`` where there are any; return what the user should know, each a
        sentence without its stop. Raises OfflineError, with the reason, where nothing is seen. :meth:`ready` first.
        """
        if self._turns:
            self._orbit = Orbit(self._choice, self._size, self._probe)
        else:
            self._first_seen(frames)
        told = []
        if self._orbit is not None and self._orbit.note:
            told.append(f"{self._orbit.note}; so the views go round all that is drawn, from above")
        if lacks := missing():
            told.append(f"{lacks}: what is linked from there is not in the pictures")
        if off := python_off():
            told.append(f"Python in .blend files is off, so these drivers have no effect: {off}")
        return told

    def cuts(self, frames: Sequence[int]) -> set[int]:
        """Those of ``frames`` that another camera takes than the one before, by the markers it is bound to."""
        return cuts(self._scene, frames)

    def place(self, turn: float | None, frame: int | None, moved: tuple[float, float, float] | None) -> None:
        """Choose the next view: ``turn`` (0 to 1) of an orbit or ``frame`` of the animation; and where the object is.

        ``moved``: by how much, x, y, z in its parent's space, or None for where the file has it.
        Raises OfflineError where the camera stands nowhere.
        """
        if frame is not None:
            self._scene.frame_set(frame)
        if self._moving is not None:
            # A delta: whatever animates the object's own location goes on doing so.
            self._moving.delta_location = self._home + Vector(moved or (0, 0, 0))
        self._layer.update()
        self._place = turn, frame

    def draw(self) -> Draft:
        """Capture the view chosen by :meth:`place`, or what stands in for it where it shows nothing."""
        turn, frame = self._place
        if turn is not None:
            return self._draw_turn(turn)
        self._view = camera_view(self._choice, self._size, self._size)
        draft = self._capture(self._view)
        if not has_depth(draft) and not self._probe.look(self._view).drawn.any():
            self._findings.add(Finding.NOTHING, str(frame), self._reason(self._view))
        return draft

    def draw_from(self, motion: Matrix) -> Draft:
        """Capture the view that was drawn last, its eye moved by ``motion`` in its own space, as it was drawn."""
        assert self._view is not None, "draw() comes first"
        return self._capture(replace(self._view, view_matrix=motion.inverted() @ self._view.view_matrix))

    def turn(self, angle: float) -> None:
        """Turn the object that :meth:`place` moves about its vertical by ``angle`` radians against the file's."""
        assert self._moving is not None, "an object was named"
        self._moving.delta_rotation_euler.z = self._turned + angle
        self._layer.update()

    @property
    def view(self) -> View:
        """The view that was drawn last."""
        assert self._view is not None, "draw() comes first"
        return self._view

    @property
    def own_size(self) -> tuple[float, float, float]:
        """How far along x the object that :meth:`place` moves has to be moved to clear its place."""
        assert self._moving is not None, "an object was named"
        return (self._moving.dimensions.x, 0.0, 0.0)

    def _draw_turn(self, turn: float) -> Draft:
        if self._orbit is None:
            self._orbit = Orbit(self._choice, self._size, self._probe)
        known = self._stand_ins.get(turn)
        spare: tuple[int, View, Draft, Finding | None] | None = None  # the first that shows anything, if but a wall
        for number, (finding, view) in enumerate(self._orbit.views(turn)):
            if known not in (None, number):
                continue
            draft = self._capture(view)
            seen = number == known or has_depth(draft) or self._probe.look(view).drawn.any()
            if spare is None or (seen and spare[3] is Finding.NOTHING):
                spare = number, view, draft, finding if seen else Finding.NOTHING
            if number == known or (seen and not self._orbit.is_poor(draft)):
                spare = number, view, draft, finding
                break
        assert spare is not None, "an orbit has a view at each turn"
        self._stand_ins[turn], self._view, draft, found = spare
        if known is None:
            found = Finding.PLAIN if found is None and is_plain(draft) else found
            if found is not None:
                reason = self._reason(self._view) if found is Finding.NOTHING else ""
                self._findings.add(found, f"{turn * 360:.4g}\u00b0", reason)
        return draft

    def _capture(self, view: View) -> Draft:
        return self._capturer.draw(view, self._size, self._size, ids=self._ids, normals=self._planes)

    def _reason(self, view: View) -> str:
        """Why ``view`` shows nothing, as the end of a sentence that says so."""
        by_camera = self._orbit is None or not self._orbit.note
        camera = self._scene.camera.name if self._scene.camera is not None and by_camera else None
        return words(why(self._choice, view, self._probe), self._choice, camera, goes_on=True)

    def _first_seen(self, frames: Sequence[int]) -> None:
        """Find a frame that shows anything. Raises OfflineError where none does."""
        reason = ""
        for frame in frames:
            self.place(None, frame, None)
            view = camera_view(self._choice, self._size, self._size)
            if self._probe.look(view).drawn.any():
                return
            reason = reason or self._reason(view)
        which = f"frame {frames[0]} shows" if len(frames) == 1 else f"frames {frames[0]} to {frames[-1]} show"
        at = "" if len(frames) == 1 else f"at frame {frames[0]} "
        raise OfflineError(f"{which} nothing: {at}{reason}")

    def sentences(self) -> list[str]:
        """What the user should know of the views drawn so far, each without its stop."""
        return self._findings.sentences()

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show ``picture`` (uint8 H x W x 3) as the live session does: a texture for the Image Editors."""
        if self._display is None:
            self._display = Display()
        self._display.show(picture)

    @property
    def frames_a_second(self) -> float:
        """Of the scene's animation."""
        return float(self._scene.render.fps / self._scene.render.fps_base)

    def about(self) -> dict[str, str]:
        """The version of Blender, and what it draws with."""
        return {"version": bpy.app.version_string, "renderer": gpu.platform.renderer_get()}

    def _cameras(self) -> str:
        """The end of a sentence with the cameras of other scenes, and of collections that are not in this one."""
        names = [camera.name for camera in bpy.data.objects if camera.type == "CAMERA"]
        return f"; --camera can name {named(names)}" if names else ""

    def _find(self, name: str) -> bpy.types.Object:
        return find(self._scene.objects, name, "object", f"the scene {self._scene.name!r}")
