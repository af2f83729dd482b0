"""Models to measure with: the embedded one, one's own, or SD1.5 and SDXL of full size made on the fly. torch, no bpy.

Speed does not depend on what the weights are, so those are random.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny, LCMScheduler, T2IAdapter, UNet2DConditionModel
from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from server.catalogue.catalogue import Catalogue
from server.config import default_models_dir, expanded
from server.engine import ModelSpec, default_model
from server.engine.loading.clip_tokenizer import clip_tokenizer

SCHEDULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}
VOCABULARY = 49408
RANDOM = ("sd15", "sdxl")
LATENT_STD, PICTURE_STD, BRANCH = 1.7, 0.2, 0.25
"""Of random autoencoders: the spread of the latents that this schedule ends with when a random UNet predicts the noise,
that of pixels (0..1) made of them, and the share that is left of each block's branch beside its skip."""
SIZES = {"embedded": 256, "sd15": 512, "sdxl": 512}

# The configs of stable-diffusion-v1-5 and stable-diffusion-xl-base-1.0, as far as they are not diffusers' defaults.
UNETS: dict[str, dict[str, Any]] = {
    "sd15": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    "sdxl": {
        "sample_size": 128,
        "cross_attention_dim": 2048,
        "attention_head_dim": [5, 10, 20],
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": [1, 2, 10],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}


def spec(name: str) -> ModelSpec:
    """What a server given ``name`` loads, a path or a name: with the user's own LCM-LoRA, small autoencoder and depth
    control. Without a style picture, which no other arm knows. Raises EngineError."""
    return replace(Catalogue(default_models_dir()).find(name), ip_adapter=None)


def find(name: str, work: Path, device: torch.device) -> tuple[ModelSpec, str]:
    """The model ``name`` ("embedded", one of :data:`RANDOM`, made below ``work``, a path or a name) and what to call
    it to a server. Raises EngineError."""
    if name == "embedded":
        return ModelSpec(default_model()), name
    if name not in RANDOM:
        found = expanded(name)
        return spec(name), str(found.resolve()) if found.exists() else name
    folder = work / name
    if not folder.exists():
        with torch.device(device):  # a GPU draws two thousand million numbers in no time
            torch.manual_seed(0)
            _write(folder, name, small=False)
    return ModelSpec(folder), str(folder)


def write_small(folder: Path, name: str) -> Path:
    """A model of family ``name`` in small, for trying all this without a GPU."""
    torch.manual_seed(0)
    _write(folder, name, small=True)
    return folder


def _write(folder: Path, name: str, small: bool) -> None:
    sdxl = name == "sdxl"
    config = dict(UNETS[name])
    widths: tuple[int, ...] = tuple(config.get("block_out_channels", (320, 640, 1280, 1280)))
    texts = [(768, 12, 12, 3072)] + ([(1280, 20, 32, 5120)] if sdxl else [])
    if small:
        widths = tuple(width // 10 for width in widths)
        texts = [(32, 2, 2, 64)] + ([(64, 2, 2, 128)] if sdxl else [])
        config |= {"block_out_channels": widths, "attention_head_dim": 4, "norm_num_groups": 8}
        config |= {"cross_attention_dim": sum(width for width, *_ in texts)}
        if sdxl:
            config |= {"projection_class_embeddings_input_dim": 64 + 6 * 256, "transformer_layers_per_block": 1}
    dtype = torch.bfloat16
    UNet2DConditionModel(**config).to(dtype).save_pretrained(folder / "unet")
    torch.cuda.empty_cache()
    tiny = AutoencoderTiny(
        **({"encoder_block_out_channels": (16,) * 4, "decoder_block_out_channels": (16,) * 4} if small else {})
    )
    if sdxl:
        tiny.register_to_config(scaling_factor=1.0)
    _tame(tiny)
    tiny.save_pretrained(folder / "vae")
    adapter = T2IAdapter(3, list(widths), 2, 16 if sdxl else 8, "full_adapter_xl" if sdxl else "full_adapter")
    adapter.to(dtype).save_pretrained(folder / "adapter")
    _write_texts(folder, texts, dtype)
    LCMScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    index = {"_class_name": "StableDiffusionXLPipeline" if sdxl else "StableDiffusionPipeline"}
    (folder / "model_index.json").write_text(json.dumps(index))


@torch.no_grad()
def _tame(tiny: AutoencoderTiny) -> None:
    """Give ``tiny`` random weights with which pictures look like pictures, and rounding costs what it does with a
    trained one's.

    torch's own start shrinks the signal layer by layer: pictures would be flat. With weights that keep it, three
    quarters of all pixels were black or white, and so many layers of noise multiply every rounding; trained blocks
    change little on their way. All are numbers in bf16 too, as the UNet's.
    """
    for module in tiny.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
    for module in tiny.modules():
        if isinstance(module, AutoencoderTinyBlock):
            module.conv[-1].weight.mul_(BRANCH)
    last = tiny.decoder.layers[-1]
    latent = LATENT_STD * torch.randn(1, 4, 32, 32)
    made = tiny.decoder(latent) / 2 + 0.5
    scale = PICTURE_STD / made.std((0, 2, 3))
    last.weight.mul_(scale[:, None, None, None])
    last.bias.copy_((last.bias - made.mean((0, 2, 3))) * scale + 0.5)
    tiny.to(torch.bfloat16).float()


def _write_texts(folder: Path, texts: list[tuple[int, int, int, int]], dtype: torch.dtype) -> None:
    for number, (width, heads, layers, inner) in enumerate(texts):
        suffix = "_2" if number else ""
        config = CLIPTextConfig(
            vocab_size=VOCABULARY,
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            projection_dim=width,
            hidden_act="gelu" if number else "quick_gelu",
            bos_token_id=VOCABULARY - 2,
            eos_token_id=VOCABULARY - 1,
            pad_token_id=VOCABULARY - 1,
        )
        kind: Any = CLIPTextModelWithProjection if number else CLIPTextModel
        kind(config).to(dtype).save_pretrained(folder / f"text_encoder{suffix}")
        clip_tokenizer("!" if number else "<|endoftext|>").save_pretrained(folder / f"tokenizer{suffix}")
