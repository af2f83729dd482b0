"""Models in diffusers' layout written as one file under the original names, as A1111 and ComfyUI keep them.

The names are those of CompVis' and Stability's own code (ldm, sgm, OpenCLIP, and lllyasviel's cldm).
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

State = dict[str, torch.Tensor]

FIXED = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "controlnet_mid_block": "middle_block_out.0",
    "controlnet_cond_embedding.conv_in": "input_hint_block.0",
    "controlnet_cond_embedding.conv_out": "input_hint_block.14",
}
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE = (
    (r"(encoder)\.down_blocks\.(\d+)\.resnets\.", r"\1.down.\2.block."),
    (r"(encoder)\.down_blocks\.(\d+)\.downsamplers\.0\.", r"\1.down.\2.downsample."),
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.", "mid.attn_1."),
    (r"attn_1\.group_norm", "attn_1.norm"),
    (r"attn_1\.to_([qkv])\.", r"attn_1.\1."),
    (r"attn_1\.to_out\.0", "attn_1.proj_out"),
    ("conv_norm_out", "norm_out"),
    ("conv_shortcut", "nin_shortcut"),
)
OPEN_CLIP = (
    (r"^text_model\.embeddings\.token_embedding\.weight$", "token_embedding.weight"),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.final_layer_norm", "ln_final"),
    (r"^text_projection\.weight$", "text_projection"),
    (r"^text_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"layer_norm(\d)", r"ln_\1"),
    (r"mlp\.fc1", "mlp.c_fc"),
    (r"mlp\.fc2", "mlp.c_proj"),
    (r"self_attn", "attn"),
)


def original_unet_name(name: str, layers: int, attended: set[int]) -> str:
    """The original name of a UNet's or ControlNet's tensor or module; ``attended``: up blocks that have attention."""
    for ours, theirs in FIXED.items():
        if name.startswith(f"{ours}.") or name == ours:
            return _resnet(theirs + name.removeprefix(ours))
    if found := re.match(r"down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)", name):
        block = int(found[1]) * (layers + 1) + int(found[3]) + 1
        return _resnet(f"input_blocks.{block}.{0 if found[2] == 'resnets' else 1}" + name[found.end() :])
    if found := re.match(r"down_blocks\.(\d+)\.downsamplers\.0\.conv", name):
        return f"input_blocks.{(int(found[1]) + 1) * (layers + 1)}.0.op" + name[found.end() :]
    if found := re.match(r"up_blocks\.(\d+)\.(resnets|attentions)\.(\d+)", name):
        block = int(found[1]) * (layers + 1) + int(found[3])
        return _resnet(f"output_blocks.{block}.{0 if found[2] == 'resnets' else 1}" + name[found.end() :])
    if found := re.match(r"up_blocks\.(\d+)\.upsamplers\.0\.conv", name):
        level = int(found[1])
        place = 2 if level in attended else 1
        return f"output_blocks.{level * (layers + 1) + layers}.{place}.conv" + name[found.end() :]
    if found := re.match(r"controlnet_down_blocks\.(\d+)", name):
        return f"zero_convs.{found[1]}.0" + name[found.end() :]
    if found := re.match(r"controlnet_cond_embedding\.blocks\.(\d+)", name):
        return f"input_hint_block.{2 * int(found[1]) + 2}" + name[found.end() :]
    raise ValueError(f"{name} has no original name")


def _resnet(name: str) -> str:
    found = re.match(r"((?:input_blocks|output_blocks)\.\d+\.0|middle_block\.[02])\.(\w+)", name)
    return f"{found[1]}.{RESNET[found[2]]}{name[found.end() :]}" if found and found[2] in RESNET else name


def original_unet(state: State, prefix: str) -> State:
    layers = 1 + max(int(found[1]) for name in state if (found := re.match(r"down_blocks\.0\.resnets\.(\d+)", name)))
    attended = {int(found[1]) for name in state if (found := re.match(r"up_blocks\.(\d+)\.attentions", name))}
    return {prefix + original_unet_name(name, layers, attended): value for name, value in state.items()}


def original_vae(state: State) -> State:
    levels = 1 + max(int(found[1]) for name in state if (found := re.match(r"decoder\.up_blocks\.(\d+)", name)))
    renamed: State = {}
    for name, value in state.items():
        if found := re.match(r"decoder\.up_blocks\.(\d+)\.(resnets|upsamplers)\.", name):
            rest = name[found.end() :]
            inner = f"block.{rest}" if found[2] == "resnets" else f"upsample.{rest.removeprefix('0.')}"
            name = f"decoder.up.{levels - 1 - int(found[1])}.{inner}"
        for pattern, other in VAE:
            name = re.sub(pattern, other, name)
        if re.search(r"attn_1\.(q|k|v|proj_out)\.weight", name):
            value = value[:, :, None, None]
        renamed[f"first_stage_model.{name}"] = value
    return renamed


def original_clip(state: State, prefix: str) -> State:
    return {f"{prefix}text_model.{name.removeprefix('text_model.')}": value for name, value in state.items()}


def original_open_clip(state: State, prefix: str) -> State:
    renamed: State = {}
    for name, value in state.items():
        for pattern, other in OPEN_CLIP:
            name = re.sub(pattern, other, name)
        renamed[prefix + name] = value.T if name == "text_projection" else value
    for name in [name for name in renamed if ".attn.q_proj." in name]:
        whole = [renamed.pop(name.replace("q_proj", f"{side}_proj")) for side in "qkv"]
        renamed[name.replace(".q_proj.", ".in_proj_")] = torch.cat(whole)
    return renamed


def write_checkpoint(path: Path, folder: Path, dtype: torch.dtype = torch.float32, vae: bool = True) -> Path:
    """Write the model in ``folder`` (diffusers' layout, SD1.5 or SDXL) to ``path`` as one file."""
    xl = (folder / "text_encoder_2").is_dir()

    def read(part: str) -> State:
        return load_file(next((folder / part).glob("*.safetensors")))

    state = original_unet(read("unet"), "model.diffusion_model.")
    if vae:
        state |= original_vae(read("vae"))
    if xl:
        state |= original_clip(read("text_encoder"), "conditioner.embedders.0.transformer.")
        state |= original_open_clip(read("text_encoder_2"), "conditioner.embedders.1.model.")
        state["conditioner.embedders.1.model.logit_scale"] = torch.tensor(4.6)
        numbers = "conditioner.embedders.0.transformer.text_model.embeddings.position_ids"
    else:
        state |= original_clip(read("text_encoder"), "cond_stage_model.transformer.")
        state["alphas_cumprod"] = torch.linspace(1, 0, 1000)
        numbers = "cond_stage_model.transformer.text_model.embeddings.position_ids"
    state = {name: value.to(dtype).contiguous() for name, value in state.items()}
    state[numbers] = torch.arange(77)[None]
    save_file(state, path)
    return path


def write_controlnet(path: Path, folder: Path) -> Path:
    """Write the ControlNet in ``folder`` to ``path`` as one file, under lllyasviel's names."""
    state = load_file(next(folder.glob("*.safetensors")))
    save_file({name: value.contiguous() for name, value in original_unet(state, "control_model.").items()}, path)
    return path
