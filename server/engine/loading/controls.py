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
from .files import Weights, check_whole, find_weights, read_json
from .recognise import require
from .single_file import load_controlnet

SIDES = ("weight", "bias")
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


def stretches_depth(path: Path) -> bool:
    """Whether the control at ``path`` was trained on depth maps that span 0..1 in every picture, as MiDaS' do.

    All of the hub's were; a folder whose config says ``"depth_range": "near"`` was trained on our planes themselves.
    """
    return path.is_file() or read_json(path / "config.json", "the config of the control").get("depth_range") != "near"


def load_ip_adapter(unet: Any, path: Path, folder: Path, dtype: torch.dtype) -> StyleParts:
    """Put the IP-Adapter's layers into ``unet``, at weight 0, and load its image encoder. Raises EngineError."""
    from transformers import CLIPVisionModelWithProjection

    weights = find_weights(folder, "image encoder")
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
    options = {"use_safetensors": True, "local_files_only": True, "variant": weights.variant, "dtype": dtype}
    encoder, told = CLIPVisionModelWithProjection.from_pretrained(folder, output_loading_info=True, **options)
    check_whole(told, f"the image encoder {folder}")
    return StyleParts(encoder.eval().requires_grad_(False), hidden)


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
