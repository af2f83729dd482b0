"""Everything about a request but its frame: words, numbers, controls, regions. Standard library and numpy, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .checks import check_choice, check_each, check_number, check_text, check_whole, show
from .errors import ProtocolError
from .greeting import MAX_SIDE
from .models import MAX_LORAS, Lora, Reference

MAX_STEPS = 50
MAX_SEED = 2**32 - 1
MAX_PROMPT = 4000
MAX_CONTROLS = 4
CONTROLS: Mapping[str, tuple[str, ...]] = {
    "depth": ("inverse_depth",),
    "normals": ("normals",),
    "lines": ("image", "inverse_depth", "normals"),
}
"""The kinds of controls, and the planes that each may read, its usual one first."""
SAMPLERS = ("lcm", "tcd")
"""How a picture is denoised: as latent consistency models are, or by trajectory consistency distillation."""


@dataclass(frozen=True)
class Control:
    """A guide for the picture beside the prompt, which a model may or may not have.

    ``plane``: what it reads of the frame; "" stands for the kind's usual one.
    """

    kind: str = "depth"
    weight: float = 1.0
    plane: str = ""

    def __post_init__(self) -> None:
        check_choice("control", self.kind, list(CONTROLS))
        check_number(f"weight of control {self.kind!r}", self.weight, 0, 2)
        if self.plane == "":
            object.__setattr__(self, "plane", CONTROLS[self.kind][0])
        check_choice(f"plane of control {self.kind!r}", self.plane, CONTROLS[self.kind])


@dataclass(frozen=True)
class Region:
    """A prompt of its own for the pixels that have ``id`` in the frame's ``ids``, and how strongly it acts there."""

    id: int
    prompt: str = ""
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_whole("id of a region", self.id, 1, 65535)
        check_text("prompt of a region", self.prompt, MAX_PROMPT)
        check_number(f"weight of region {self.id}", self.weight, 0, 2)


@dataclass(frozen=True)
class Style:
    """How a frame is to be painted. The names are diffusers' own.

    ``steps`` are the UNet calls really made, whatever the strength. ``strength`` 1 ignores the draft's colours;
    lower keeps more of them. ``guidance`` at or below 1 is off. ``width`` and ``height`` of the picture in
    pixels, multiples of 8. ``loras`` act beside the model's own; ``reference`` is a picture to take the style from.
    ``sampler``: one of :data:`SAMPLERS`; "" is what the model was made for. ``eta``: of tcd alone, how much of the
    noise each step draws anew: 0 none, 1 all; None is what suits the model.
    ``steady``: how firmly the picture keeps what earlier ones showed of the same surfaces, 0 not at all, 1 fully.
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
    steady: float = 0.0
    sampler: str = ""
    eta: float | None = None

    def __post_init__(self) -> None:
        check_text("prompt", self.prompt, MAX_PROMPT)
        check_text("negative_prompt", self.negative_prompt, MAX_PROMPT)
        check_number("strength", self.strength, 0.01, 1)
        check_whole("steps", self.steps, 1, MAX_STEPS)
        check_number("guidance", self.guidance, 0, 30)
        check_whole("seed", self.seed, 0, MAX_SEED)
        check_whole("width", self.width, 64, MAX_SIDE, multiple=8)
        check_whole("height", self.height, 64, MAX_SIDE, multiple=8)
        object.__setattr__(self, "controls", check_each("controls", self.controls, Control, "controls", MAX_CONTROLS))
        kinds = [control.kind for control in self.controls]
        if len(set(kinds)) < len(kinds):
            raise ProtocolError(f"controls names {', '.join(kinds)}, but each kind may be there once")
        object.__setattr__(self, "loras", check_each("loras", self.loras, Lora, "LoRAs", MAX_LORAS))
        if self.reference is not None and not isinstance(self.reference, Reference):
            raise ProtocolError(f"reference is {show(self.reference)}, but must be a style picture's sha256 and weight")
        check_number("steady", self.steady, 0, 1)
        check_choice("sampler", self.sampler, ("", *SAMPLERS))
        if self.eta is not None:
            check_number("eta", self.eta, 0, 1)
