"""diffusers' stock pipeline as an arm, and as what all arms' pictures are held against. torch and diffusers, no bpy."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch
from diffusers import LCMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline, T2IAdapter
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img as of_sd15
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_img2img as of_sdxl
from diffusers.schedulers import scheduling_lcm as of_lcm
from PIL import Image

from addon.wire import Request
from server.engine.loading.parts import Parts

from .arms import Picture


def placed(parts: Parts, device: torch.device, dtype: torch.dtype, channels_last: bool = False) -> Parts:
    """Modules of one's own over weights on ``device`` in ``dtype``: ``parts``' own weights, where those are so.

    ``channels_last``: the UNet, the autoencoder and the control in that layout.
    """

    def place(module: Any, layout: torch.memory_format = torch.preserve_format) -> Any:
        if module is None:
            return None
        # never a copy as it was: SDXL twice in fp32 is more than most computers have
        weights = chain(module.parameters(), module.buffers())
        return copy.deepcopy(module, {id(weight): _placed(weight, device, dtype, layout) for weight in weights})

    layout = torch.channels_last if channels_last else torch.preserve_format
    made = copy.copy(parts)
    made.unet, made.vae, made.control = (place(each, layout) for each in (parts.unet, parts.vae, parts.control))
    made.texts = [(tokenizer, place(encoder)) for tokenizer, encoder in parts.texts]
    return made


def _placed(
    weight: torch.Tensor, device: torch.device, dtype: torch.dtype, layout: torch.memory_format
) -> torch.Tensor:
    dtype = dtype if weight.is_floating_point() else weight.dtype
    layout = layout if weight.dim() == 4 else torch.preserve_format
    made = weight.detach().to(device, dtype, memory_format=layout)
    if made.data_ptr() == weight.data_ptr() and made.device == weight.device:
        return weight
    return torch.nn.Parameter(made, requires_grad=False) if isinstance(weight, torch.nn.Parameter) else made


class Stock:
    """diffusers' img2img pipeline with LCMScheduler, as its documentation sets it up; depth by a T2I-Adapter.

    Several of these share the weights of ``parts`` where :func:`placed` has made those. ``tuned``: for ``parts`` in
    channels_last, which its documentation advises for speed, and the prompt is encoded once. ``compiled``:
    torch.compile on top of that.
    """

    def __init__(
        self, parts: Parts, device: torch.device, dtype: torch.dtype, tuned: bool = False, compiled: bool = False
    ) -> None:
        self._device, self._dtype = device, dtype
        self._keeps_prompt = tuned or compiled
        self._prompts: dict[str, dict[str, torch.Tensor]] = {}
        parts = placed(parts, device, dtype)
        unet, vae = parts.unet, parts.vae
        self._adapter = parts.control if isinstance(parts.control, T2IAdapter) else None
        if compiled:
            for module in (unet, vae.encoder, vae.decoder):
                _compile(module)
        self._features: list[torch.Tensor] | None = None
        forward = unet.forward

        def with_depth(*given: Any, **named: Any) -> Any:  # img2img has no place for an adapter's features
            features = None if self._features is None else [feature.clone() for feature in self._features]
            return forward(*given, down_intrablock_additional_residuals=features, **named)

        unet.forward = with_depth
        scheduler = LCMScheduler.from_config(parts.schedule.config)
        tokenizers, encoders = zip(*parts.texts, strict=True)
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
        if style.controls and self._adapter is not None:
            assert request.frame.inverse_depth is not None
            depth = torch.from_numpy(request.frame.inverse_depth.astype(np.float32) / 65535)
            depth = depth.to(self._device, self._dtype)[None, None]
            self._features = self._adapter(depth.expand(-1, self._adapter.config.in_channels, -1, -1))
        try:
            made = self.pipeline(
                **self._words(style.prompt),
                image=Image.fromarray(request.frame.image),
                strength=style.strength,
                num_inference_steps=round(style.steps / style.strength),
                guidance_scale=1.0,
                generator=torch.Generator("cpu").manual_seed(style.seed),
            )
        finally:
            self._features = None
        return np.asarray(made.images[0])

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


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Have fp32 be fp32 on CUDA: torch's own choice there is TF32 in convolutions, with 10 of the 23 bits."""
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept


def references(parts: Parts, device: torch.device, requests: Iterable[Request]) -> list[Picture]:
    """The stock pipeline's pictures of ``requests`` in fp32, made with modules that are given back afterwards.

    Two bf16 arms are each about as far from these; from each other they may be 3 dB farther, by rounding alone.
    Depth needs a T2I-Adapter, as in :class:`Stock`.
    """
    stock = Stock(parts, device, torch.float32)
    with exact(), one_noise():
        return [stock.render(request) for request in requests]
