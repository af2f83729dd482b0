"""Finds a model's layers by any name that LoRAs give them. Standard library only; modules are handed in.

Tools name a layer after diffusers' modules or after the original checkpoint's, with dots or with underscores, behind
prefixes of their own. So every layer is known by its name with underscores alone, in each of these languages, and
what a file says is brought to the same form. Nothing has to be told about a file as a whole: some mix them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

UNET, TEXT, SECOND_TEXT = "unet", "text_encoder", "text_encoder_2"
GROUPS = (UNET, TEXT, SECOND_TEXT)
"""The parts of a model that a LoRA may change, under diffusers' names."""

_WRAPPER = re.compile(r"(base_model_model|lora|lycoris)_")
"""What peft, kohya and LyCORIS put before a name, and that says nothing of the part it belongs to."""
_PREFIXES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(rf"({pattern})_"), group, family)
    for pattern, group, family in (
        # SDXL's second encoder before the first, whose prefixes begin alike
        (r"text_encoder_2|te_?2|te_1|(text_encoders_)?clip_g|conditioner_embedders_1", SECOND_TEXT, "SDXL"),
        (r"text_encoder_1|te1|conditioner_embedders_0", TEXT, "SDXL"),
        (r"te_0|text_encoder|(text_encoders_)?clip_l", TEXT, ""),
        (r"te|cond_stage_model", TEXT, "SD1.5"),
        (r"unet|(model_)?diffusion_model", UNET, ""),
    )
)
"""What a name begins with, the part that it names, and the family whose LoRAs alone have it ("" both)."""
_WITHIN_TEXT = re.compile(r"(transformer|model|text_model)_(?!resblocks)")
_OLD_ATTENTION = re.compile(r"_processor_(to_\w+?)(_lora)?$")
"""diffusers' first training scripts: attn1.processor.to_q_lora."""
_RESNET = {
    "norm1": "in_layers_0",
    "conv1": "in_layers_2",
    "time_emb_proj": "emb_layers_1",
    "norm2": "out_layers_0",
    "conv2": "out_layers_3",
    "conv_shortcut": "skip_connection",
}
_WHOLE = {
    "conv_in": "input_blocks_0_0",
    "conv_norm_out": "out_0",
    "conv_out": "out_2",
    "time_embedding_linear_1": "time_embed_0",
    "time_embedding_linear_2": "time_embed_2",
    "add_embedding_linear_1": "label_emb_0_0",
    "add_embedding_linear_2": "label_emb_0_2",
}
_OPEN_CLIP = (
    ("encoder_layers_", "transformer_resblocks_"),
    ("_self_attn_", "_attn_"),
    ("mlp_fc1", "mlp_c_fc"),
    ("mlp_fc2", "mlp_c_proj"),
    ("_layer_norm", "_ln_"),
    ("final_ln_", "ln_final"),
)
_OLD_TEXT = (("_q_proj", "_to_q"), ("_k_proj", "_to_k"), ("_v_proj", "_to_v"), ("_out_proj", "_to_out"))
_GRAMMAR = re.compile(
    r"(down_blocks|up_blocks|mid_block|input_blocks|output_blocks|middle_block|time_embed|add_embedding|label_emb|conv_in"
    r"|conv_out|encoder_layers|transformer_resblocks|embeddings|text_projection)(_|$)"
)
_OTHER_FAMILIES = (
    (re.compile(r"(double_blocks|single_blocks|single_transformer_blocks)_"), "Flux"),
    (re.compile(r"joint_blocks_"), "SD3"),
    (re.compile(r"transformer_blocks_"), "Flux or SD3"),
)


@dataclass(frozen=True)
class Named:
    """What a name in a file says: its ``flat`` form without prefixes; ``group`` and ``family`` "" where it does not."""

    flat: str
    group: str
    family: str

    @property
    def is_known(self) -> bool:
        """Whether a UNet or text encoder of SD1.5 or SDXL, whichever size, could have such a layer."""
        return bool(_GRAMMAR.match(self.flat))

    @property
    def other_family(self) -> str:
        """The family of models that alone has such a layer, or ""."""
        return next((family for pattern, family in _OTHER_FAMILIES if pattern.match(self.flat)), "")


