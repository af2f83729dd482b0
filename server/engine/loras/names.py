"""Maps the tensor names found in LoRA files to those that diffusers reads. torch's tensors are passed through.

Beside kohya's (``lora_unet_down_blocks_0_...``) and diffusers' own (``unet.down_blocks.0...``) there are: ComfyUI's
(``diffusion_model.`` and the original names), peft's (``base_model.model.``), and those of diffusers' first training
scripts, which left the ``unet.`` away. Some files carry words of a textual inversion along (``bundle_emb.``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

COMFY, PEFT, BUNDLED = "diffusion_model.", "base_model.model.", "bundle_emb."
OF_UNET = re.compile(r"(down_blocks|up_blocks|mid_block|time_embedding|conv_in|conv_out)\b")
RESNET = {
    "in_layers.2": "conv1",
    "out_layers.3": "conv2",
    "emb_layers.1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
"""Layers of a resnet under their original names."""
WHOLE = {
    "input_blocks.0.0": "conv_in",
    "out.2": "conv_out",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
}
SIDES = {"lora_down": "lora_A", "lora_up": "lora_B", "lora.down": "lora_A", "lora.up": "lora_B"}


def known_names(state: Mapping[str, T], layers: int) -> dict[str, T]:
    """``state`` under names that diffusers reads, without what belongs to no layer.

    ``layers``: resnets in each level of the UNet, ``layers_per_block`` of its config.
    """
    return {_known(name, layers): value for name, value in state.items() if not name.startswith(BUNDLED)}


def _known(name: str, layers: int) -> str:
    name = name.removeprefix(PEFT)
    if name.startswith(COMFY):
        found = re.fullmatch(r"(.+?)\.((lora_A|lora_B|lora_down|lora_up|lora\.down|lora\.up)\.weight|\w+)", name)
        if found is None:
            return name
        layer = _diffusers(found[1].removeprefix(COMFY), layers)
        side = f"{SIDES.get(found[3], found[3])}.weight" if found[3] else found[2]
        return f"unet.{layer}.{side}"
    return f"unet.{name}" if OF_UNET.match(name) else name


def _diffusers(layer: str, layers: int) -> str:
    """The UNet's ``layer``, of an original name, as diffusers names it."""
    if layer in WHOLE:
        return WHOLE[layer]
    if found := re.fullmatch(r"middle_block\.([012])\.(.+)", layer):
        return (
            f"mid_block.attentions.0.{found[2]}" if found[1] == "1" else _resnet("mid_block", found[1] == "2", found[2])
        )
    found = re.fullmatch(r"(input|output)_blocks\.(\d+)\.(\d)\.(.+)", layer)
    if found is None:
        return layer
    down, inner = found[1] == "input", found[4]
    level, index = divmod(int(found[2]) - down, layers + 1)
    block = f"{'down' if down else 'up'}_blocks.{level}"
    if inner in ("op", "conv"):
        return f"{block}.{'downsamplers' if down else 'upsamplers'}.0.conv"
    return _resnet(block, index, inner) if found[3] == "0" else f"{block}.attentions.{index}.{inner}"


def _resnet(block: str, index: int, inner: str) -> str:
    return f"{block}.resnets.{int(index)}.{RESNET.get(inner, inner)}"
