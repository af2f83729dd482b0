"""What can go wrong in Blender itself. Standard library only; no bpy."""

from __future__ import annotations

from dataclasses import dataclass

from .report import Problem


@dataclass(frozen=True)
class CaptureFailed(Problem):
    """Blender or the graphics driver could not draw the viewport; ``detail``: in their own words."""

    detail: str


@dataclass(frozen=True)
class ViewTooNarrow(Problem):
    """So many pixels would have to be drawn to cut the picture out of the view."""

    width: int
    height: int


@dataclass(frozen=True)
class EngineNotCaptured(Problem):
    """The render engine draws its Rendered shading into the viewport only."""

    engine: str


@dataclass(frozen=True)
class BadSettings(Problem):
    """The scene's settings make no request; ``detail``: a sentence that names the setting, its value and the rule."""

    detail: str


@dataclass(frozen=True)
class NoViewport(Problem):
    """No 3D View is open."""


@dataclass(frozen=True)
class FilmWithoutCamera(Problem):
    """A film through the scene's camera, of a scene that has none."""

    scene: str


@dataclass(frozen=True)
class FilmNotWritten(Problem):
    """A film's ``folder`` cannot be written to; ``detail``: the system's own words."""

    folder: str
    detail: str


@dataclass(frozen=True)
class FilmNotEncoded(Problem):
    """Blender's encoder made no video of the frames in ``folder``, where its log is, too."""

    folder: str


@dataclass(frozen=True)
class LiveCrashed(Problem):
    """A mistake in the add-on: an exception that nobody foresaw."""

    detail: str
