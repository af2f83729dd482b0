"""The messages of the protocol as dataclasses. Standard library and numpy only, no I/O.

Each class checks its own values, so that a message that exists is a valid one, on either side of the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .checks import (
    check_choice,
    check_each,
    check_fields,
    check_flag,
    check_image,
    check_number,
    check_text,
    check_timings,
    check_whole,
)
from .errors import ProtocolError
from .frame import MAX_ID, Frame
from .greeting import MAX_SIDE, MEMORY_BYTES, Hello, Probe, Welcome
from .models import ModelMessage
from .style import MAX_STEPS, Region, Style

MAX_REGIONS = 32
Fields = dict[str, str | int | float]
"""What a code is about: names, with texts and numbers."""
State = Literal["loading", "ready", "failed"]
STATES = ("loading", "ready", "failed")
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
    control: str = ""
    """The file by which the model's pictures follow depth, by its name; "" where they do not."""

    def __post_init__(self) -> None:
        check_choice("state", self.state, STATES)
        check_number("percent", self.percent, 0, 100)
        check_text("model", self.model, 400)
        check_text("control", self.control, 400)
        _check_told(self.code, self.fields, self.sentence)


@dataclass(frozen=True, eq=False)
class Request:
    """Client to server: a frame and how it is to be painted; with the model loaded, all that the picture depends on.

    ``settle`` marks the frame of a view at rest; the server only hands it back. ``picture_at``: where in the shared
    memory the picture is to be put, None for the socket. ``picture_as``: its encoding.
    ``after``: the id of an earlier picture of this connection whose memory it builds on, None for a fresh one.
    ``regions``: prompts for parts of the frame. ``panorama``: whether its left and right border meet.
    """

    frame: Frame
    style: Style
    settle: bool = False
    picture_at: int | None = None
    picture_as: str = "rgb8"
    after: int | None = None
    regions: tuple[Region, ...] = ()
    panorama: bool = False

    def __post_init__(self) -> None:
        check_flag("settle", self.settle)
        check_choice("picture_as", self.picture_as, PICTURE_ENCODINGS)
        if self.picture_at is not None:
            check_whole("picture_at", self.picture_at, 0, MEMORY_BYTES)
            if self.picture_as != "rgb8":
                raise ProtocolError(
                    f"picture_at is {self.picture_at} and picture_as {self.picture_as!r}, but only rgb8 goes through "
                    "shared memory: leave one of the two out"
                )
        if self.after is not None:
            check_whole("after", self.after, 0, MAX_ID)
        object.__setattr__(self, "regions", check_each("regions", self.regions, Region, "regions", MAX_REGIONS))
        ids = [region.id for region in self.regions]
        if len(set(ids)) < len(ids):
            raise ProtocolError(f"regions has the ids {ids}, but each may be there once")
        check_flag("panorama", self.panorama)
        self._check_planes()

    def _check_planes(self) -> None:
        """Raise ProtocolError where the frame lacks a plane that is to be read."""
        planes = self.frame.planes
        wanted = {control.plane: f"the control {control.kind!r}" for control in self.style.controls if control.weight}
        if any(region.weight for region in self.regions):
            wanted["ids"] = "regions"
        for name, what in wanted.items():
            if name not in planes:
                raise ProtocolError(
                    f"frame {self.frame.id} has no plane {name!r}, but its request asks for {what}: "
                    f"send {name} with the frame, or leave {what} out",
                    "bad_request",
                )


@dataclass(frozen=True, eq=False)
class Picture:
    """Server to client: the stylised result of one request. ``image``: uint8, H x W x 3, sRGB.

    ``timings``: milliseconds by stage, as the server measured them (``queue``, ``engine``, and its parts).
    ``arrived``, ``made``: when the request was read and the engine had this, in seconds by the server's own clock.
    ``after``: the id of the earlier picture whose memory it really builds on; None for a fresh one.
    """

    id: int
    image: NDArray[np.uint8]
    captured: float = 0.0
    settle: bool = False
    model: str = ""
    timings: dict[str, float] = field(default_factory=dict)
    arrived: float = 0.0
    made: float = 0.0
    after: int | None = None

    def __post_init__(self) -> None:
        check_whole("picture id", self.id, 0, MAX_ID)
        check_image("picture", self.image, MAX_SIDE)
        check_number("captured", self.captured, -1e15, 1e15)
        check_flag("settle", self.settle)
        check_text("model", self.model, 400)
        check_timings(self.timings)
        check_number("arrived", self.arrived, -1e15, 1e15)
        check_number("made", self.made, -1e15, 1e15)
        if self.after is not None:
            check_whole("after", self.after, 0, MAX_ID)


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
