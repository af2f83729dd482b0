"""SD1.5 and SDXL in small with their controls, made once a run, and diffusers' own pipelines over the same files."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import ControlNetModel, LCMScheduler, T2IAdapter, UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image

from addon.wire import Request
from server.engine import ModelSpec, StableDiffusionLcm
from tests.plain.checkpoints_original import write_checkpoint, write_controlnet
from tests.plain.checkpoints_sdxl import make_adapter, make_controlnet, make_ip_adapter, make_whole

FAMILIES = ("SD1.5", "SDXL")
Picture = NDArray[np.uint8]


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="families-")


@functools.cache
def place(family: str, what: str) -> Path:
    """The folder or file ``what`` of ``family``: model, tiny, checkpoint, controlnet, controlnet_file,
    controlnet_own_names, adapter, ip, ip_plus."""
    folder = Path(_folder().name) / family
    if what in ("model", "tiny"):
        return make_whole(folder / what, family, vae="kl" if what == "model" else "tiny")
    if what == "checkpoint":
        return write_checkpoint(folder / "checkpoint.safetensors", place(family, "model"))
    if what == "adapter":
        return make_adapter(folder / "adapter-depth", family)
    if what == "controlnet_own_names":
        return Path(
            shutil.copyfile(next(place(family, "controlnet").glob("*.safetensors")), folder / f"{what}.safetensors")
        )
    if what == "controlnet_file":
        return write_controlnet(folder / "controlnet.safetensors", place(family, "controlnet"))
    unet = UNet2DConditionModel.from_pretrained(place(family, "tiny") / "unet")
    if what in ("ip", "ip_plus"):
        return make_ip_adapter(folder / what, unet, plus=what == "ip_plus")
    assert what == "controlnet"
    return make_controlnet(folder / what, unet)


@functools.cache
def engine(family: str, base: str = "tiny", **parts: str) -> StableDiffusionLcm:
    """The model ``base`` of ``family`` in fp32 on the CPU; ``parts``: fields of ModelSpec by the names of place()."""
    spec = ModelSpec(place(family, base), **{name: place(family, what) for name, what in parts.items()})
    return StableDiffusionLcm.load(spec, "cpu", dtype=torch.float32)


@functools.cache
def stock(family: str, kind: str, base: str = "tiny") -> Any:
    """Diffusers' pipeline: ``kind`` is Img2Img, ControlNetImg2Img, Adapter or "" (text to image)."""
    parts: dict[str, Any] = {}
    if kind == "ControlNetImg2Img":
        parts["controlnet"] = ControlNetModel.from_pretrained(place(family, "controlnet"))
    if kind == "Adapter":
        parts["adapter"] = T2IAdapter.from_pretrained(place(family, "adapter"))
    if family == "SD1.5":
        parts |= {"safety_checker": None, "requires_safety_checker": False, "feature_extractor": None}
    name = f"StableDiffusion{'XL' if family == 'SDXL' else ''}{kind}Pipeline"
    pipeline = getattr(diffusers, name).from_pretrained(place(family, base), **parts)
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def ask(pipeline: Any, request: Request, **how: Any) -> Picture:
    """The picture that ``pipeline`` makes of ``request``; ``how`` adds to what it is called with, or replaces it."""
    style = request.style
    given: dict[str, Any] = {
        "prompt": style.prompt,
        "negative_prompt": style.negative_prompt or None,
        "guidance_scale": style.guidance,
        "generator": torch.Generator("cpu").manual_seed(style.seed),
    }
    if "Img2Img" in type(pipeline).__name__:
        given |= {"image": Image.fromarray(request.frame.image), "strength": style.strength}
        given["num_inference_steps"] = round(style.steps / style.strength)
    else:
        given |= {"height": style.height, "width": style.width, "num_inference_steps": style.steps}
    given |= how
    return np.asarray(pipeline(**{name: value for name, value in given.items() if value is not None}).images[0])


def depth_picture(request: Request) -> Image.Image:
    """The depth of ``request`` as those models were trained: inverse, the nearest white, the farthest black."""
    plane = request.frame.inverse_depth
    assert plane is not None
    low, high = float(plane.min()), float(plane.max())
    return Image.fromarray(((plane - low) / (high - low) * 255).round().astype(np.uint8)).convert("RGB")


def psnr(one: Picture, other: Picture) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else 120.0


def assert_same(ours: Picture, theirs: Picture) -> None:
    assert ours.shape == theirs.shape
    assert theirs.std() > 10, "a flat picture would equal any other"
    assert psnr(ours, theirs) >= 40
