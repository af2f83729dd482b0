"""What to load: the files that make up a model. Standard library only: no torch."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

LARGEST_WEIGHT = 10.0
SAMPLERS = ("lcm", "tcd")


@dataclass(frozen=True)
class LoraFile:
    """A LoRA in diffusers' or kohya's form, a .safetensors file, and how much of it: 1 is as it was trained.

    ``name``: what prompts may call it beside its file's name.
    """

    path: Path
    weight: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(os.path.expanduser(self.path)))
        if not (math.isfinite(self.weight) and abs(self.weight) <= LARGEST_WEIGHT):
            raise ValueError(
                f"weight of LoRA {self.path.name!r} is {self.weight}, but must be from -{LARGEST_WEIGHT:g} to "
                f"{LARGEST_WEIGHT:g}"
            )


@dataclass(frozen=True)
class Sampler:
    """How to go from one step to the next: ``name`` is one of the wire's samplers. ``eta`` is tcd's alone, 0 to 1."""

    name: str = "lcm"
    eta: float = 0.3

    def __post_init__(self) -> None:
        if self.name not in SAMPLERS or not 0 <= self.eta <= 1:
            raise ValueError(f"sampler is {self.name!r} with eta {self.eta}, but must be one of {SAMPLERS}, eta 0 to 1")

    def of(self, name: str, eta: float | None) -> Sampler:
        """The sampler that a request asks for, this one being what suits the model: "" and None leave it at that."""
        own = self.eta if self.name == "tcd" else Sampler.eta
        return Sampler(name or self.name, own if eta is None else eta)


LCM = Sampler()


@dataclass(frozen=True)
class ModelSpec:
    """A model and what belongs to it. Every path is a folder in diffusers' layout or one .safetensors file.

    ``base``: the checkpoint, SD1.5 or SDXL. A LoRA named ``lcm-lora.safetensors`` or
    ``pytorch_lora_weights.safetensors`` and a T2I-Adapter in ``adapter`` are used where the folder has them and
    ``loras`` and ``control`` say nothing else. ``loras``: fused at loading, the LCM-LoRA as a rule. ``vae``: takes
    the place of the checkpoint's own. ``control``: a T2I-Adapter or a ControlNet for depth. ``ip_adapter``: for style
    pictures; its image encoder is looked for in ``image_encoder`` beside it. ``name``: what people call the model,
    where the name of its file or folder says too little. ``sampler``: what suits it with these LoRAs. ``optional``:
    fields of these that nobody asked for by name; where such a one cannot be used, the model is loaded without it, and
    says so.
    """

    base: Path
    loras: tuple[LoraFile, ...] = ()
    vae: Path | None = None
    control: Path | None = None
    ip_adapter: Path | None = None
    name: str = ""
    sampler: Sampler = LCM
    optional: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in ("base", "vae", "control", "ip_adapter"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, Path(os.path.expanduser(value)))
        object.__setattr__(self, "loras", tuple(self.loras))
