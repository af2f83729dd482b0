"""What is compared: our engine, and diffusers' stock pipeline on the same modules. torch and diffusers, no bpy."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import LCMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline, T2IAdapter
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img as of_sd15
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_img2img as of_sdxl
from diffusers.schedulers import scheduling_lcm as of_lcm
from numpy.typing import NDArray
from PIL import Image

from addon.wire import Request
from server.engine import ModelSpec, StableDiffusionLcm
from server.engine.loading import Parts, load_parts
from server.engine.look import look

Picture = NDArray[np.uint8]
STAGES_TO_RECORD = 9
"""Frames until each stage is recorded, one a frame after the first, and none is left."""


@dataclass
class Arm:
    """One way to make a picture. ``render``: a request to uint8 H x W x 3; it returns when the picture is there.

    ``before``: what is done once before the first timed frame of a configuration, untimed. ``delay_frames``: how many
    frames later than its call an input's picture comes. ``same_noise``: whether its picture must equal the stock
    pipeline's. ``together``: makes ``batch`` pictures in one call, in place of ``render``. ``timed``: makes pictures
    of these requests and returns the milliseconds of each, where frames overlap and a call of ``render`` is no
    measure; ``stages`` then gives the medians of their stages, in milliseconds, ``whole`` from input to output.
    """

    name: str
    render: Callable[[Request], Picture]
    depth: bool = False
    before: Callable[[Request], None] = lambda request: None
    delay_frames: Callable[[Request], int] = lambda request: 0
    same_noise: bool = True
    batch: int = 1
    together: Callable[[list[Request]], list[Picture]] | None = None
    timed: Callable[[list[Request]], list[float]] | None = None
    stages: Callable[[], dict[str, float]] = dict


def load(spec: ModelSpec) -> Parts:
    """The modules of the model, on the CPU in fp32, its LoRAs fused."""
    return load_parts(look(spec), lambda fraction, words: None, torch.float32)


def copied(parts: Parts) -> Parts:
    """Modules of one's own: the engine rewrites some of them."""
    made = copy.copy(parts)
    made.unet, made.vae, made.control = (copy.deepcopy(each) for each in (parts.unet, parts.vae, parts.control))
    made.texts = [(tokenizer, copy.deepcopy(encoder)) for tokenizer, encoder in parts.texts]
    return made


def ours(engine: StableDiffusionLcm, name: str, depth: bool, before: Callable[[Request], None] | None = None) -> Arm:
    return Arm(name, lambda request: engine.render(request).image, depth, before or (lambda request: None))


def compile_first(engine: StableDiffusionLcm) -> Callable[[Request], None]:
    """What has ``engine`` record its stages, and compile what it compiles, before anything is timed."""

    def before(request: Request) -> None:
        for _ in range(STAGES_TO_RECORD):
            engine.render(request)
        while engine.compiling:
            time.sleep(0.2)  # it chooses kernels by timing them: frames beside it would make that a lottery
        for _ in range(STAGES_TO_RECORD):
            engine.render(request)

    return before


def ours_batched(engine: StableDiffusionLcm, name: str, depth: bool, batch: int) -> Arm:
    """Our engine with ``batch`` frames in one go: the first of them waits until the last is there."""

    def together(requests: list[Request]) -> list[Picture]:
        return [rendered.image for rendered in engine.render_together(requests)]

    arm = Arm(name, lambda request: together([request] * batch)[-1], depth, batch=batch, together=together)
    arm.delay_frames = lambda request: 2 * (batch - 1)
    return arm


class LeftOut(Exception):
    """Why an arm is not measured: by the user's wish, or because it does not go with the model or the machine."""


def missing(name: str, why: Exception) -> Arm:
    """What stands in the table for an arm that cannot run here: a row that says why."""

    def render(request: Request) -> Picture:
        raise why

    return Arm(name, render)


