"""Checks that a model's parts belong together, and that a request suits them. diffusers' modules passed in; no files.

What does not fit would fail in the middle of a frame, or make pictures of nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from diffusers import T2IAdapter

from addon.problems.serving import ControlUnsupported, Unsupported
from addon.wire import Request

from ..errors import EngineError
from .parts import Parts


def check_fit(parts: Parts, base: Path) -> None:
    """Raise EngineError where the parts come from models that do not belong together."""
    unet, latent = parts.unet.config, parts.vae.config.latent_channels
    if unet.in_channels != latent:
        raise EngineError(
            f"unet of {base} takes {unet.in_channels} channels, but vae gives {latent}: "
            "inpainting and editing models cannot be used, take the plain text-to-image one"
        )
    odd = unet.class_embed_type or (unet.addition_embed_type not in (None, "text_time") and unet.addition_embed_type)
    if odd:
        raise EngineError(f"unet of {base} asks for {odd!r} as an input, but only SD1.5 and SDXL models can be used")
    if parts.sdxl != (len(parts.texts) == 2):
        kinds = ("SD1.5", "SDXL")
        raise EngineError(
            f"unet of {base} is of the {kinds[parts.sdxl]} kind, but its text encoders are of the "
            f"{kinds[len(parts.texts) == 2]} kind: they come from different models"
        )
    width = sum(encoder.config.hidden_size for _, encoder in parts.texts)
    if unet.cross_attention_dim != width:
        raise EngineError(
            f"unet of {base} takes text embeddings {unet.cross_attention_dim} wide, but text_encoder gives {width}: "
            "they come from different models"
        )


def check_control(control: Any, unet: Any, path: Path) -> None:
    """Raise EngineError where the T2IAdapter or ControlNetModel of ``path`` was not made for ``unet``, or for depth."""
    if isinstance(control, T2IAdapter):
        _check_adapter(control.config, unet.config, path)
    else:
        _check_controlnet(control.config, unet.config, path)


def _check_adapter(config: Any, unet: Any, path: Path) -> None:
    if config.in_channels not in (1, 3):
        raise EngineError(f"adapter {path} takes {config.in_channels} channels, but depth has 1 (or 3 alike)")
    widths, gives = list(unet.block_out_channels), list(config.channels)
    xl = config.adapter_type == "full_adapter_xl"
    if config.adapter_type == "light_adapter":
        gives.append(gives[-1])
    if xl != (unet.addition_embed_type == "text_time") or gives[: len(widths)] != widths:
        raise EngineError(
            f"adapter {path} gives features of {gives} channels, but unet takes {widths}: it belongs to another "
            "base model; use one made for this model's family"
        )


def _check_controlnet(config: Any, unet: Any, path: Path) -> None:
    for name, words in (("cross_attention_dim", "text embeddings"), ("block_out_channels", "blocks")):
        given, taken = getattr(config, name), getattr(unet, name)
        if given is None:  # one without attention sees no text
            continue
        if (list(given) if words == "blocks" else given) != (list(taken) if words == "blocks" else taken):
            raise EngineError(
                f"ControlNet {path} was made for another base model: its {words} are {given} wide, the model's "
                f"{taken}; use one made for this model's family"
            )


def check_request(request: Request, name: str, size_step: int, controls: Collection[str]) -> None:
    """Raise EngineError where the model ``name`` cannot make the picture of ``request``.

    ``size_step``: what width and height must be a multiple of. ``controls``: the kinds that the model has.
    """
    style = request.style
    for side, value in (("width", style.width), ("height", style.height)):
        if value % size_step:
            raise EngineError(
                f"{side} is {value}, but the model {name} needs a multiple of {size_step}: "
                f"use {value // size_step * size_step or size_step} or {(value // size_step + 1) * size_step}",
                "bad_request",
            )
    for control in style.controls:
        if control.weight > 0 and control.kind not in controls:
            raise EngineError(ControlUnsupported(control.kind, name))
    for feature, is_asked in (
        ("regions", any(region.weight > 0 for region in request.regions)),
        ("panorama", request.panorama),
    ):
        if is_asked:
            raise EngineError(Unsupported(feature))
