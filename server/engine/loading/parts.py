"""The modules of a model, together. torch, diffusers and transformers; no files, no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diffusers import AutoencoderKL, AutoencoderTiny, T2IAdapter, UNet2DConditionModel
from transformers import CLIPTokenizer

from ..loras.merge import LoraStack
from ..sampling.schedule import Schedule
from ..spec import LCM, Sampler
from .controls import StyleParts


@dataclass
class Parts:
    """The modules of a model, on the CPU, with what the engine must know of them."""

    name: str
    unet: UNet2DConditionModel
    vae: AutoencoderTiny | AutoencoderKL
    texts: list[tuple[CLIPTokenizer, Any]]
    """Tokenizers and text encoders: one of SD1.5, two of SDXL."""
    schedule: Schedule
    loras: LoraStack
    control: Any = None
    """A T2IAdapter, a ControlNetModel or None."""
    left_out: tuple[str, ...] = ()
    """Sentences on what was asked for only if it can be used, and cannot."""
    pictures: StyleParts | None = None
    blank_negative: bool = False
    """Whether an empty negative prompt is embedded as zeros, as SDXL's base model has it."""
    sampler: Sampler = LCM
    """What suits it."""
    control_name: str = ""
    """Of the control's file or folder."""
    stretch_depth: bool = True
    """Whether the control was trained on depth maps that span 0..1 in every picture."""

    @property
    def sdxl(self) -> bool:
        return self.unet.config.addition_embed_type == "text_time"

    @property
    def latent_scale(self) -> int:
        """Pixels of the picture to one of the latent, along each side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def size_step(self) -> int:
        """What width and height must be a multiple of."""
        unshuffle = self.control.config.downscale_factor if isinstance(self.control, T2IAdapter) else 1
        return max(self.latent_scale, unshuffle)
