"""LoRAs as users have them: UNet and text encoders, in diffusers' form and in kohya's with either kind of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file

from tests.plain.checkpoints import LORA_TARGETS
from tests.plain.checkpoints_original import original_unet_name

TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
FORMS = ("diffusers", "kohya", "sgm")

State = dict[str, torch.Tensor]


def write_user_lora(
    path: Path,
    unet: UNet2DConditionModel,
    encoders: list[Any],
    form: str = "diffusers",
    rank: int = 4,
    alpha: float = 2.0,
    seed: int = 1,
) -> Path:
    """Write a LoRA with random weights for ``unet`` and ``encoders`` (one of SD1.5, two of SDXL, none) to ``path``.

    ``form``: "diffusers" as its pipelines save it, without ``alpha``; "kohya" with names made of diffusers';
    "sgm" as kohya's trainer writes SDXL's, with names made of the original ones.
    """
    torch.manual_seed(seed)
    xl = unet.config.addition_embed_type is not None
    of_unet = _unet_layers(unet, rank)
    of_texts = [_text_layers(encoder, rank) for encoder in encoders]
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == "diffusers":
        layers: dict[str, Any] = {"unet_lora_layers": of_unet}
        names = ("text_encoder_lora_layers", "text_encoder_2_lora_layers")
        layers |= dict(zip(names, of_texts, strict=False))
        pipeline = StableDiffusionXLPipeline if xl else StableDiffusionPipeline
        pipeline.save_lora_weights(path.parent, weight_name=path.name, safe_serialization=True, **layers)
        return path
    state: State = {}
    for name, tensor in of_unet.items():
        layer, side = name.removesuffix(".weight").rsplit(".lora_", 1)
        _add(state, "lora_unet_" + _flat(layer, unet, form), side, tensor, alpha)
    for index, layers_of_text in enumerate(of_texts):
        prefix = f"lora_te{index + 1}_" if xl else "lora_te_"
        for name, tensor in layers_of_text.items():
            layer, side = name.removesuffix(".weight").rsplit(".lora_", 1)
            _add(state, prefix + layer.replace(".", "_"), side, tensor, alpha)
    save_file(state, path)
    return path


def _add(state: State, layer: str, side: str, tensor: torch.Tensor, alpha: float) -> None:
    state[f"{layer}.lora_{'down' if side == 'A' else 'up'}.weight"] = tensor.contiguous()
    state[f"{layer}.alpha"] = torch.tensor(alpha)


def _flat(layer: str, unet: UNet2DConditionModel, form: str) -> str:
    if form == "sgm":
        kinds = enumerate(unet.config.up_block_types)
        layer = original_unet_name(
            layer, unet.config.layers_per_block, {index for index, kind in kinds if kind.startswith("Cross")}
        )
    return layer.replace(".", "_")


def _unet_layers(unet: UNet2DConditionModel, rank: int) -> State:
    trained = UNet2DConditionModel.from_config(unet.config)
    trained.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=LORA_TARGETS))
    for name, parameter in trained.named_parameters():
        if "lora_B" in name:  # zero before training
            torch.nn.init.normal_(parameter, std=0.1)
    return get_peft_model_state_dict(trained)


def _text_layers(encoder: Any, rank: int) -> State:
    state: State = {}
    for name, module in encoder.named_modules():
        if name.endswith(TEXT_TARGETS):
            layer = "text_model." + name.removeprefix("text_model.")
            state[f"{layer}.lora_A.weight"] = torch.randn(rank, module.in_features) * 0.3
            state[f"{layer}.lora_B.weight"] = torch.randn(module.out_features, rank) * 0.3
    return state
