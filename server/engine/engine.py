"""The engine: a request in, a picture out, over diffusers' modules with a denoising loop of its own. No sockets.

A frame goes: upload, draft to latent (encode), depth to features (once a frame), UNet calls, latent to picture
(decode), download. Everything that does not depend on the frame's pixels is made once and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from addon.wire import Frame, Request, Style

from .cache import Recent
from .devices import Stopwatch, choose, cpu_threads
from .errors import EngineError
from .fast import quicken_autoencoder
from .images import Transfer, fit, from_model, to_model
from .loading import Parts, Progress, load_parts
from .quiet import quiet
from .schedule import Step
from .text import PromptEncoder

OnStep = Callable[[int, int], None]

STAGES = ("upload", "text", "encode", "depth", "unet", "decode", "download")
KEPT_RECIPES = 8


@dataclass(frozen=True, eq=False)
class Rendered:
    """A picture, uint8 height x width x 3 (sRGB, top row first), and the milliseconds of each stage.

    ``timings`` has the keys upload, text, encode, depth, unet, decode, download, and engine for the whole.
    """

    image: NDArray[np.uint8]
    timings: dict[str, float]


@dataclass(frozen=True)
class _Recipe:
    """What the denoising of a (size, steps, strength, seed) needs, on the device. Latents are fp32."""

    signal: float
    start_noise: torch.Tensor
    steps: tuple[Step, ...]
    timesteps: tuple[torch.Tensor, ...]
    step_noise: tuple[torch.Tensor | None, ...]


class StableDiffusionLcm:
    """A loaded model. Made by :meth:`load`; everything else is called from one thread only.

    The same request gives the same picture bit for bit on one device; noise is drawn on the CPU, so that a seed
    means the same noise on every device.
    """

    def __init__(self, parts: Parts, device: str = "auto", dtype: torch.dtype | None = None) -> None:
        place = choose(device, dtype)
        self._device, self._dtype = place.device, place.dtype
        if self._device.type == "cpu":
            torch.set_num_threads(cpu_threads())
        self.name = parts.name
        self.device = str(place.device)
        self._parts: Parts | None = parts
        self._schedule = parts.schedule
        quicken_autoencoder(parts.vae, fold=self._device.type == "cpu")
        self._unet = self._place(parts.unet)
        self._vae = self._place(parts.vae)
        self._adapter = self._place(parts.adapter) if parts.adapter is not None else None
        self._latent_scale, self._size_step = parts.latent_scale, parts.size_step
        self._text = PromptEncoder(parts.tokenizer, self._place(parts.text_encoder), self._device, self._dtype)
        self._transfer = Transfer(self._device)
        self._recipes: Recent[_Recipe] = Recent(KEPT_RECIPES)

    @classmethod
    def load(
        cls,
        source: str | Path,
        device: str = "auto",
        progress: Progress | None = None,
        dtype: torch.dtype | None = None,
    ) -> StableDiffusionLcm:
        """Load the diffusers folder ``source`` with the LoRA in it. Raises EngineError.

        ``progress`` is called with a fraction from 0 to 1 that never falls, and words. ``dtype`` overrides the
        precision that suits the device.
        """
        report = progress or (lambda fraction, words: None)
        report(0.0, "looking at the model")
        choose(device, dtype)  # a wrong device is told at once, not after minutes of loading
        try:
            with quiet():
                engine = cls(load_parts(source, report), device, dtype)
            report(0.97, "warming up")
            engine._warm_up()
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise _out_of_memory(f"loading model {str(source)!r}") from error
        report(1.0, "ready")
        return engine

    def render(self, request: Request, on_step: OnStep | None = None) -> Rendered:
        """The picture of ``request``. Raises EngineError.

        ``on_step(step, steps)`` is called with step 0 at the start and after each UNet call. The draft and its
        depth are stretched to the style's width and height. At strength 1 the draft's colours play no part.
        """
        style = request.style
        self._check(request)
        try:
            return self._render(request.frame, style, on_step or (lambda step, steps: None))
        except torch.OutOfMemoryError as error:
            self._free()
            raise _out_of_memory(f"a picture of {style.width} x {style.height}") from error
        except RuntimeError as error:
            if "alloc" in str(error) and "memory" in str(error):  # the CPU allocator's plain RuntimeError
                self._free()
                raise _out_of_memory(f"a picture of {style.width} x {style.height}") from error
            raise

    def close(self) -> None:
        """Give the model's memory back. The engine cannot be used afterwards."""
        self._parts = None
        self._unet = self._vae = self._adapter = self._text = None  # type: ignore[assignment]
        self._free()

    @torch.inference_mode()
    def _render(self, frame: Frame, style: Style, on_step: OnStep) -> Rendered:
        height, width = style.height, style.width
        watch = Stopwatch(self._device)
        weight = sum(control.weight for control in style.controls if control.kind == "depth")
        guided = style.guidance > 1 and self._unet.config.time_cond_proj_dim is None
        on_step(0, style.steps)
        with watch.stage("upload"):
            recipe = self._recipe(style)
            image = self._transfer.upload_image(frame.image) if recipe.signal else None
            plane = frame.inverse_depth if weight > 0 else None
            depth = None if plane is None else self._transfer.upload_depth(plane)
        with watch.stage("text"):
            text = self._text.pair(style.negative_prompt, style.prompt) if guided else self._text.encode(style.prompt)
        with watch.stage("encode"):
            latent = recipe.start_noise
            if image is not None:
                encoded = self._encode(to_model(image, height, width, self._dtype))
                latent = torch.add(latent, encoded, alpha=recipe.signal)
        with watch.stage("depth"):
            features = self._depth_features(depth, height, width, weight, guided) if depth is not None else None
        with watch.stage("unet"):
            for index, step in enumerate(recipe.steps):
                output = self._predict(latent, recipe.timesteps[index], text, features, style.guidance, guided)
                latent = latent * step.keep + output * step.use
                noise = recipe.step_noise[index]
                latent = latent if noise is None else latent + noise
                on_step(index + 1, style.steps)
        with watch.stage("decode"):
            picture = from_model(self._decode(latent))
            sound = torch.isfinite(latent).all()
        with watch.stage("download"):
            result = self._transfer.download(picture)
        if not bool(sound):
            raise EngineError(
                f"the model {self.name} computed values that are no numbers in {self._dtype}: "
                "its weights are damaged, or need a higher precision"
            )
        return Rendered(result, watch.read(STAGES))

    def _predict(
        self,
        latent: torch.Tensor,
        timestep: torch.Tensor,
        text: torch.Tensor,
        features: list[torch.Tensor] | None,
        guidance: float,
        guided: bool,
    ) -> torch.Tensor:
        """The UNet's output for ``latent`` in fp32; guided, ``text`` holds the negative prompt and the prompt."""
        sample = latent.to(self._dtype)
        output = self._unet(
            sample.expand(2, -1, -1, -1) if guided else sample,
            timestep,
            encoder_hidden_states=text,
            timestep_cond=self._guidance_embedding(guidance),
            down_intrablock_additional_residuals=None if features is None else list(features),
            return_dict=False,
        )[0].float()
        if not guided:
            return output
        without, with_prompt = output.chunk(2)
        return without + guidance * (with_prompt - without)

    def _guidance_embedding(self, guidance: float) -> torch.Tensor | None:
        """The sine embedding of the guidance for UNets that were distilled to take it as an input (LCM's full ones).

        As StableDiffusionPipeline.get_guidance_scale_embedding computes it.
        """
        width = self._unet.config.time_cond_proj_dim
        if width is None:
            return None
        half = width // 2
        frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * -(np.log(10000.0) / (half - 1)))
        angles = (guidance - 1) * 1000.0 * frequencies
        embedding = torch.cat([angles.sin(), angles.cos()])
        return torch.nn.functional.pad(embedding, (0, width % 2))[None].to(self._device, self._dtype)

    def _encode(self, image: torch.Tensor) -> torch.Tensor:
        encoded = self._vae.encode(image, return_dict=False)[0]
        # AutoencoderKL gives a distribution: its mode keeps a still view still, a sample would not
        latent = encoded if torch.is_tensor(encoded) else encoded.mode()
        return latent.float() * self._vae.config.scaling_factor

    def _decode(self, latent: torch.Tensor) -> torch.Tensor:
        scaled = (latent / self._vae.config.scaling_factor).to(self._dtype)
        return self._vae.decode(scaled, return_dict=False)[0]

    def _depth_features(
        self, depth: torch.Tensor, height: int, width: int, weight: float, guided: bool
    ) -> list[torch.Tensor]:
        """The adapter's features of ``depth`` (H x W, 0..1, near 1), times ``weight``, one for each UNet block."""
        assert self._adapter is not None
        plane = fit(depth[None, None], height, width).expand(-1, self._adapter.config.in_channels, -1, -1)
        features = self._adapter(plane.to(self._dtype, memory_format=torch.channels_last))
        return [(feature * weight).expand(2 if guided else 1, -1, -1, -1) for feature in features]

    def _recipe(self, style: Style) -> _Recipe:
        key = (style.height, style.width, style.steps, style.strength, style.seed)
        return self._recipes.get(key, lambda: self._make_recipe(style))

    def _make_recipe(self, style: Style) -> _Recipe:
        plan = self._schedule.plan(style.steps, style.strength)
        height, width = style.height // self._latent_scale, style.width // self._latent_scale
        shape = (1, self._unet.config.in_channels, height, width)
        generator = torch.Generator("cpu").manual_seed(style.seed)

        def draw(level: float) -> torch.Tensor:
            noise = torch.randn(shape, generator=generator) * level  # one draw after the other, as diffusers does it
            return noise.to(self._device, memory_format=torch.channels_last)

        start = draw(plan.noise)
        noises = (*(draw(step.renoise) for step in plan.steps[:-1]), None)
        timesteps = tuple(torch.tensor(step.timestep, device=self._device) for step in plan.steps)
        return _Recipe(plan.signal, start, plan.steps, timesteps, noises)

    def _check(self, request: Request) -> None:
        style, step = request.style, self._size_step
        for name, value in (("width", style.width), ("height", style.height)):
            if value % step:
                raise EngineError(
                    f"{name} is {value}, but the model {self.name} needs a multiple of {step}: "
                    f"use {value // step * step or step} or {(value // step + 1) * step}",
                    "bad_request",
                )
        if self._adapter is None and any(control.kind == "depth" and control.weight > 0 for control in style.controls):
            raise EngineError(
                f"depth control is asked for, but the model {self.name} has no depth adapter: set the depth weight "
                "to 0, or add a T2IAdapter as the folder 'adapter' of the model",
                "bad_request",
            )

    def _place(self, module: Any) -> Any:
        return module.to(device=self._device, dtype=self._dtype, memory_format=torch.channels_last)

    def _warm_up(self) -> None:
        """One small picture, so that the first one asked for does not pay for setting up the libraries."""
        side = 32 * self._size_step
        frame = Frame(0, np.zeros((side, side, 3), np.uint8))
        self._render(frame, Style(strength=0.5, steps=1, width=side, height=side), lambda step, steps: None)

    def _free(self) -> None:
        self._recipes.clear()
        self._transfer.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _out_of_memory(what: str) -> EngineError:
    return EngineError(
        f"there is too little memory for {what}: use a smaller size, close other programs or take --device cpu",
        "out_of_memory",
    )
