"""T2I-Adapters, ControlNets and IP-Adapters from their files. torch, diffusers and transformers; no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, T2IAdapter
from safetensors.torch import load_file

from ..errors import EngineError
from .adapter_file import load_adapter_file
from .control_files import VISION, encoder_widths
from .files import Weights, check_safetensors, check_whole, find_weights, read_json
from .recognise import require
from .single_file import fill, load_controlnet

SIDES = ("weight", "bias")
VISION_HEADS = {768: 12, 1024: 16, 1280: 16, 1664: 16}
"""Attention heads of CLIP's image encoders by their width, which no tensor tells; those of small ones are 16 wide."""
OPEN_AIS = (768, 1024)
"""Widths of OpenAI's own, which differ from OpenCLIP's in their activation."""
KINDS = {"T2IAdapter": T2IAdapter, "ControlNetModel": ControlNetModel}


@dataclass
class StyleParts:
    """What an IP-Adapter needs beside the layers that it puts into the UNet."""

    encoder: Any
    hidden: bool
    """Whether it takes the second to last hidden state (its "plus" form), not the embedding."""


def load_control(path: Path, weights: Weights, dtype: torch.dtype) -> Any:
    """The T2IAdapter or ControlNetModel at ``path``."""
    if path.is_file():
        found, shapes = require(path, ("t2i_adapter", "controlnet"), "a control")
        if found.kind == "controlnet":
            return load_controlnet(path, shapes, dtype)
        return load_adapter_file(path, dtype)
    kind = KINDS[read_json(path / "config.json", "the config of the control")["_class_name"]]
    options = {"use_safetensors": True, "local_files_only": True, "variant": weights.variant, "torch_dtype": dtype}
    control, told = kind.from_pretrained(path, output_loading_info=True, **options)
    check_whole(told, f"the control {path}")
    return control


@torch.no_grad()
def add_to_difference(control: Any, unet: Any, path: Path) -> None:
    """Make a ControlNet whole that is only what sets it apart from its UNet, as A1111's first small files are.

    Some say so by a tensor named "difference". All show it in their norms: those of a ControlNet, which begins as a
    copy of its UNet, stay near the UNet's own, and those of a difference near 0.
    """
    if not isinstance(control, ControlNetModel):
        return
    own = dict(unet.named_parameters())
    shared = [
        (name, weight, own[name].to(weight.dtype))
        for name, weight in control.named_parameters()
        if name in own and own[name].shape == weight.shape
    ]
    norms = [(mine, theirs) for name, mine, theirs in shared if "norm" in name and name.endswith("weight")]
    size = sum(float(mine.float().square().sum()) for mine, _ in norms)
    apart = sum(float((mine.float() - theirs.float()).square().sum()) for mine, theirs in norms)
    if size < apart or (path.is_file() and "difference" in check_safetensors(path)):
        for _, mine, theirs in shared:
            mine.add_(theirs)


def stretches_depth(path: Path) -> bool:
    """Whether the control at ``path`` was trained on depth maps that span 0..1 in every picture, as MiDaS' do.

    All of the hub's were; a folder whose config says ``"depth_range": "near"`` was trained on our planes themselves.
    """
    return path.is_file() or read_json(path / "config.json", "the config of the control").get("depth_range") != "near"


def load_ip_adapter(unet: Any, path: Path, folder: Path, dtype: torch.dtype) -> StyleParts:
    """Put the IP-Adapter's layers into ``unet``, at weight 0, and load its image encoder. Raises EngineError.

    ``folder``: of the encoder, or its file.
    """
    state: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, value in load_file(path).items():
        group, _, rest = name.partition(".")
        if group in state:
            state[group][rest] = value.to(dtype)
    width = next(value.shape[1] for name, value in state["ip_adapter"].items() if name.endswith("to_k_ip.weight"))
    hidden = "latents" in state["image_proj"]
    if width != unet.config.cross_attention_dim:
        raise EngineError(
            f"IP-Adapter {path} was made for another base model: it is {width} wide, the model's text "
            f"{unet.config.cross_attention_dim}; use one made for this model's family"
        )
    lacking = _lacking(state, unet, hidden)
    if lacking:
        raise EngineError(f"IP-Adapter {path} is damaged: it lacks {lacking}; copy it again")
    unet._load_ip_adapter_weights([state])
    load = _encoder_of_folder if folder.is_dir() else _encoder_of_file
    return StyleParts(load(folder, dtype).eval().requires_grad_(False), hidden)


def _encoder_of_folder(folder: Path, dtype: torch.dtype) -> Any:
    from transformers import CLIPVisionModelWithProjection

    weights = find_weights(folder, "image encoder")
    options = {"use_safetensors": True, "local_files_only": True, "variant": weights.variant, "dtype": dtype}
    encoder, told = CLIPVisionModelWithProjection.from_pretrained(folder, output_loading_info=True, **options)
    check_whole(told, f"the image encoder {folder}")
    return encoder


def _encoder_of_file(path: Path, dtype: torch.dtype) -> Any:
    """An image encoder as ComfyUI keeps it: without a config, which follows from the shapes."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    state = {name: value.to(dtype) for name, value in load_file(path).items() if not name.endswith("position_ids")}
    inner, outer = encoder_widths(path)
    patch = state[f"{VISION}embeddings.patch_embedding.weight"].shape[-1]
    patches = len(state[f"{VISION}embeddings.position_embedding.weight"]) - 1
    layers = 1 + max(int(name.split(".")[3]) for name in state if name.startswith(f"{VISION}encoder.layers."))
    config = CLIPVisionConfig(
        hidden_size=inner,
        intermediate_size=len(state[f"{VISION}encoder.layers.0.mlp.fc1.weight"]),
        num_hidden_layers=layers,
        num_attention_heads=VISION_HEADS.get(inner, max(1, inner // 16)),
        image_size=round(patches**0.5) * patch,
        patch_size=patch,
        projection_dim=outer,
        hidden_act="quick_gelu" if inner in OPEN_AIS else "gelu",
    )
    return fill(lambda: CLIPVisionModelWithProjection(config), state, path, "image encoder")


def _lacking(state: dict[str, dict[str, torch.Tensor]], unet: Any, hidden: bool) -> str:
    """The name of a tensor that the IP-Adapter ``state`` should have and has not, or ""."""
    crossed = (index for index, name in enumerate(unet.attn_processors) if name.endswith("attn2.processor"))
    layers = [f"{index}.to_{side}_ip.weight" for index in crossed for side in "kv"]
    if hidden:
        picture = ["latents", *(f"{name}.{side}" for name in ("proj_in", "proj_out", "norm_out") for side in SIDES)]
    else:
        picture = [f"{name}.{side}" for name in ("proj", "norm") for side in SIDES]
    wanted = {"image_proj": picture, "ip_adapter": layers}
    missing = (f"{group}.{name}" for group, names in wanted.items() for name in names if name not in state[group])
    return next(missing, "")
