"""T2I-Adapters, ControlNets and IP-Adapters from their files. torch, diffusers and transformers; no network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, T2IAdapter
from safetensors.torch import load_file

from .errors import EngineError
from .files import Weights, check_whole, find_weights, read_json
from .recognise import require
from .single_file import fill, load_controlnet

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
        return _adapter_of_one_file(path, dtype)
    kind = KINDS[read_json(path / "config.json", "the config of the control")["_class_name"]]
    options = {"use_safetensors": True, "local_files_only": True, "variant": weights.variant, "torch_dtype": dtype}
    control, told = kind.from_pretrained(path, output_loading_info=True, **options)
    check_whole(told, "the control", path)
    return control


def stretches_depth(path: Path) -> bool:
    """Whether the control at ``path`` was trained on depth maps that span 0..1 in every picture, as MiDaS' do.

    All of the hub's were; a folder whose config says ``"depth_range": "near"`` was trained on our planes themselves.
    """
    return path.is_file() or read_json(path / "config.json", "the config of the control").get("depth_range") != "near"


def _adapter_of_one_file(path: Path, dtype: torch.dtype) -> T2IAdapter:
    """A full T2I-Adapter under the original names (TencentARC's): its blocks are counted through all levels."""
    state = {name.removeprefix("adapter."): value.to(dtype) for name, value in load_file(path).items()}
    blocks = 1 + max(int(found[1]) for name in state if (found := re.match(r"body\.(\d+)\.", name)))
    if "body.0.block1.weight" not in state:
        raise EngineError(f"the T2I-Adapter {path} is not a full one: give a folder with its config.json instead")
    widths = [state[f"body.{index}.block2.weight"].shape[0] for index in range(blocks)]
    channels = sorted(set(widths), key=widths.index)
    # levels of the same width follow each other in SD1.5 (1280, 1280): only the count of blocks tells
    each = 2 if blocks % 2 == 0 else 1
    channels = widths[::each]
    unshuffled = state["conv_in.weight"].shape[1]
    sdxl = unshuffled // 256 in (1, 3)
    factor = 16 if sdxl else 8
    renamed = {}
    for name, value in state.items():
        found = re.match(r"body\.(\d+)\.(\w+)\.(.+)", name)
        if found is None:
            renamed[f"adapter.{name}"] = value
            continue
        level, block = divmod(int(found[1]), each)
        inner = "in_conv" if found[2] == "in_conv" else f"resnets.{block}.{found[2]}"
        renamed[f"adapter.body.{level}.{inner}.{found[3]}"] = value

    def make() -> T2IAdapter:
        kind = "full_adapter_xl" if sdxl else "full_adapter"
        return T2IAdapter(unshuffled // factor**2, channels, each, factor, kind)

    return fill(make, renamed, path, "T2I-Adapter")


def load_ip_adapter(unet: Any, path: Path, folder: Path, dtype: torch.dtype) -> StyleParts:
    """Put the IP-Adapter's layers into ``unet``, at weight 0, and load its image encoder."""
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
    unet._load_ip_adapter_weights([state])
    options = {"use_safetensors": True, "local_files_only": True, "variant": weights.variant, "dtype": dtype}
    encoder, told = CLIPVisionModelWithProjection.from_pretrained(folder, output_loading_info=True, **options)
    check_whole(told, "image encoder", folder)
    return StyleParts(encoder.eval().requires_grad_(False), hidden)
