"""Messages about the models that a server has or can get. Standard library and numpy only, no I/O.

A model is spoken of by the name that it has in :class:`Models`; a path never crosses the wire.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .checks import check_choice, check_flag, check_image, check_number, check_text, check_whole, show
from .errors import ProtocolError

MAX_NAME = 200
MAX_ENTRIES = 1200
MAX_LORAS = 8
MAX_REFERENCE_SIDE = 1024
"""The longest side of a style picture, in pixels: the models that read it look at 224 x 224."""

Kind = Literal["model", "lora", "control", "vae", "other"]
KINDS = ("model", "lora", "control", "vae", "other")
PROGRESS_STATES = ("pulling", "verifying", "done", "cancelled", "failed")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _check_name(name: str, value: object) -> None:
    check_text(name, value, MAX_NAME)
    if not value:
        raise ProtocolError(f"{name} is empty, but must be a name from the list of models")


def _check_sha256(value: object) -> None:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ProtocolError(f"sha256 is {show(value)}, but must be 64 hexadecimal digits in lower case")


@dataclass(frozen=True)
class Lora:
    """A LoRA of the server's list and how strongly it acts; 0 is off, below 0 the opposite."""

    name: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_name("name of a LoRA", self.name)
        check_number(f"weight of LoRA {show(self.name)}", self.weight, -2, 2)


@dataclass(frozen=True)
class Reference:
    """A style picture, sent before by :class:`Upload`, and how strongly it acts."""

    sha256: str
    weight: float = 0.6

    def __post_init__(self) -> None:
        _check_sha256(self.sha256)
        check_number("weight of the reference", self.weight, 0, 2)


@dataclass(frozen=True, eq=False)
class Upload:
    """Client to server: a style picture that requests may refer to. ``image``: uint8, H x W x 3, sRGB.

    ``sha256`` is of the image's bytes, row after row. The server keeps the last one until the client leaves.
    """

    sha256: str
    image: NDArray[np.uint8]

    def __post_init__(self) -> None:
        _check_sha256(self.sha256)
        check_image("style picture", self.image, MAX_REFERENCE_SIDE)


@dataclass(frozen=True)
class ListModels:
    """Client to server: which models are there? Answered by :class:`Models`."""


@dataclass(frozen=True)
class Entry:
    """A model, LoRA or control that the server has or can get.

    ``download_bytes``: what getting it takes, 0 when nothing is left to get. ``memory_bytes``: of the device, 0 when
    unknown. ``steps``, ``guidance``, ``strength``, ``sampler``: what suits it. ``sentence``: what to know of it, such
    as a licence that forbids commercial use.
    """

    name: str
    title: str = ""
    kind: Kind = "model"
    family: str = ""
    licence: str = ""
    installed: bool = False
    removable: bool = False
    download_bytes: int = 0
    memory_bytes: int = 0
    steps: int = 4
    guidance: float = 1.0
    strength: float = 0.8
    sentence: str = ""
    sampler: str = "lcm"

    def __post_init__(self) -> None:
        _check_name("name of a model", self.name)
        check_choice("kind", self.kind, KINDS)
        for name in ("title", "family", "licence"):
            check_text(name, getattr(self, name), 400)
        check_flag("installed", self.installed)
        check_flag("removable", self.removable)
        check_whole("download_bytes", self.download_bytes, 0, 2**53 - 1)
        check_whole("memory_bytes", self.memory_bytes, 0, 2**53 - 1)
        check_whole("steps", self.steps, 1, 50)
        check_number("guidance", self.guidance, 0, 30)
        check_number("strength", self.strength, 0.01, 1)
        check_text("sentence", self.sentence, 1000)
        check_text("sampler", self.sampler, 40)


@dataclass(frozen=True)
class Models:
    """Server to client: the models, LoRAs and controls that it has or can get. Sent again whenever that changes.

    ``folder``: where the user puts files of their own, empty when the server has no such place. ``left_out``: how
    many more there are than a message holds.
    """

    entries: tuple[Entry, ...] = ()
    folder: str = ""
    left_out: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.entries, (tuple, list)) or not all(isinstance(e, Entry) for e in self.entries):
            raise ProtocolError(f"entries is {show(self.entries)}, but must be a list of models")
        object.__setattr__(self, "entries", tuple(self.entries))
        check_whole("number of entries", len(self.entries), 0, MAX_ENTRIES)
        names = [entry.name for entry in self.entries]
        if len(set(names)) < len(names):
            raise ProtocolError("entries names a model twice, but each name may be there once")
        check_text("folder", self.folder, 4000)
        check_whole("left_out", self.left_out, 0, 2**53 - 1)


@dataclass(frozen=True)
class _OfModel:
    name: str

    def __post_init__(self) -> None:
        _check_name("name of a model", self.name)


@dataclass(frozen=True)
class LoadModel(_OfModel):
    """Client to server: render with this model from when it is ready; ``Status`` tells how that goes."""


@dataclass(frozen=True)
class PullModel(_OfModel):
    """Client to server: download this model; :class:`ModelProgress` tells how that goes."""


@dataclass(frozen=True)
class CancelPull(_OfModel):
    """Client to server: stop downloading this model and keep nothing of a file that is not whole."""


@dataclass(frozen=True)
class RemoveModel(_OfModel):
    """Client to server: delete what was downloaded for this model and belongs to no other."""


@dataclass(frozen=True)
class VerifyModel(_OfModel):
    """Client to server: compare the files of this model with the checksums that their publisher gives."""


@dataclass(frozen=True)
class ModelProgress:
    """Server to client: how far a pull or a check is, in bytes; ``total`` is 0 while it is not known.

    ``done``, ``cancelled`` and ``failed`` are the last of their task; ``sentence`` says what happened.
    """

    name: str
    state: Literal["pulling", "verifying", "done", "cancelled", "failed"]
    done: int = 0
    total: int = 0
    sentence: str = ""

    def __post_init__(self) -> None:
        _check_name("name of a model", self.name)
        check_choice("state", self.state, PROGRESS_STATES)
        check_whole("done", self.done, 0, 2**53 - 1)
        check_whole("total", self.total, 0, 2**53 - 1)
        check_text("sentence", self.sentence, 4000)


ModelMessage = (
    Upload | ListModels | Models | LoadModel | PullModel | CancelPull | RemoveModel | VerifyModel | ModelProgress
)