class Stock:
    """diffusers' img2img pipeline with LCMScheduler, as its documentation sets it up; depth by a T2I-Adapter.

    ``tuned``: what its documentation advises for speed besides: channels_last, and the prompt encoded once.
    ``compiled``: torch.compile on top of that.
    """

    def __init__(
        self, parts: Parts, device: torch.device, dtype: torch.dtype, tuned: bool = False, compiled: bool = False
    ) -> None:
        parts = copied(parts)
        self._device, self._dtype = device, dtype
        self._keeps_prompt = tuned or compiled
        self._prompts: dict[str, dict[str, torch.Tensor]] = {}
        self._adapter = parts.control.to(device, dtype) if isinstance(parts.control, T2IAdapter) else None
        unet, vae = parts.unet.to(device, dtype), parts.vae.to(device, dtype)
        for module in (unet, vae.encoder, vae.decoder, self._adapter):
            if module is not None and self._keeps_prompt:
                module.to(memory_format=torch.channels_last)
            if module is not None and compiled:
                _compile(module)
        self._features: list[torch.Tensor] | None = None
        forward = unet.forward

        def with_depth(*given: Any, **named: Any) -> Any:  # img2img has no place for an adapter's features
            features = None if self._features is None else [feature.clone() for feature in self._features]
            return forward(*given, down_intrablock_additional_residuals=features, **named)

        unet.forward = with_depth
        scheduler = LCMScheduler.from_config(parts.schedule.config)
        tokenizers, encoders = zip(*parts.texts, strict=True)
        encoders = tuple(encoder.to(device, dtype) for encoder in encoders)
        words: dict[str, Any] = {"text_encoder": encoders[0], "tokenizer": tokenizers[0]}
        if parts.sdxl:
            words |= {"text_encoder_2": encoders[1], "tokenizer_2": tokenizers[1]}
            self.pipeline: Any = StableDiffusionXLImg2ImgPipeline(
                vae=vae, unet=unet, scheduler=scheduler, add_watermarker=False, **words
            )
        else:
            self.pipeline = StableDiffusionImg2ImgPipeline(
                vae=vae,
                unet=unet,
                scheduler=scheduler,
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
                **words,
            )
        self.pipeline.set_progress_bar_config(disable=True)

    @torch.inference_mode()
    def render(self, request: Request) -> Picture:
        style = request.style
        self._features = None
        if style.controls and self._adapter is not None:
            assert request.frame.inverse_depth is not None
            depth = torch.from_numpy(request.frame.inverse_depth.astype(np.float32) / 65535)
            depth = depth.to(self._device, self._dtype)[None, None]
            self._features = self._adapter(depth.expand(-1, self._adapter.config.in_channels, -1, -1))
        return np.asarray(
            self.pipeline(
                **self._words(style.prompt),
                image=Image.fromarray(request.frame.image),
                strength=style.strength,
                num_inference_steps=round(style.steps / style.strength),
                guidance_scale=1.0,
                generator=torch.Generator("cpu").manual_seed(style.seed),
            ).images[0]
        )

    def _words(self, prompt: str) -> dict[str, Any]:
        """The prompt as the pipeline takes it: the words, or what they were encoded to before."""
        if not self._keeps_prompt:
            return {"prompt": prompt}
        if prompt not in self._prompts:
            free: dict[str, Any] = {"do_classifier_free_guidance": False, "num_images_per_prompt": 1}
            made = self.pipeline.encode_prompt(prompt, device=self._device, **free)
            self._prompts = {prompt: {"prompt_embeds": made[0]}}
            if len(made) == 4:
                self._prompts[prompt]["pooled_prompt_embeds"] = made[2]
        return self._prompts[prompt]


def _compile(module: Any) -> None:
    # torch's default, as ours; "max-autotune" takes minutes for each module, and CUDA graphs inside overwrite outputs
    module.forward = torch.compile(module.forward, dynamic=False)


@contextlib.contextmanager
def one_noise() -> Iterator[None]:
    """Have diffusers draw its noise in fp32 on the CPU, as we do: drawn in bf16, a seed means other noise.

    And take the mean of what a full VAE encodes, as we do, where it draws a sample from the same seed.
    """

    def draw(shape: Any, generator: Any = None, device: Any = None, dtype: Any = None, layout: Any = None) -> Any:
        generator = generator[0] if isinstance(generator, list) else generator
        return torch.randn(shape, generator=generator, dtype=torch.float32).to(device, dtype)

    modules: tuple[Any, ...] = (of_sd15, of_sdxl, of_lcm)
    kept = [module.randn_tensor for module in modules]
    for module in modules:
        module.randn_tensor = draw
    sample = DiagonalGaussianDistribution.sample
    DiagonalGaussianDistribution.sample = lambda self, generator=None: self.mode()
    try:
        yield
    finally:
        DiagonalGaussianDistribution.sample = sample
        for module, function in zip(modules, kept, strict=True):
            module.randn_tensor = function


def psnr(one: Picture, other: Picture) -> float:
    """Decibels between two pictures, 120 for equal ones."""
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return float(10 * np.log10(255**2 / error)) if error else 120.0
