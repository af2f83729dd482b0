"""Why a picture does not stick to something. Standard library only; no bpy."""

from __future__ import annotations

from dataclasses import dataclass

from .report import Problem


@dataclass(frozen=True)
class NoMesh(Problem):
    """It is no mesh, so that it has no UV map; ``kind``: its type as Blender names it."""

    thing: str
    kind: str


@dataclass(frozen=True)
class NoFaces(Problem):
    """A mesh without a face."""

    thing: str


@dataclass(frozen=True)
class OnlyInstances(Problem):
    """It is seen as instances only, which share one surface."""

    thing: str


@dataclass(frozen=True)
class LinkedObject(Problem):
    """It comes from another file; ``library``: which."""

    thing: str
    library: str


@dataclass(frozen=True)
class Overridden(Problem):
    """It is a library override, which does not keep what is added to it; ``library``: of what."""

    thing: str
    library: str


@dataclass(frozen=True)
class LinkedMesh(Problem):
    """Its mesh comes from another file, and would need a UV map or a material slot; ``library``: which."""

    thing: str
    library: str


@dataclass(frozen=True)
class SharedInAtlas(Problem):
    """Several objects have its mesh, which has one place in an atlas; ``count``: how many."""

    thing: str
    count: int


@dataclass(frozen=True)
class CopiedByModifier(Problem):
    """A modifier makes copies that lie over each other on the UV map; ``modifier``: the first that may."""

    thing: str
    modifier: str


@dataclass(frozen=True)
class NoMapAfterModifier(Problem):
    """What its modifiers make has no UV map; ``modifier``: the last of them."""

    thing: str
    modifier: str


@dataclass(frozen=True)
class BeingEdited(Problem):
    """It is in Edit Mode."""

    thing: str


@dataclass(frozen=True)
class TooManyMaps(Problem):
    """Its mesh has as many UV maps as there can be."""

    thing: str


@dataclass(frozen=True)
class NothingToStickTo(Problem):
    """The view shows no surface that a picture can be laid on; ``selected``: of those that are selected."""

    selected: bool


@dataclass(frozen=True)
class NoPicture(Problem):
    """There is no settled picture yet."""


@dataclass(frozen=True)
class TexturesNotWritten(Problem):
    """The folder for textures cannot be written to; ``detail``: in the system's words."""

    folder: str
    detail: str
