"""Single-file checkpoints, as diffusers modules. torch, diffusers, transformers; no network.

These are what A1111 and ComfyUI keep: .safetensors without any config. Each config follows from the shapes in the
file and what a family has in common; diffusers translates the names. Its from_single_file asks the hub for configs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_controlnet_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from ..errors import EngineError
from .clip_tokenizer import clip_tokenizer
from .files import Shapes
from .scaled_weights import multiplied

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP, CLIP_XL = "cond_stage_model.transformer.", "conditioner.embedders.0.transformer."
OPEN_CLIP_XL = "conditioner.embedders.1.model."
CONTROLS = ("control_model.", "model.control_model.")
VAE_SCALES = {"SD1.5": 0.18215, "SDXL": 0.13025}
TIMES = 256
"""Width in which SDXL embeds each of the six numbers of size and crop."""
HEAD = 64
"""Channels of one attention head in CLIP's text encoders and in SDXL's UNet; SD1.5's UNet has 8 heads throughout."""


def read_tensors(path: Path, prefix: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The tensors of ``path`` whose names begin with ``prefix``, under their whole names, floats as ``dtype``.

    Weights in fp8 that have a scale beside them come multiplied by it. Raises EngineError.
    """
    with safe_open(path, framework="pt", device="cpu") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]
        tensors = multiplied({name: file.get_tensor(name) for name in names}, path)
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in tensors.items()}


def fill(make: Callable[[], Any], state: Mapping[str, torch.Tensor], path: Path, part: str) -> Any:
    """The module that ``make`` builds with the weights ``state``. Raises EngineError where they do not fit."""
    with init_empty_weights():
        module = make()
    try:
        lacking, _ = module.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        raise EngineError(f"the {part} in {path} is of a shape that is not known here: {_brief(error)}") from None
    if lacking:
        raise EngineError(
            f"the {part} in {path} lacks {len(lacking)} of its tensors, {lacking[0]} among them: "
            "the file is damaged, or of a kind that is not known here"
        )
    return module.eval().requires_grad_(False)


def load_unet(path: Path, shapes: Shapes, family: str, dtype: torch.dtype, pooled: int = 0) -> UNet2DConditionModel:
    """The UNet in ``path``; ``pooled``: the width of the pooled text that an SDXL one takes."""
    config = unet_config(_within(shapes, UNET, path, "UNet"), family, pooled)
    tensors = read_tensors(path, UNET, dtype)
    state = convert_ldm_unet_checkpoint(tensors, config)
    if (guidance := tensors.get(f"{UNET}time_embed.cond_proj.weight")) is not None:  # which diffusers leaves out
        state["time_embedding.cond_proj.weight"] = guidance
    return fill(lambda: UNet2DConditionModel.from_config(config), state, path, "UNet")


def load_vae(path: Path, shapes: Shapes, family: str) -> AutoencoderKL:
    """The VAE in ``path``, in fp32: one in a checkpoint, or a file of its own under the original names."""
    prefix = VAE if any(name.startswith(VAE) for name in shapes) else ""
    inside = _within(shapes, prefix, path, "VAE")
    if missing := next((half for half in ("encoder", "decoder") if f"{half}.conv_in.weight" not in inside), None):
        raise EngineError(f"the VAE in {path} has no {missing}: get a complete one")
    config = vae_config(inside, family)
    state = convert_ldm_vae_checkpoint(read_tensors(path, prefix, torch.float32), config)
    return fill(lambda: AutoencoderKL.from_config(config), state, path, "VAE")


def load_controlnet(path: Path, shapes: Shapes, dtype: torch.dtype) -> ControlNetModel:
    """The ControlNet in ``path``, under the original names or diffusers' own."""
    # lllyasviel's first ones, as they were, hold the whole model that they were trained on
    prefix = next((each for each in CONTROLS if any(name.startswith(each) for name in shapes)), "")
    state = {name.removeprefix(prefix): value for name, value in read_tensors(path, prefix, dtype).items()}
    bare = {name: tuple(value.shape) for name, value in state.items()}
    if "time_embed.0.weight" not in bare:  # as those of SDXL are in one file, too
        config = controlnet_config(bare)
        return fill(lambda: ControlNetModel.from_config(config), state, path, "ControlNet")
    config = unet_config(bare, "SDXL" if "label_emb.0.0.weight" in bare else "SD1.5", 0)
    for name in ("sample_size", "out_channels", "up_block_types"):
        config.pop(name, None)
    config["conditioning_embedding_out_channels"] = [bare[f"input_hint_block.{at}.weight"][0] for at in (0, 4, 8, 12)]
    converted = convert_controlnet_checkpoint(state, config)
    for theirs, ours in (("0.0", "linear_1"), ("0.2", "linear_2")):  # SDXL's, which diffusers leaves out
        for side in ("weight", "bias"):
            if f"label_emb.{theirs}.{side}" in state:
                converted[f"add_embedding.{ours}.{side}"] = state[f"label_emb.{theirs}.{side}"]
    return fill(lambda: ControlNetModel.from_config(config), converted, path, "ControlNet")


def controlnet_config(shapes: Shapes) -> dict[str, Any]:
    """The config of a ControlNet with tensors of these ``shapes``, under diffusers' own names."""
    levels = range(_count(shapes, r"down_blocks\.(\d+)\."))
    depths = [_count(shapes, rf"down_blocks\.{level}\.attentions\.0\.transformer_blocks\.(\d+)\.") for level in levels]
    widths = [shapes[f"down_blocks.{level}.resnets.0.conv1.weight"][0] for level in levels]
    crossed = (shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight"))  # small ones have none
    types = ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths]
    if depths[-1] == 0:  # the middle block may have attention all the same, in as many layers as the last level says
        depths[-1] = _count(shapes, r"mid_block\.attentions\.0\.transformer_blocks\.(\d+)\.")
    middle = shapes.get("mid_block.attentions.0.proj_in.weight", ())
    hints = ("conv_in", "blocks.1", "blocks.3", "blocks.5")
    config: dict[str, Any] = {
        "in_channels": shapes["conv_in.weight"][1],
        "block_out_channels": widths,
        "layers_per_block": _count(shapes, r"down_blocks\.0\.resnets\.(\d+)\."),
        "down_block_types": types,
        "transformer_layers_per_block": [max(1, depth) for depth in depths],
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "cross_attention_dim": next(crossed, None),
        "use_linear_projection": len(middle) == 2,
        "attention_head_dim": 8,
        "conditioning_embedding_out_channels": [
            shapes[f"controlnet_cond_embedding.{name}.weight"][0] for name in hints
        ],
    }
    if "add_embedding.linear_1.weight" in shapes:
        given = shapes["add_embedding.linear_1.weight"][1]
        config |= {
            "attention_head_dim": [width // HEAD for width in widths],
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": TIMES,
            "projection_class_embeddings_input_dim": given,
        }
    return config


def load_texts(path: Path, shapes: Shapes, family: str, dtype: torch.dtype) -> list[tuple[Any, Any]]:
    """The tokenizers and text encoders in ``path``: one of SD1.5, two of SDXL."""
    prefix = CLIP_XL if family == "SDXL" else CLIP
    state = {
        name.removeprefix(prefix).removeprefix("text_model."): value
        for name, value in read_tensors(path, prefix, dtype).items()
        if not name.endswith("position_ids")
    }
    if not state:
        raise EngineError(f"{path} has no text encoder: get the whole checkpoint")
    config = clip_config(state, path)
    texts = [(clip_tokenizer(), fill(lambda: CLIPTextModel(config), state, path, "text encoder"))]
    if family != "SDXL":
        return texts
    state = read_tensors(path, OPEN_CLIP_XL, dtype)
    bare = {name.removeprefix(OPEN_CLIP_XL): tuple(value.shape) for name, value in state.items()}
    if "text_projection" not in bare:
        raise EngineError(f"{path} has no second text encoder: it is no whole SDXL checkpoint, but perhaps its refiner")
    second = open_clip_config(bare)
    with init_empty_weights():
        model = CLIPTextModelWithProjection(second)
    converted = convert_open_clip_checkpoint(model, state, OPEN_CLIP_XL)
    made = fill(lambda: CLIPTextModelWithProjection(second), converted, path, "second text encoder")
    return [*texts, (clip_tokenizer("!"), made)]


def unet_config(shapes: Shapes, family: str, pooled: int) -> dict[str, Any]:
    """The config of a UNet (or of the half that a ControlNet is) with tensors of these ``shapes``."""
    widths: list[int] = []
    depths: list[list[int]] = []
    count = _count(shapes, r"input_blocks\.(\d+)\.")
    level_open = False
    for index in range(1, count):
        block = f"input_blocks.{index}"
        if f"{block}.0.op.weight" in shapes:
            level_open = False
            continue
        if not level_open:
            level_open = True
            widths.append(0)
            depths.append([])
        widths[-1] = shapes[f"{block}.0.out_layers.3.weight"][0]
        depths[-1].append(_depth(shapes, block))
    layers = len(depths[0])
    upper = [
        [_depth(shapes, f"output_blocks.{level * (layers + 1) + index}") for index in range(layers + 1)]
        for level in range(len(depths))
    ]
    crossed = next(name for name in shapes if name.endswith("attn2.to_k.weight"))
    projection = next(name for name in shapes if name.endswith("1.proj_in.weight"))
    down = ["CrossAttnDownBlock2D" if any(depth) else "DownBlock2D" for depth in depths]
    up = ["CrossAttnUpBlock2D" if any(depth) else "UpBlock2D" for depth in reversed(depths)]
    config: dict[str, Any] = {
        "sample_size": 128 if family == "SDXL" else 64,
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": down,
        "up_block_types": up,
        "transformer_layers_per_block": [max(1, depth[0]) for depth in depths],
        "cross_attention_dim": shapes[crossed][1],
        "use_linear_projection": len(shapes[projection]) == 2,
        "attention_head_dim": [width // HEAD for width in widths] if family == "SDXL" else 8,
    }
    if "middle_block.1.proj_in.weight" not in shapes:  # SSD-1B and others that were distilled
        config["mid_block_type"] = "UNetMidBlock2D"
    if "out.2.weight" in shapes and any(
        set(deep) != {depth[0]} for deep, depth in zip(upper, reversed(depths), strict=True)
    ):
        config["reverse_transformer_layers_per_block"] = [deep if any(deep) else 1 for deep in upper]
    if "time_embed.cond_proj.weight" in shapes:  # LCM's own fine-tunes, which take the guidance as an input
        config["time_cond_proj_dim"] = shapes["time_embed.cond_proj.weight"][1]
    if "out.2.weight" in shapes:
        config["out_channels"] = shapes["out.2.weight"][0]
    if "label_emb.0.0.weight" in shapes:
        given = shapes["label_emb.0.0.weight"][1]
        times = (given - pooled) // 6 if pooled else TIMES  # six numbers of size and crop, each embedded
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": times,
            "projection_class_embeddings_input_dim": given,
        }
    return config


def _depth(shapes: Shapes, block: str) -> int:
    """Transformer blocks in ``block``; 0 where it has no attention."""
    return _count(shapes, rf"{re.escape(block)}\.1\.transformer_blocks\.(\d+)\.")


def vae_config(shapes: Shapes, family: str) -> dict[str, Any]:
    """The config of a VAE with tensors of these ``shapes``, under the original names."""
    levels = _count(shapes, r"encoder\.down\.(\d+)\.")
    widths = [shapes[f"encoder.down.{level}.block.0.conv2.weight"][0] for level in range(levels)]
    return {
        "block_out_channels": widths,
        "layers_per_block": _count(shapes, r"encoder\.down\.0\.block\.(\d+)\."),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "scaling_factor": VAE_SCALES[family],
        "force_upcast": family == "SDXL",
        "sample_size": 1024 if family == "SDXL" else 512,
    }


def clip_config(state: Mapping[str, torch.Tensor], path: Path) -> CLIPTextConfig:
    try:
        words, width = state["embeddings.token_embedding.weight"].shape
        inner = state["encoder.layers.0.mlp.fc1.weight"].shape[0]
    except KeyError as error:
        raise EngineError(f"the text encoder in {path} lacks {error}: get the whole checkpoint") from None
    layers = _count(state, r"encoder\.layers\.(\d+)\.")
    return _text_config(words, width, inner, layers, "quick_gelu", width)


def open_clip_config(shapes: Shapes) -> CLIPTextConfig:
    words, width = shapes["token_embedding.weight"]
    layers = _count(shapes, r"transformer\.resblocks\.(\d+)\.")
    inner = shapes["transformer.resblocks.0.mlp.c_fc.weight"][0]
    return _text_config(words, width, inner, layers, "gelu", shapes["text_projection"][1])


def _text_config(words: int, width: int, inner: int, layers: int, activation: str, projected: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // HEAD),
        max_position_embeddings=77,
        hidden_act=activation,
        projection_dim=projected,
        bos_token_id=words - 2,
        eos_token_id=words - 1,
        pad_token_id=1,
    )


def _count(names: Any, pattern: str) -> int:
    """One more than the largest number that ``pattern`` finds at the start of a name; 0 where it finds none."""
    return 1 + max((int(found[1]) for name in names if (found := re.match(pattern, name))), default=-1)


def _within(shapes: Shapes, prefix: str, path: Path, part: str) -> Shapes:
    found = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
    if not found:
        raise EngineError(f"{path} has no {part}: get the whole checkpoint")
    return found


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 else lines[0])[:300]
