"""How much of what views show has a texture. Imports bpy, numpy.

What a view shows of which texel is drawn once; from then on it is looked up in the textures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..capture.view import View
from .choice import Chooser
from .looking import Looker
from .materials import is_stuck
from .projection import Seen
from .sticking import Sticker, by_image
from .unwrap import Place

LITTLE = 0.02
"""Of a view that shows less, this is taken to be all that it shows."""


class Coverage:
    """Of ``places`` that ``looker`` draws, by the views of ``chooser``."""

    def __init__(self, sticker: Sticker, looker: Looker, chooser: Chooser, places: Sequence[Place]) -> None:
        self._sticker, self._looker, self._chooser, self._places = sticker, looker, chooser, places
        self._points: dict[bytes, tuple[NDArray[np.float32], bool]] = {}

    def add(self, view: View, seen: Seen) -> None:
        """Draw what has been ``seen`` by ``view``, in pictures of the chooser's small size."""
        found = self._looker.points(seen, *self._chooser.small)
        self._points[_key(view)] = found[found[..., 2] > 0], self._chooser.is_blocked(seen)

    def gain(self, view: View) -> float:
        """How much of what ``view`` shows is empty, 0 to 1; 0 where something is right before the eye."""
        points, blocked = self._of(view)
        if blocked:
            return 0.0
        own, _ = self._have(points)
        width, height = self._chooser.small
        return (len(points) - own) / max(len(points), LITTLE * width * height)

    def share(self, views: Iterable[View]) -> tuple[float, float]:
        """Of what ``views`` show, each counting by its pixels: the share with a texture of its own, and with any."""
        points = np.concatenate([np.empty((0, 3), np.float32), *(self._of(view)[0] for view in views)])
        own, some = self._have(points)
        return own / max(len(points), 1), some / max(len(points), 1)

    def _of(self, view: View) -> tuple[NDArray[np.float32], bool]:
        if _key(view) not in self._points:
            self.add(view, self._sticker.see(view, *self._chooser.small))
        return self._points[_key(view)]

    def _have(self, points: NDArray[np.float32]) -> tuple[int, int]:
        """How many of ``points`` a picture has shown, and how many are on what shows a texture."""
        own = some = 0
        order = np.argsort(points[:, 2], kind="stable")
        ends = np.searchsorted(points[order, 2], np.arange(len(self._places) + 1) + 1.0)
        number = {id(place): at for at, place in enumerate(self._places)}
        for group in by_image(self._places):
            states = self._sticker.texture(group).states[..., 0]
            for place in group:
                at = number[id(place)]
                uv = points[order[ends[at] : ends[at + 1]], :2]
                if len(uv) and is_stuck(place.thing):
                    texel = (np.clip(uv, 0, 0.99999) * states.shape[0]).astype(np.intp)
                    own += int(np.count_nonzero(states[texel[:, 1], texel[:, 0]]))
                    some += len(uv)
        return own, some


def _key(view: View) -> bytes:
    return np.array([view.view_matrix, view.projection_matrix], np.float64).tobytes()
