"""The embedded model's modules, new. torch, diffusers and transformers.

Stable Diffusion's architecture in small: its block order, so that stock pipelines, T2I-Adapters and LoRAs fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import LCMScheduler, T2IAdapter, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tools.training.tokenizer import MAX_TOKENS, write_tokenizer

WIDTHS = (64, 128, 224)
TEXT_WIDTH = 192
LATENT_CHANNELS = 4
LATENT_SIDE = 32
TRAIN_STEPS = 1000


@dataclass
class Modules:
    """What is trained together: the UNet, the depth adapter and the text encoder."""

    unet: UNet2DConditionModel
    adapter: T2IAdapter
    text_encoder: CLIPTextModel

    def all(self) -> nn.ModuleDict:
        """The three as one module, for optimizers and averages."""
        return nn.ModuleDict({"unet": self.unet, "adapter": self.adapter, "text_encoder": self.text_encoder})


def new_modules(tokenizer: CLIPTokenizer) -> Modules:
    """Return untrained modules for the tokens of ``tokenizer``."""
    unet = UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=WIDTHS,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        transformer_layers_per_block=(0, 1, 1),  # attention over 32 x 32 is a third of the time and gains little here
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=2,  # the number of heads, in spite of its name
    )
    adapter = T2IAdapter(in_channels=3, channels=list(WIDTHS), num_res_blocks=1, downscale_factor=8)
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=3 * TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=3,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            projection_dim=TEXT_WIDTH,
        )
    )
    return Modules(unet, adapter, text_encoder)


def new_tokenizer(folder: Path) -> CLIPTokenizer:
    """Return the tokenizer in ``folder``, written there if it is not there yet."""
    if not (folder / "vocab.json").exists():
        write_tokenizer(folder)
    return CLIPTokenizer.from_pretrained(folder)


def new_scheduler() -> LCMScheduler:
    """Return the noise schedule: Stable Diffusion's, rescaled to zero terminal SNR (arXiv 2305.08891), v-prediction."""
    return LCMScheduler(
        num_train_timesteps=TRAIN_STEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        original_inference_steps=50,
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,  # of no effect here; without it the stock pipelines warn
    )


def depth_planes(depth: torch.Tensor) -> torch.Tensor:
    """Return the adapter's input (N, 3, H, W), 0..1, of inverse depth uint8 (N, H, W), 255 at the nearest surface."""
    return depth[:, None].float().div(255).expand(-1, 3, -1, -1)
