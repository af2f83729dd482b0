"""The messages of the protocol as dataclasses. Standard library and numpy only, no I/O.

Each class checks its own values, so that a message that exists is a valid one, on either side of the wire.
Planes run from the top row down. Matrices are row-major, as ``mathutils.Matrix`` prints them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .checks import (
    check_choice,
    check_fields,
    check_flag,
    check_image,
    check_inverse_depth,
    check_matrix,
    check_number,
    check_text,
    check_timings,
    check_whole,
    show,
)
from .errors import ProtocolError
from .greeting import MAX_SIDE, MEMORY_BYTES, Hello, Probe, Welcome
from .models import MAX_LORAS, Lora, ModelMessage, Reference

MAX_STEPS = 50
MAX_ID = 2**53 - 1
MAX_SEED = 2**32 - 1
MAX_CONTROLS = 4
IDENTITY = tuple(tuple(1.0 if row == column else 0.0 for column in range(4)) for row in range(4))

Matrix = tuple[tuple[float, ...], ...]
Fields = dict[str, str | int | float]
"""What a code is about: names, with texts and numbers."""
State = Literal["loading", "ready", "failed"]
STATES = ("loading", "ready", "failed")
CONTROLS = ("depth",)
PICTURE_ENCODINGS = ("rgb8", "jpeg")


@dataclass(frozen=True)
class Status:
    """Server to client: the state of its model. Sent after :class:`Welcome` and on every change."""

    state: State
    percent: float = 0.0
    """How much of the model is loaded, 0 to 100."""
    model: str = ""
    code: str = ""
    """What there is to say beside that, "" for nothing; the reason when the state is ``failed``."""
    fields: Fields = field(default_factory=dict)
    sentence: str = ""
    """The same in English, for display alone."""

    def __post_init__(self) -> None:
        check_choice("state", self.state, STATES)
        check_number("percent", self.percent, 0, 100)
        check_text("model", self.model, 400)
        _check_told(self.code, self.fields, self.sentence)


@dataclass(frozen=True, eq=False)
class Frame:
    """What the viewport showed.

    ``image``: uint8, H x W x 3, sRGB as displayed.
    ``inverse_depth``: uint16, H x W, or None. ``65535 * near / distance``, distance being measured along the
    view axis: the nearest surface is 65535, the background 0. ``near``: that nearest distance in scene units.
    ``view``, ``projection``: Blender's ``view_matrix`` (world to view) and ``window_matrix`` (view to clip).
    ``captured``: the client's own clock in seconds; the server only hands it back.
    """

    id: int
    image: NDArray[np.uint8]
    inverse_depth: NDArray[np.uint16] | None = None
    near: float = 1.0
    view: Matrix = IDENTITY
    projection: Matrix = IDENTITY
    captured: float = 0.0

    def __post_init__(self) -> None:
        check_whole("frame id", self.id, 0, MAX_ID)
        check_image("image", self.image, MAX_SIDE)
        if self.inverse_depth is not None:
            check_inverse_depth("inverse_depth", self.inverse_depth, self.image.shape[:2])
        check_number("near", self.near, 1e-9, 1e12)
        object.__setattr__(self, "view", check_matrix("view", self.view))
        object.__setattr__(self, "projection", check_matrix("projection", self.projection))
        check_number("captured", self.captured, -1e15, 1e15)


@dataclass(frozen=True)
class Control:
    """A guide for the picture beside the prompt; ``depth`` needs the frame's inverse depth."""

    kind: str = "depth"
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_choice("control", self.kind, CONTROLS)
        check_number(f"weight of control {self.kind!r}", self.weight, 0, 2)


@dataclass(frozen=True)
class Style:
    """Everything about a request but the frame. The names are diffusers' own.

    ``steps`` are the UNet calls really made, whatever the strength. ``strength`` 1 ignores the draft's colours;
    lower keeps more of them. ``guidance`` at or below 1 is off. ``width`` and ``height`` of the picture in
    pixels, multiples of 8. ``loras`` act beside the model's own; ``reference`` is a picture to take the style from.
    """

    prompt: str = ""
    negative_prompt: str = ""
    strength: float = 0.8
    steps: int = 2
    guidance: float = 1.0
    seed: int = 0
    width: int = 256
    height: int = 256
    controls: tuple[Control, ...] = ()
    loras: tuple[Lora, ...] = ()
    reference: Reference | None = None

    def __post_init__(self) -> None:
        check_text("prompt", self.prompt, 4000)
        check_text("negative_prompt", self.negative_prompt, 4000)
        check_number("strength", self.strength, 0.01, 1)
        check_whole("steps", self.steps, 1, MAX_STEPS)
        check_number("guidance", self.guidance, 0, 30)
        check_whole("seed", self.seed, 0, MAX_SEED)
        check_whole("width", self.width, 64, MAX_SIDE, multiple=8)
        check_whole("height", self.height, 64, MAX_SIDE, multiple=8)
        if not isinstance(self.controls, (tuple, list)) or not all(isinstance(c, Control) for c in self.controls):
            raise ProtocolError(f"controls is {show(self.controls)}, but must be a list of controls")
        object.__setattr__(self, "controls", tuple(self.controls))
        check_whole("number of controls", len(self.controls), 0, MAX_CONTROLS)
        kinds = [control.kind for control in self.controls]
        if len(set(kinds)) < len(kinds):
            raise ProtocolError(f"controls names {', '.join(kinds)}, but each kind may be there once")
        if not isinstance(self.loras, (tuple, list)) or not all(isinstance(lora, Lora) for lora in self.loras):
            raise ProtocolError(f"loras is {show(self.loras)}, but must be a list of LoRAs")
        object.__setattr__(self, "loras", tuple(self.loras))
        check_whole("number of LoRAs", len(self.loras), 0, MAX_LORAS)
        if self.reference is not None and not isinstance(self.reference, Reference):
            raise ProtocolError(f"reference is {show(self.reference)}, but must be a style picture's sha256 and weight")


