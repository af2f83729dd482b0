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

NAMES = {".lora.down.": ".lora_A.", ".lora.up.": ".lora_B.", ".lora_down.": ".lora_A.", ".lora_up.": ".lora_B."}
"""diffusers' older names to today's. Some of its training scripts mix both in one file, and its loader then skips
the older ones without an error."""


def fuse_lora(parts: Parts, path: Path, weight: float = 1.0) -> None:
    """Add the LoRA in ``path`` (diffusers or kohya form), times ``weight``, to the modules of ``parts``.

    Raises EngineError when the file is no LoRA or was made for another base.
    """
    from diffusers import LCMScheduler, StableDiffusionPipeline  # a second of imports that most starts do without

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
    if not alphas and any(".lora_A." in key for key in state):
        state = {_today(key): tensor for key, tensor in state.items()}
    _check_fit(parts, state, path)
    try:
        if any(key.startswith("unet.") for key in state):
            pipeline.load_lora_into_unet(state, alphas, parts.unet)
        if any(key.startswith("text_encoder.") for key in state):
            pipeline.load_lora_into_text_encoder(state, alphas, parts.text_encoder)
        pipeline.fuse_lora(lora_scale=weight, safe_fusing=True)
    except Exception as error:  # peft and diffusers raise RuntimeError, ValueError, KeyError and others
        raise EngineError(f"{path} cannot be applied to the model {parts.name}: {_brief(error)}") from error
    pipeline.unload_lora_weights()


def _today(key: str) -> str:
    for old, new in NAMES.items():
        key = key.replace(old, new)
    return key


def _check_fit(parts: Parts, state: dict[str, torch.Tensor], path: Path) -> None:
    """Raise EngineError unless every tensor for the UNet in ``state`` belongs to a layer of it, in its shape."""
    layers = dict(parts.unet.named_modules())
    found = any(key.startswith("text_encoder.") for key in state)
    for key, tensor in state.items():
        name, _, kind = _today(key).removeprefix("unet.").partition(".lora_")
        if not key.startswith("unet.") or kind not in ("A.weight", "B.weight"):
            continue
        found = True
        weight = getattr(layers.get(name), "weight", None)
        if weight is None:
            raise EngineError(_other_base(path, f"it changes the layer {name}, which the model does not have"))
        side = 1 if kind == "A.weight" else 0
        given, taken = tensor.shape[side], weight.shape[side]
        if given != taken:
            family = f" ({FAMILIES[given]})" if name.endswith("attn2.to_k") and given in FAMILIES else ""
            raise EngineError(_other_base(path, f"its layer {name} is {given} wide{family}, the model's {taken}"))
    if not found:
        raise EngineError(f"{path} is no LoRA for Stable Diffusion: none of its {len(state)} tensors is named like one")


def _other_base(path: Path, reason: str) -> str:
    return f"{path} was made for another base model: {reason}; use a LoRA made for this model's family"


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
