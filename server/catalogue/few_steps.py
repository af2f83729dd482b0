"""Settings that few-step LoRAs and checkpoints need, guessed from their names. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..engine.spec import LCM, Sampler
from .file_names import WORDS, named_fast

STEPS = re.compile(r"(?<!\d)(\d{1,2})[-_ ]?steps?(?![a-z])", re.IGNORECASE)
DDIM = Sampler("tcd", 0.0)
"""At eta 0 the two are the same."""
CERTAIN = ("LCM", "TCD", "DMD2")
"""What no style or thing is called; of the others, a LoRA's name must have its steps to be believed."""


@dataclass(frozen=True)
class FewSteps:
    """What a LoRA or a checkpoint for few steps wants. ``licence``: its publisher's, "" where that is not known."""

    title: str
    sampler: Sampler = LCM
    steps: int = 4
    licence: str = ""

    @property
    def sentence(self) -> str:
        """Of a LoRA, for a list."""
        eta = f" at eta {self.sampler.eta:g}" if self.sampler.name == "tcd" else ""
        count = f"{self.steps} step{'s' if self.steps > 1 else ''}"
        licence = f" Its licence: {self.licence}." if self.licence else ""
        return f"{self.title}, for {count} with the sampler {self.sampler.name}{eta}.{licence}"


def few_steps(name: str) -> FewSteps | None:
    """What the file ``name`` wants by what it says of itself; None where it says nothing of few steps.

    >>> few_steps("Hyper-SDXL-8steps-lora").steps
    8
    """
    if not named_fast(name):
        return None
    words = {word.lower() for word in WORDS.findall(name)}
    said = STEPS.search(name)
    steps = min(max(int(said[1]), 1), 50) if said else 4

    def has(begin: str) -> bool:
        return any(word.startswith(begin) or word.endswith(begin) for word in words)

    if has("lightning"):
        return FewSteps("Lightning", DDIM, steps, "CreativeML Open RAIL++-M")
    if has("dmd"):
        return FewSteps("DMD2", LCM, steps, "CC BY-NC 4.0, which forbids commercial use")
    if has("lcm"):
        return FewSteps("LCM", LCM, steps)
    if has("turbo"):
        return FewSteps("Turbo", LCM, steps if said else 1)
    if "tcd" in words:
        return FewSteps("TCD", Sampler("tcd"), steps, "MIT")
    if "pcm" in words:
        return FewSteps("PCM", DDIM, steps)
    if "hyper" in name.lower():
        one = steps == 1
        sampler = Sampler("tcd", 1.0) if one else DDIM
        return FewSteps("Hyper-SD", sampler, steps if said else 8, "in LICENSE.md of ByteDance/Hyper-SD")
    return FewSteps(f"{steps} steps", LCM, steps)


def few_steps_lora(name: str) -> FewSteps | None:
    """As :func:`few_steps`, of a LoRA: one of lightning bolts is none for few steps."""
    found = few_steps(name)
    return found if found and (found.title in CERTAIN or STEPS.search(name)) else None
