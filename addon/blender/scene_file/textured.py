"""The scene of a file, textured by pictures of it, looked at and written elsewhere. Imports bpy, numpy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...problems.words import sentence
from ..capture.draft import Draft
from ..capture.offscreen import Capturer
from ..export.write import export
from ..stick.around import Around, AroundSettings
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


COMPARED = 16
"""From so many directions it is measured after each view how much has a texture."""


@dataclass(frozen=True)
class Laid:
    """What one view gave. ``new``: how much of it was empty before. ``coverage``: of the surface that can be seen from
    the dome above the scene, how much has been in a picture by now. Both 0 to 1.
    """

    draft: Draft
    picture: NDArray[np.uint8]
    new: float
    coverage: float
    picture_seconds: float
    stick_seconds: float


class TexturedScene:
    """Lays pictures on ``scene``, which is opened and ready. ``texture_size``: longest side of a texture in texels."""

    def __init__(self, scene: OfflineScene, texture_size: int) -> None:
        self._scene = scene
        self._sticker = Sticker(StickSettings(texture_size=texture_size))
        self._job: Around | None = None

    def around(self, views: int, paint: Paint) -> Iterator[Laid]:
        """Lay the pictures of at most so many views on the scene, the first of them the camera's own.

        Raises ProblemError.
        """
        self._scene.place(0.0, None, None)
        draft = self._scene.draw()
        first = view_as(self._scene.view, draft.view, draft.projection)
        height, width = draft.image.shape[:2]
        settings = AroundSettings(views=views)
        job = Around(
            self._sticker,
            Capturer(patient=True),
            first,
            (width, height),
            settings,
            lambda draft: paint(len(job.done), draft),
        )
        self._job = job
        for done in job.run():
            coverage, _ = job.covered(COMPARED)
            yield Laid(done.draft, done.picture, done.new, coverage, done.render_seconds, done.seconds)

    def covered(self) -> tuple[float, float]:
        """Of what can be seen from a dome of 64 directions: how much was in a picture, and has any texture."""
        assert self._job is not None, "around() comes first"
        return self._job.covered()

    def look(self, turn: float) -> Draft:
        """The scene with its textures as they are, seen at ``turn`` (0 to 1) of the orbit."""
        self._scene.place(turn, None, None)
        self._scene.draw()
        with _shown(self._scene.view.space.shading):
            return self._scene.draw()

    def refusals(self) -> list[str]:
        """Why things were left out, a sentence each."""
        return [sentence(problem) for problem in self._job.refusals] if self._job is not None else []

    def export(self, path: Path) -> None:
        """Write what is seen to ``path``, a .blend with its textures on show. Raises ProblemError."""
        view = self._scene.view
        with silent(), _shown(view.space.shading):
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
