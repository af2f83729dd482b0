"""From where a scene is textured all round. Imports mathutils, numpy."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...geometry.orbit import dome, from_eye, middle_of_sight, turned, view_towards
from ..capture.view import View
from .projection import Seen

SMALL = 96
"""Longer side of the drawings by which views are compared, in pixels."""
CANDIDATES = 64
MOST = 0.7
"""Of what the first view shows, by distance from the middle: what all views should have in sight."""
FARTHER = 2.0
"""Than where just that fits: from there, less is hidden."""
BLOCKED = 0.25
"""Of the way to the middle: when half of what a view shows is nearer, something is right before the eye."""


class Way(Enum):
    """Where the views are: a ring at the first one's height, a dome, those of the scene's cameras, by name, or
    whichever next shows most that is empty.
    """

    AUTO = "AUTO"
    RING = "RING"
    DOME = "DOME"
    CAMERAS = "CAMERAS"


@dataclass(frozen=True)
class AroundSettings:
    """``views``: how many at most, the first one included. ``least_gain``: of what a view shows, 0 to 1, that is
    empty; else it is left out.
    """

    views: int = 8
    way: Way = Way.AUTO
    least_gain: float = 0.01

    def __post_init__(self) -> None:
        """Raise ValueError with the setting, its value and the rule."""
        if not 1 <= self.views <= 64:
            raise ValueError(f"the number of views is {self.views}: it must be from 1 to 64")
        if not 0 <= self.least_gain < 1:
            raise ValueError(f"the least gain is {self.least_gain}: it must be from 0 to below 1")


class Chooser:
    """The views that come after the first."""

    def __init__(self, settings: AroundSettings, first: Seen, size: tuple[int, int]) -> None:
        """``first``: what the first view shows; ``size``: of the pictures."""
        self._settings, self._first = settings, first.view
        self._matrix = np.array(first.view.view_matrix, np.float64)
        self._middle = self._aim(first)
        self._distance = self._far_enough(first)
        scale = SMALL / max(size)
        self.small = max(8, round(size[0] * scale)), max(8, round(size[1] * scale))
        self._left = list(self.planned())
        self._gains: list[float] | None = None

    def planned(self) -> Iterator[View]:
        """The views of a ring or a dome; of a choice, all that it is made from."""
        count = self._settings.views - 1
        if not count:
            return
        if self._settings.way is Way.RING:
            for number in range(1, count + 1):
                yield self._as(turned(self._matrix, self._middle, number / (count + 1)))
        elif self._settings.way is Way.DOME:
            yield from self.views(dome(count))
        elif self._settings.way is Way.CAMERAS:
            for thing in sorted(self._first.scene.objects, key=lambda one: one.name):
                if thing.type == "CAMERA":
                    yield replace(self._first, view_matrix=thing.matrix_world.normalized().inverted())
        else:
            yield from self.views(dome(CANDIDATES))

    def views(self, directions: NDArray[np.float64]) -> Iterator[View]:
        """From each of ``directions`` towards the middle, as far away as the first view."""
        for direction in directions:
            yield self._as(view_towards(direction, self._middle, self._distance))

    def next(self, gain: Callable[[View], float]) -> Generator[None, None, View | None]:
        """The next view; ``gain``: how much of a view is empty. None when all is done. Yields between looks."""
        if self._settings.way is not Way.AUTO:
            return self._left.pop(0) if self._left else None
        if self._gains is None:
            self._gains = []
            for view in self._left:
                self._gains.append(gain(view))
                yield
        while self._left:
            # What is stuck only takes from the others' gains: the best of old ones that is still the best is the best.
            best = int(np.argmax(self._gains))
            now = gain(self._left[best])
            others = np.delete(self._gains, best)
            if not len(others) or now >= others.max():
                view = self._left.pop(best)
                self._gains.pop(best)
                return view if now >= self._settings.least_gain else None
            self._gains[best] = now
            yield
        return None

    def is_blocked(self, seen: Seen) -> bool:
        """Whether something is right before the eye."""
        distance = seen.distance[seen.distance > 0]
        return len(distance) == 0 or float(np.median(distance)) < BLOCKED * self._distance

    def _far_enough(self, seen: Seen) -> float:
        """How far from the middle most of what the first view shows fits into a view; no nearer than its own eye."""
        eye = from_eye(self._matrix, np.zeros((1, 3)))[0]
        points, _ = self._points(seen)
        if not len(points):
            return float(np.linalg.norm(eye - self._middle))
        reach = np.quantile(np.linalg.norm(from_eye(self._matrix, points) - self._middle, axis=1), MOST)
        opening = min(1 / abs(seen.view.projection_matrix[axis][axis]) for axis in (0, 1))
        if abs(seen.view.projection_matrix[3][2]) < 0.5:
            opening = 1.0  # of no matter for what is seen, but nothing may be behind the eye
        return FARTHER * float(max(np.linalg.norm(eye - self._middle), reach * np.hypot(1, opening) / opening))

    def _aim(self, seen: Seen) -> NDArray[np.float64]:
        """The middle of what the first view shows."""
        points, places = self._points(seen)
        middle = middle_of_sight(points, places) if len(points) else np.array([0.0, 0.0, -1.0])
        return from_eye(self._matrix, middle[None])[0]

    def _points(self, seen: Seen) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What ``seen`` shows, from its eye, N x 3; and where each is in the picture, N x 2, -1 to 1."""
        projection = seen.view.projection_matrix
        distance = seen.distance[::4, ::4].astype(np.float64)
        height, width = distance.shape
        x = (np.arange(width) + 0.5) * 2 / width - 1
        y = 1 - (np.arange(height) + 0.5) * 2 / height
        across = np.stack(np.broadcast_arrays(x[None], y[:, None]), -1)
        shown = distance > 0
        flat, places = distance[shown], across[shown]
        scale = np.array([projection[0][0], projection[1][1]])
        if abs(projection[3][2]) < 0.5:
            sides = (places - np.array([projection[0][3], projection[1][3]])) / scale
        else:
            sides = (places + np.array([projection[0][2], projection[1][2]])) / scale * flat[:, None]
        return np.concatenate([sides, -flat[:, None]], 1), places

    def _as(self, matrix: NDArray[np.float64]) -> View:
        return replace(self._first, view_matrix=Matrix(matrix))
