"""What can go wrong when a scene is written for other programs. Standard library only; no bpy."""

from __future__ import annotations

from dataclasses import dataclass

from .report import Problem


@dataclass(frozen=True)
class UnknownFormat(Problem):
    """``file`` ends in something that is no format to export to; ``known``: those there are, such as ".glb, .usdz"."""

    file: str
    known: str


@dataclass(frozen=True)
class NothingToExport(Problem):
    """The view layer shows nothing with faces."""

    view_layer: str


@dataclass(frozen=True)
class FileNotWritable(Problem):
    """``file`` cannot be written; ``detail``: the system's own words."""

    file: str
    detail: str


@dataclass(frozen=True)
class ExporterFailed(Problem):
    """Blender's own exporter gave up, or is missing from this Blender; ``detail``: in its own words."""

    file: str
    detail: str
