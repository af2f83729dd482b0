"""Models in small with the shapes that the original checkpoints have, SDXL among them, and controls for any UNet.

Unlike those of checkpoints.py they have CLIP's whole vocabulary, 64 channels a head (8 heads in SD1.5) and norms of
32 groups, as files under the original names leave no room for anything else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, LCMScheduler, T2IAdapter, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from server.engine.loading.clip_tokenizer import clip_tokenizer
from tests.plain.checkpoints import make_vae, scheduler_config, text_config

TEXT, SECOND_TEXT = 64, 128
"""Widths of the text encoders; diffusers tells SDXL's two apart by them."""
TIMES = 256
PICTURE, PATCH = 24, 32
"""Widths of what the small image encoder makes of a style picture, and of each patch of it."""


def make_whole(folder: Path, family: str, vae: str = "kl", seed: int = 0) -> Path:
    """Write a small model of ``family``, "SD1.5" or "SDXL", in diffusers' layout to ``folder`` and return it."""
    torch.manual_seed(seed)
    xl = family == "SDXL"
    make_whole_unet(family).save_pretrained(folder / "unet")
    (make_vae("tiny") if vae == "tiny" else make_whole_vae(family)).save_pretrained(folder / "vae")
    clip_tokenizer().save_pretrained(folder / "tokenizer")
    CLIPTextModel(text_config(49408, TEXT, heads=1)).save_pretrained(folder / "text_encoder")
    parts = {"scheduler": "LCMScheduler", "text_encoder": "CLIPTextModel", "tokenizer": "CLIPTokenizer"}
    if xl:
        second = text_config(49408, SECOND_TEXT, heads=2, hidden_act="gelu")
        CLIPTextModelWithProjection(second).save_pretrained(folder / "text_encoder_2")
        clip_tokenizer("!").save_pretrained(folder / "tokenizer_2")
        parts |= {"text_encoder_2": "CLIPTextModelWithProjection", "tokenizer_2": "CLIPTokenizer"}
    LCMScheduler(**scheduler_config()).save_pretrained(folder / "scheduler")
    parts |= {"unet": "UNet2DConditionModel", "vae": "AutoencoderTiny" if vae == "tiny" else "AutoencoderKL"}
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionXLPipeline" if xl else "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
    }
    if xl:
        index["force_zeros_for_empty_prompt"] = True
    for part, name in parts.items():
        index[part] = ["transformers" if name.startswith("CLIP") else "diffusers", name]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    return folder


def make_whole_unet(family: str) -> UNet2DConditionModel:
    if family != "SDXL":
        return UNet2DConditionModel(
            sample_size=64,
            block_out_channels=(32, 64),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=TEXT,
            attention_head_dim=8,
        )
    return UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(64, 64, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        transformer_layers_per_block=(1, 1, 2),
        cross_attention_dim=TEXT + SECOND_TEXT,
        attention_head_dim=(1, 1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIMES,
        projection_class_embeddings_input_dim=6 * TIMES + SECOND_TEXT,
    )


def make_whole_vae(family: str) -> AutoencoderKL:
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        scaling_factor=0.13025 if family == "SDXL" else 0.18215,
        sample_size=1024 if family == "SDXL" else 512,
    )
    torch.nn.init.normal_(vae.decoder.conv_out.weight, std=0.1)  # pictures would be flat
    return vae


def make_controlnet(folder: Path, unet: UNet2DConditionModel, seed: int = 3) -> Path:
    """Write a ControlNet for ``unet`` to ``folder``, with zero convolutions that are not zero any more."""
    torch.manual_seed(seed)
    control = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(16, 32, 96, 256))
    for name, weight in control.named_parameters():
        if name.startswith(("controlnet_down_blocks", "controlnet_mid_block", "controlnet_cond_embedding.conv_out")):
            torch.nn.init.normal_(weight, std=0.1)
    control.save_pretrained(folder)
    return folder


def make_adapter(folder: Path, family: str, seed: int = 4) -> Path:
    """Write a depth T2I-Adapter for the UNet of ``family`` to ``folder``, in the hub's layout."""
    torch.manual_seed(seed)
    xl = T2IAdapter(3, [64, 64, 128, 128], 1, 16, "full_adapter_xl") if family == "SDXL" else None
    adapter = xl or T2IAdapter(3, [32, 64], 1, 8)
    for name, weight in adapter.named_parameters():
        if name.endswith("block2.weight"):  # untrained, it says too little to see
            weight.data *= 4
    adapter.save_pretrained(folder)
    return folder


def make_ip_adapter(folder: Path, unet: UNet2DConditionModel, plus: bool = False, seed: int = 5) -> Path:
    """Write an IP-Adapter for ``unet`` with its image encoder to ``folder``, laid out as the hub's h94/IP-Adapter.

    ``plus``: in the form of ip-adapter-plus, which resamples what the encoder's inner layer says of each patch.
    """
    torch.manual_seed(seed)
    text = unet.config.cross_attention_dim
    state = (
        _resampler(text)
        if plus
        else {
            "image_proj.proj.weight": torch.randn(4 * text, PICTURE),
            "image_proj.proj.bias": torch.randn(4 * text),
            "image_proj.norm.weight": torch.ones(text),
            "image_proj.norm.bias": torch.zeros(text),
        }
    )
    attentions = [name.removesuffix(".processor") for name in unet.attn_processors]
    layers = dict(unet.named_modules())
    for index, name in enumerate(attentions):
        if name.endswith("attn2"):
            shape = layers[name].to_k.weight.shape
            for side in ("k", "v"):
                state[f"ip_adapter.{index}.to_{side}_ip.weight"] = torch.randn(shape)
    (folder / "models").mkdir(parents=True)
    path = folder / "models" / f"ip-adapter{'-plus' if plus else ''}_small.safetensors"
    save_file(state, path)
    encoder = CLIPVisionConfig(
        hidden_size=PATCH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=PICTURE,
    )
    CLIPVisionModelWithProjection(encoder).save_pretrained(folder / "models" / "image_encoder")
    return path


def _resampler(text: int, width: int = 64, tokens: int = 4) -> dict[str, torch.Tensor]:
    """The image_proj of an ip-adapter-plus: four layers of one head of 64 channels, under the names of its authors."""
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, tokens, width),
        "proj_in.weight": (width, PATCH),
        "proj_in.bias": (width,),
        "proj_out.weight": (text, width),
        "proj_out.bias": (text,),
        "norm_out.weight": (text,),
        "norm_out.bias": (text,),
    }
    for layer in range(4):
        norms = [f"layers.{layer}.{name}" for name in ("0.norm1", "0.norm2", "1.0")]
        shapes |= {f"{norm}.{side}": (width,) for norm in norms for side in ("weight", "bias")}
        shapes |= {f"layers.{layer}.0.to_{name}.weight": (width, width) for name in ("q", "out")}
        shapes[f"layers.{layer}.0.to_kv.weight"] = (2 * width, width)
        shapes[f"layers.{layer}.1.1.weight"] = (4 * width, width)
        shapes[f"layers.{layer}.1.3.weight"] = (width, 4 * width)
    state = {}
    for name, shape in shapes.items():
        spread = 1.0 if name == "latents" else shape[-1] ** -0.5
        value = torch.randn(shape) * spread
        if "norm" in name or name.endswith((".1.0.weight", ".1.0.bias")):
            value = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        state[f"image_proj.{name}"] = value
    return state
