"""The views of an orbit: which, and what stands in for one that shows nothing. Imports bpy, numpy.

An orbit turns the camera about the middle of what it sees, at its height and distance: its first view is the camera's
own. Where there is no camera, or it sees nothing, one looks at everything that is drawn, from above.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...geometry.inverse_depth import is_orthographic
from ...geometry.orbit import from_eye, middle_of_sight, perspective, sphere_round, turned, view_towards
from ..capture.draft import Draft
from ..capture.view import View
from .bounds import boxes
from .choice import Choice
from .errors import OfflineError
from .findings import Finding, is_blocked, is_plain
from .probe import Probe, Sight
from .unseen import unseen_objects, why, words
from .views import camera_view, clip_distances, clipped, view_of

Array = NDArray[np.float64]
ELEVATION = math.radians(25)
"""How far above the scene's middle an orbit looks from, where the scene has no camera to go by."""
AZIMUTH = math.radians(-45)
"""From the south-east."""
HALF_ANGLE = math.atan(18 / 50)
"""Half the field of view of such an orbit: a lens of 50 mm, Blender's own default."""
MARGIN = 1.1
"""How much farther away than where the scene just fits."""
CUT = 0.6
"""Where a wall hides what is seen, all up to this part of the way there is cut off."""
NUDGES = (0.02, 0.06)
"""Turns by which a view is missed that sees a thin thing from its edge."""
LOOKS = 6
"""How often a view of everything is drawn until it fits."""
FITS = 0.5
"""What is drawn fits when it reaches over this part of the way to the frame, and not beyond."""
SPARSE = 0.004
"""What covers less of a picture is no more than specks."""
SINGLE = 20
"""So many things are looked at one by one where all together are too small to be seen."""


@dataclass(frozen=True)
class Overview:
    """Where all that is drawn can be seen from: ``distance`` from ``middle``, which things reach ``radius`` from."""

    middle: Array
    radius: float

    @property
    def distance(self) -> float:
        """At which the sphere of ``radius`` just fits, and a little."""
        return MARGIN * self.radius / math.sin(HALF_ANGLE)

    def view(self, choice: Choice, azimuth: float) -> View:
        """From ``azimuth`` (radians from +X, counter-clockwise), above."""
        flat = math.cos(ELEVATION)
        direction = np.array([flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(ELEVATION)])
        projection = perspective(HALF_ANGLE, self.distance / 1000, self.distance * 4)
        return view_of(choice, view_towards(direction, self.middle, self.distance), projection)


class Orbit:
    """The views round what is seen. ``note``: why it does not go by the scene's camera; empty where it does."""

    def __init__(self, choice: Choice, size: int, probe: Probe) -> None:
        """Look for what is seen. Raises OfflineError, with the reason, where there is nothing."""
        self._choice, self._probe = choice, probe
        self._overview: Overview | None = None
        self._own: View | None = None
        self._middle = np.zeros(3)
        self._azimuth = AZIMUTH
        self.note = ""
        if choice.scene.camera is not None:
            self._follow_camera(size)
        if self._own is None:
            self._overview = self._all()

    def views(self, turn: float) -> Iterator[tuple[Finding | None, View]]:
        """The view at ``turn`` (0 to 1) of the orbit, then what may stand in for it, and what to say of that then."""
        if self._own is not None:
            view = turned(np.array(self._own.view_matrix, np.float64), self._middle, turn)
            here = view_of(self._choice, view, np.array(self._own.projection_matrix, np.float64))
            if turn == 0:
                yield None, self._own
                return
            yield None, here
            near, far = clip_distances(here)
            cut = CUT * -float(view[2, :3] @ self._middle + view[2, 3])
            if near < cut < far:
                yield Finding.CUT, clipped(here, cut, far)
        if self._overview is None:
            try:
                self._overview = self._all()
            except OfflineError:  # what the camera sees is nothing that has a box
                return
        finding = Finding.ABOVE if self._own is not None else None
        for nudge in (0.0, *NUDGES):
            yield finding, self._overview.view(self._choice, self._azimuth + math.tau * (turn + nudge))

    def is_poor(self, draft: Draft) -> bool:
        """Whether ``draft`` shows but a wall, or something right before the eye, and another view should stand in."""
        if self._own is None or is_orthographic(draft.projection):
            return is_plain(draft)
        distance = -float((np.array(draft.view) @ (*self._middle, 1.0))[2])
        return is_plain(draft) or is_blocked(draft, distance)

    def _follow_camera(self, size: int) -> None:
        camera = self._choice.scene.camera
        assert camera is not None, "whoever calls has looked"
        try:
            own = camera_view(self._choice, size, size)
        except OfflineError as error:
            self.note = str(error)
            return
        sight = self._probe.look(own)
        matrix = np.array(own.view_matrix, np.float64)
        if len(sight.seen):
            self._middle = from_eye(matrix, middle_of_sight(sight.seen, sight.places))
        elif sight.drawn.any():  # a volume leaves no depth
            self._overview = self._all()
            self._middle = self._overview.middle
        else:
            self.note = words(why(self._choice, own, self._probe), self._choice, camera.name)
            return
        self._own, eye = own, from_eye(matrix, np.zeros(3))
        self._azimuth = math.atan2(eye[1] - self._middle[1], eye[0] - self._middle[0])

    def _all(self) -> Overview:
        """Find where everything that is drawn can be seen from. Raises OfflineError for nothing."""
        found = list(boxes(self._choice))
        if not found:
            raise OfflineError(words(unseen_objects(self._choice), self._choice, None))
        everything = np.concatenate([box.corners for box in found])
        overview = self._fitting(Overview(*sphere_round(everything)))
        for box in found[:SINGLE] if overview is None else ():
            overview = overview or self._fitting(Overview(*sphere_round(box.corners)))
        if overview is None:
            view = Overview(*sphere_round(everything)).view(self._choice, AZIMUTH)
            raise OfflineError(words(why(self._choice, view, self._probe), self._choice, None))
        return overview

    def _fitting(self, overview: Overview) -> Overview | None:
        """``overview`` brought closer or farther until what is drawn fits; None where nothing is drawn."""
        for _ in range(LOOKS):
            sight = self._probe.look(overview.view(self._choice, AZIMUTH))
            if not len(sight.seen):
                return overview if sight.drawn.any() else None
            middle, radius = sphere_round(sight.points)
            if sight.share < SPARSE:  # things far apart: rather the most of them than all as specks
                middle = np.median(sight.points, axis=0)
                radius = 3 * float(np.median(np.linalg.norm(sight.points - middle, axis=1)))
                overview = Overview(middle, min(max(radius, overview.radius / 50), overview.radius / 1.5))
            elif _touches_edge(sight):
                overview = Overview(overview.middle, overview.radius * 1.5)
            elif radius < FITS * overview.radius:
                overview = Overview(middle, radius * 1.2)
            else:
                break
        return overview


def _touches_edge(sight: Sight) -> bool:
    edges = sight.drawn[0], sight.drawn[-1], sight.drawn[:, 0], sight.drawn[:, -1]
    return any(bool(edge.any()) for edge in edges)
