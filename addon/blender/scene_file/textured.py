"""The scene of a file, textured by pictures of it, looked at and written elsewhere. Imports bpy, numpy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...problems import Problem
from ...problems.words import sentence
from ..capture.draft import Draft
from ..export.write import export
from ..stick.settings import StickSettings
from ..stick.sticking import Sticker, view_as
from .opening import silent
from .scene import OfflineScene

Paint = Callable[[int, Any], NDArray[np.uint8]]
"""Makes the picture (uint8, H x W x 3) of the view of that number from its draft."""
PLAIN_LOOK: dict[str, Any] = {
    "type": "SOLID",
    "light": "FLAT",
    "color_type": "TEXTURE",
    "show_cavity": False,
    "show_shadows": False,
    "show_object_outline": False,
    "show_specular_highlight": False,
    "show_backface_culling": False,
    "show_xray": False,
    "use_dof": False,
}
"""Shading that shows textures as they are. ``type`` comes first: the others are kept for each."""


@dataclass(frozen=True)
class Laid:
    """What one view gave. ``coverage``: how much of the textured surfaces has been seen by now, 0 to 1."""

    number: int
    draft: Draft
    picture: NDArray[np.uint8]
    coverage: float
    seconds: float


class TexturedScene:
    """Lays pictures on ``scene``, which is opened and ready. ``texture_size``: longest side of a texture in texels."""

    def __init__(self, scene: OfflineScene, texture_size: int) -> None:
        self._scene = scene
        self._sticker = Sticker(StickSettings(texture_size=texture_size))
        self._refused: dict[Problem, None] = {}
        self.shares: dict[str, float] = {}
        """By an object's name, how much of its surface a picture has shown."""

    def around(self, views: int, paint: Paint) -> Iterator[Laid]:
        """Lay the pictures of so many views on the scene, the first of them the camera's own. Raises ProblemError."""
        for number in range(views):
            self._scene.place(number / views, None, None)
            draft = self._scene.draw()
            picture = paint(number, draft)
            stuck = self._sticker.stick(view_as(self._scene.view, draft.view, draft.projection), picture)
            self.shares |= stuck.shares
            self._refused |= dict.fromkeys(stuck.refusals)
            yield Laid(number, draft, picture, float(np.mean(list(self.shares.values()))), stuck.seconds)

    def look(self, turn: float) -> Draft:
        """The scene with its textures as they are, seen at ``turn`` (0 to 1) of the orbit."""
        self._scene.place(turn, None, None)
        self._scene.draw()
        with _shown(self._scene.view.space.shading):
            return self._scene.draw()

    def refusals(self) -> list[str]:
        """Why things were left out, a sentence each."""
        return [sentence(problem) for problem in self._refused]

    def export(self, path: Path) -> None:
        """Write what is seen to ``path``. Raises ProblemError."""
        view = self._scene.view
        with silent():
            export(path, view.view_layer, view.space)


@contextlib.contextmanager
def _shown(shading: Any) -> Iterator[None]:
    before = {name: getattr(shading, name) for name in PLAIN_LOOK}
    for name, value in PLAIN_LOOK.items():
        setattr(shading, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(shading, name, value)
