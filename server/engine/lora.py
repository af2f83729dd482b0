"""A LoRA file into a model's weights, for good. diffusers and peft do the work; safetensors only.

The LoRA is fused and its own layers are removed again, so that it costs nothing in a frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from .errors import EngineError

if TYPE_CHECKING:
    from .loading import Parts

FAMILIES = {768: "SD1.5", 1024: "SD2", 2048: "SDXL"}
"""Width of the text embeddings that the cross-attention of a family takes."""


def fuse_lora(parts: Parts, path: Path, weight: float = 1.0) -> None:
    """Add the LoRA in ``path`` (diffusers or kohya form), times ``weight``, to the modules of ``parts``.

    Raises EngineError when the file is no LoRA or was made for another base.
    """
    # a second of imports that a model without a LoRA does without
    from diffusers import LCMScheduler, StableDiffusionPipeline
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    pipeline = StableDiffusionPipeline(
        parts.vae,
        parts.text_encoder,
        parts.tokenizer,
        parts.unet,
        LCMScheduler(steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    try:
        state, alphas = pipeline.lora_state_dict(load_file(path), unet_config=parts.unet.config)
    except Exception as error:  # diffusers raises ValueError, KeyError and others for names it cannot place
        raise EngineError(f"{path} cannot be read as a LoRA: {_brief(error)}") from error
    # Some of diffusers' training scripts mix older and newer names in one file, and its loader then skips the older
    # ones without an error. So all of the UNet's get today's names first.
    of_unet = convert_unet_state_dict_to_peft({key: value for key, value in state.items() if key.startswith("unet.")})
    of_text = {key: value for key, value in state.items() if key.startswith("text_encoder.")}
    if not of_unet and not of_text:
        raise EngineError(f"{path} is no LoRA for Stable Diffusion: none of its {len(state)} tensors is named like one")
    _check_fit(parts, of_unet, path)
    try:
        if of_unet:
            pipeline.load_lora_into_unet(of_unet, alphas, parts.unet)
        if of_text:
            pipeline.load_lora_into_text_encoder(of_text, alphas, parts.text_encoder)
        pipeline.fuse_lora(lora_scale=weight, safe_fusing=True)
    except Exception as error:  # peft and diffusers raise RuntimeError, ValueError, KeyError and others
        raise EngineError(f"{path} cannot be applied to the model {parts.name}: {_brief(error)}") from error
    pipeline.unload_lora_weights()


def _check_fit(parts: Parts, state: dict[str, torch.Tensor], path: Path) -> None:
    """Raise EngineError unless every tensor of ``state`` belongs to a layer of the UNet, in its shape."""
    layers = dict(parts.unet.named_modules())
    for key, tensor in state.items():
        name, _, kind = key.removeprefix("unet.").partition(".lora_")
        if kind not in ("A.weight", "B.weight"):
            continue
        weight = getattr(layers.get(name), "weight", None)
        if weight is None:
            raise EngineError(_other_base(path, f"it changes the layer {name}, which the model does not have"))
        side = 1 if kind == "A.weight" else 0
        given, taken = tensor.shape[side], weight.shape[side]
        if given != taken:
            family = f" ({FAMILIES[given]})" if name.endswith("attn2.to_k") and given in FAMILIES else ""
            raise EngineError(_other_base(path, f"its layer {name} is {given} wide{family}, the model's {taken}"))


def _other_base(path: Path, reason: str) -> str:
    return f"{path} was made for another base model: {reason}; use a LoRA made for this model's family"


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
