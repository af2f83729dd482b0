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
from .images import Transfer
from .loading import Parts, Progress, load_parts
from .pipeline import Call, Depth, Guide, Pipeline
from .quiet import quiet
from .text import PromptEncoder

OnStep = Callable[[int, int], None]

STAGES = ("upload", "text", "encode", "depth", "unet", "decode", "download")
KEPT_RECIPES = 8
KEPT_NUMBERS = 32


@dataclass(frozen=True, eq=False)
class Rendered:
    """A picture, uint8 height x width x 3 (sRGB, top row first), and the milliseconds of each stage.

    ``timings`` has the keys upload, text, encode, depth, unet, decode, download, and engine for the whole.
    """

    image: NDArray[np.uint8]
    timings: dict[str, float]


@dataclass(frozen=True, eq=False)
class _Recipe:
    """What the denoising of a (size, steps, strength, seed) needs, on the device.

    ``signal``: how much of the encoded draft the start has, fp32, 0-d, or None where it has nothing of it.
    """

    signal: torch.Tensor | None
    start: torch.Tensor
    calls: tuple[Call, ...]


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
        self._pipeline = Pipeline(
            self._place(parts.unet),
            self._place(parts.vae),
            self._dtype,
            adapter=self._place(parts.adapter) if parts.adapter is not None else None,
        )
        self._latent_scale, self._size_step = parts.latent_scale, parts.size_step
        self._text = PromptEncoder(parts.tokenizer, self._place(parts.text_encoder), self._device, self._dtype)
        self._transfer = Transfer(self._device)
        self._recipes: Recent[_Recipe] = Recent(KEPT_RECIPES)
        self._numbers: Recent[torch.Tensor] = Recent(KEPT_NUMBERS)

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
        self._pipeline = self._text = None  # type: ignore[assignment]
        self._free()

    @torch.inference_mode()
    def _render(self, frame: Frame, style: Style, on_step: OnStep) -> Rendered:
        height, width = style.height, style.width
        pipeline, watch = self._pipeline, Stopwatch(self._device)
        weight = sum(control.weight for control in style.controls if control.kind == "depth")
        on_step(0, style.steps)
        with watch.stage("upload"):
            recipe = self._recipe(style)
            image = None if recipe.signal is None else self._transfer.upload_image(frame.image)
            plane = frame.inverse_depth if weight > 0 else None
            near = None if plane is None else self._transfer.upload_depth(plane)
        with watch.stage("text"):
            guide = self._guide(style)
        with watch.stage("encode"):
            latent = recipe.start
            if image is not None and recipe.signal is not None:
                latent = pipeline.encode(image, height, width, recipe.signal, recipe.start)
        with watch.stage("depth"):
            depth = Depth()
            if near is not None:
                depth = pipeline.look(near, height, width, self._number(weight), guide.text.shape[0])
        with watch.stage("unet"):
            for index, call in enumerate(recipe.calls):
                latent = pipeline.step(latent, call, guide, depth)
                on_step(index + 1, style.steps)
        with watch.stage("decode"):
            picture, sound = pipeline.decode(latent)
        with watch.stage("download"):
            result = self._transfer.download(picture)
        if not bool(sound):
            raise EngineError(
                f"the model {self.name} computed values that are no numbers in {self._dtype}: "
                "its weights are damaged, or need a higher precision"
            )
        return Rendered(result, watch.read(STAGES))

    def _guide(self, style: Style) -> Guide:
        width = self._pipeline.unet.config.time_cond_proj_dim
        if width is not None:  # a UNet that was distilled to take the guidance as an input needs no second row
            embedded = self._numbers.get(("guidance", style.guidance), lambda: self._embedded(style.guidance, width))
            return Guide(self._text.encode(style.prompt), embedded=embedded)
        if style.guidance <= 1:
            return Guide(self._text.encode(style.prompt))
        text = self._text.pair(style.negative_prompt, style.prompt)
        return Guide(text, guidance=self._number(style.guidance))

    def _embedded(self, guidance: float, width: int) -> torch.Tensor:
        """The sine embedding of the guidance, as StableDiffusionPipeline.get_guidance_scale_embedding computes it."""
        half = width // 2
        frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * -(np.log(10000.0) / (half - 1)))
        angles = (guidance - 1) * 1000.0 * frequencies
        embedding = torch.cat([angles.sin(), angles.cos()])
        return torch.nn.functional.pad(embedding, (0, width % 2))[None].to(self._device, self._dtype)

    def _number(self, value: float) -> torch.Tensor:
        return self._numbers.get(value, lambda: torch.tensor(value, dtype=torch.float32, device=self._device))

    def _recipe(self, style: Style) -> _Recipe:
        key = (style.height, style.width, style.steps, style.strength, style.seed)
        return self._recipes.get(key, lambda: self._make_recipe(style))

    def _make_recipe(self, style: Style) -> _Recipe:
        plan = self._schedule.plan(style.steps, style.strength)
        height, width = style.height // self._latent_scale, style.width // self._latent_scale
        shape = (1, self._pipeline.unet.config.in_channels, height, width)
        generator = torch.Generator("cpu").manual_seed(style.seed)

        def draw(level: float) -> torch.Tensor:
            noise = torch.randn(shape, generator=generator) * level  # one draw after the other, as diffusers does it
            return noise.to(self._device, memory_format=torch.channels_last)

        def number(value: float) -> torch.Tensor:
            return torch.tensor(value, dtype=torch.float32, device=self._device)

        start = draw(plan.noise)
        noises = (*(draw(step.renoise) for step in plan.steps[:-1]), None)
        calls = tuple(
            Call(torch.tensor(step.timestep, device=self._device), number(step.keep), number(step.use), noise)
            for step, noise in zip(plan.steps, noises, strict=True)
        )
        return _Recipe(number(plan.signal) if plan.signal else None, start, calls)

    def _check(self, request: Request) -> None:
        style, step = request.style, self._size_step
        for name, value in (("width", style.width), ("height", style.height)):
            if value % step:
                raise EngineError(
                    f"{name} is {value}, but the model {self.name} needs a multiple of {step}: "
                    f"use {value // step * step or step} or {(value // step + 1) * step}",
                    "bad_request",
                )
        if self._pipeline.adapter is None and any(
            control.kind == "depth" and control.weight > 0 for control in style.controls
        ):
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
        self._numbers.clear()
        self._transfer.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _out_of_memory(what: str) -> EngineError:
    return EngineError(
        f"there is too little memory for {what}: use a smaller size, close other programs or take --device cpu",
        "out_of_memory",
    )
