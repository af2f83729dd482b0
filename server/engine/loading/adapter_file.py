"""Single-file T2I-Adapters without a config, which follows from the shapes. torch and diffusers; no network.

Those of the hub are under diffusers' names, in its full or its light kind; TencentARC's first ones under their own, in
which the blocks are counted through all levels.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from diffusers import T2IAdapter
from safetensors.torch import load_file

from ..errors import EngineError
from .single_file import fill

State = dict[str, torch.Tensor]


def load_adapter_file(path: Path, dtype: torch.dtype) -> T2IAdapter:
    """The T2I-Adapter in ``path``. Raises EngineError."""
    state = {name.removeprefix("adapter."): value.to(dtype) for name, value in load_file(path).items()}
    if any(re.match(r"body\.\d+\.(resnets|out_conv)\.", name) for name in state):
        config = _light_config(state) if "conv_in.weight" not in state else _full_config(state)
    elif "body.0.block1.weight" in state and "conv_in.weight" in state:
        state, config = _renamed(state)
    else:
        raise EngineError(f"the T2I-Adapter {path} is not a full one: give a folder with its config.json instead")
    named = {f"adapter.{name}": value for name, value in state.items()}
    return fill(lambda: T2IAdapter(**config), named, path, "T2I-Adapter")


def _full_config(state: State) -> dict[str, Any]:
    levels, blocks = _count(state, r"body\.(\d+)\."), _count(state, r"body\.0\.resnets\.(\d+)\.")
    channels = [state[f"body.{level}.resnets.0.block2.weight"].shape[0] for level in range(levels)]
    return _config(state["conv_in.weight"].shape[1], channels, blocks)


def _light_config(state: State) -> dict[str, Any]:
    levels, blocks = _count(state, r"body\.(\d+)\."), _count(state, r"body\.0\.resnets\.(\d+)\.")
    channels = [state[f"body.{level}.out_conv.weight"].shape[0] for level in range(levels - 1)]  # the last comes twice
    config = _config(state["body.0.in_conv.weight"].shape[1], channels, blocks)
    return config | {"adapter_type": "light_adapter"}


def _renamed(state: State) -> tuple[State, dict[str, Any]]:
    """A full one's state under diffusers' names, and its config."""
    blocks = _count(state, r"body\.(\d+)\.")
    # levels of the same width follow each other in SD1.5 (1280, 1280): only the count of blocks tells
    each = 2 if blocks % 2 == 0 else 1
    renamed = {}
    for name, value in state.items():
        found = re.match(r"body\.(\d+)\.(\w+)\.(.+)", name)
        if found is None:
            renamed[name] = value
            continue
        level, block = divmod(int(found[1]), each)
        inner = "in_conv" if found[2] == "in_conv" else f"resnets.{block}.{found[2]}"
        renamed[f"body.{level}.{inner}.{found[3]}"] = value
    channels = [state[f"body.{index}.block2.weight"].shape[0] for index in range(0, blocks, each)]
    return renamed, _config(state["conv_in.weight"].shape[1], channels, each)


def _config(unshuffled: int, channels: list[int], blocks: int) -> dict[str, Any]:
    """``unshuffled``: the channels that it takes, of squares of 16 pixels in SDXL's, of 8 in the others."""
    sdxl = unshuffled // 256 in (1, 3)
    factor = 16 if sdxl else 8
    return {
        "in_channels": unshuffled // factor**2,
        "channels": channels,
        "num_res_blocks": blocks,
        "downscale_factor": factor,
        "adapter_type": "full_adapter_xl" if sdxl else "full_adapter",
    }


def _count(state: State, pattern: str) -> int:
    return 1 + max((int(found[1]) for name in state if (found := re.match(pattern, name))), default=-1)