def named(layer: str) -> Named:
    """What ``layer``, a name in a file without the tensor's own end, says.

    >>> named("lora_te2_text_model_encoder_layers_0_mlp_fc1")
    Named(flat='encoder_layers_0_mlp_fc1', group='text_encoder_2', family='SDXL')
    """
    flat, group, family = layer.replace(".", "_"), "", ""
    while True:
        if found := _WRAPPER.match(flat):
            flat = flat[found.end() :]
            continue
        for pattern, part, base in _PREFIXES if not group else ():
            if found := pattern.match(flat):
                flat, group, family = flat[found.end() :], part, base
                break
        else:
            break
    if group != UNET:
        while found := _WITHIN_TEXT.match(flat):
            flat = flat[found.end() :]
    return Named(_OLD_ATTENTION.sub(r"_\1", flat), group, family)


class Layers:
    """The layers of a model that have weights. ``modules``: its parts by :data:`GROUPS`."""

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._layers = {group: dict(_aliases(group, module)) for group, module in modules.items()}

    def find(self, name: Named) -> list[tuple[str, str, Any]]:
        """(group, name as peft has it, module) of each layer that ``name`` may be: one, if it says enough."""
        groups = (name.group,) if name.group else GROUPS
        known = ((group, self._layers.get(group, {}).get(name.flat)) for group in groups)
        return [(group, *place) for group, place in known if place is not None]


def _aliases(group: str, whole: Any) -> Iterator[tuple[str, tuple[str, Any]]]:
    """Each flat name of each layer of the module ``whole``, with its own name and the layer."""
    blocks = dict(_original_blocks(whole)) if group == UNET else {}
    for name, module in whole.named_modules():
        if getattr(module, "weight", None) is None:
            continue
        if group == UNET:
            for alias in _of_unet(name, blocks):
                yield alias, (name, module)
        else:
            bare = name.removeprefix("text_model.")
            for alias in _of_text(bare.replace(".", "_")):
                yield alias, (f"text_model.{bare}", module)


def _of_unet(name: str, blocks: Mapping[str, str]) -> Iterator[str]:
    flat = name.replace(".", "_")
    yield flat
    if flat.endswith("_to_out_0"):
        yield flat.removesuffix("_0")
    if flat in _WHOLE:
        yield _WHOLE[flat]
        return
    parts = name.split(".")
    length = 3 if parts[0] == "mid_block" else 4
    block, inner = blocks.get(".".join(parts[:length])), "_".join(parts[length:])
    if block is not None:
        inner = "op" if parts[2:3] == ["downsamplers"] else _RESNET.get(inner, inner)
        yield f"{block}_{inner}"


def _original_blocks(unet: Any) -> Iterator[tuple[str, str]]:
    """diffusers' names of the blocks of ``unet`` with their flat original ones."""
    count = 1  # input_blocks.0 is the first convolution
    for level, block in enumerate(unet.down_blocks):
        for index in range(len(block.resnets)):
            yield f"down_blocks.{level}.resnets.{index}", f"input_blocks_{count}_0"
            yield f"down_blocks.{level}.attentions.{index}", f"input_blocks_{count}_1"
            count += 1
        if block.downsamplers is not None:
            yield f"down_blocks.{level}.downsamplers.0", f"input_blocks_{count}_0"
            count += 1
    yield from (("mid_block.resnets.0", "middle_block_0"), ("mid_block.attentions.0", "middle_block_1"))
    yield "mid_block.resnets.1", "middle_block_2"
    count = 0
    for level, block in enumerate(unet.up_blocks):
        attended = getattr(block, "attentions", None) is not None
        for index in range(len(block.resnets)):
            yield f"up_blocks.{level}.resnets.{index}", f"output_blocks_{count}_0"
            yield f"up_blocks.{level}.attentions.{index}", f"output_blocks_{count}_1"
            count += 1
        if block.upsamplers is not None:
            yield f"up_blocks.{level}.upsamplers.0", f"output_blocks_{count - 1}_{1 + attended}"


def _of_text(flat: str) -> Iterator[str]:
    yield flat
    for names in (_OPEN_CLIP, _OLD_TEXT):
        other = flat
        for ours, theirs in names:
            other = other.replace(ours, theirs)
        if other != flat:
            yield other