@dataclass(frozen=True, eq=False)
class Request:
    """Client to server: a frame and its style; with the model loaded, all that the picture depends on.

    ``settle`` marks the frame of a view at rest; the server only hands it back. ``picture_at``: where in the shared
    memory the picture is to be put, None for the socket. ``picture_as``: its encoding.
    """

    frame: Frame
    style: Style
    settle: bool = False
    picture_at: int | None = None
    picture_as: str = "rgb8"

    def __post_init__(self) -> None:
        check_flag("settle", self.settle)
        if self.picture_at is not None:
            check_whole("picture_at", self.picture_at, 0, MEMORY_BYTES)
        check_choice("picture_as", self.picture_as, PICTURE_ENCODINGS)
        for control in self.style.controls:
            if control.kind == "depth" and control.weight > 0 and self.frame.inverse_depth is None:
                raise ProtocolError(
                    f"frame {self.frame.id} has no depth, but its style asks for depth control: "
                    "send inverse_depth with the frame or leave the control out",
                    "bad_request",
                )


@dataclass(frozen=True, eq=False)
class Picture:
    """Server to client: the stylised result of one request. ``image``: uint8, H x W x 3, sRGB.

    ``timings``: milliseconds by stage, as the server measured them (``queue``, ``engine``, and its parts).
    ``arrived``, ``made``: when the request was read and the engine had this, in seconds by the server's own clock.
    """

    id: int
    image: NDArray[np.uint8]
    captured: float = 0.0
    settle: bool = False
    model: str = ""
    timings: dict[str, float] = field(default_factory=dict)
    arrived: float = 0.0
    made: float = 0.0

    def __post_init__(self) -> None:
        check_whole("picture id", self.id, 0, MAX_ID)
        check_image("picture", self.image, MAX_SIDE)
        check_number("captured", self.captured, -1e15, 1e15)
        check_flag("settle", self.settle)
        check_text("model", self.model, 400)
        check_timings(self.timings)
        check_number("arrived", self.arrived, -1e15, 1e15)
        check_number("made", self.made, -1e15, 1e15)


@dataclass(frozen=True)
class Shown:
    """Client to server: a picture is on show. ``timings``: milliseconds by stage, which only a client can measure."""

    timings: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_timings(self.timings)


@dataclass(frozen=True)
class Progress:
    """Server to client: the request ``id`` has had ``step`` of ``steps`` UNet calls; 0 says that it started."""

    id: int
    step: int
    steps: int

    def __post_init__(self) -> None:
        check_whole("progress id", self.id, 0, MAX_ID)
        check_whole("steps", self.steps, 1, MAX_STEPS)
        check_whole("step", self.step, 0, self.steps)


@dataclass(frozen=True)
class Dropped:
    """Server to client: a newer frame took the place of this one before its turn came."""

    id: int

    def __post_init__(self) -> None:
        check_whole("dropped id", self.id, 0, MAX_ID)


@dataclass(frozen=True)
class Failure:
    """Server to client: a request (or, without ``id``, a message or the connection) failed.

    ``code`` and ``fields`` say why, for programs; ``sentence`` says it in English, for display alone.
    """

    code: str = "internal"
    fields: Fields = field(default_factory=dict)
    id: int | None = None
    sentence: str = ""

    def __post_init__(self) -> None:
        _check_told(self.code, self.fields, self.sentence)
        if self.id is not None:
            check_whole("failure id", self.id, 0, MAX_ID)


def _check_told(code: str, fields: Fields, sentence: str) -> None:
    check_text("code", code, 100)
    check_fields("fields", fields)
    check_text("sentence", sentence, 4000)


Message = Hello | Welcome | Status | Request | Picture | Shown | Progress | Dropped | Failure | Probe | ModelMessage
