"""StreamDiffusion as an arm, where it is installed: ``pip install --no-deps streamdiffusion==0.1.1``. torch, no bpy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image

from addon.wire import Request
from server.engine.loading.parts import Parts

from .arms import Arm, LeftOut, Picture, missing
from .stock import Stock

TRAINED = 50
"""Timesteps that LCM's models were distilled at, of which StreamDiffusion takes some by number."""


def stream_diffusion(parts: Parts, device: torch.device, dtype: torch.dtype, batch: bool) -> Arm:
    """The arm, over the weights of ``parts`` where ``stock.placed`` has made them.

    ``batch``: with its stream batch, which shows a frame ``steps - 1`` frames later.
    """
    name = f"StreamDiffusion, stream batch {'on' if batch else 'off'}"
    if parts.sdxl:
        return missing(name, LeftOut("it does not know SDXL"))
    try:
        from streamdiffusion import StreamDiffusion
    except ImportError as error:
        return missing(name, LeftOut(f"{error}: pip install --no-deps streamdiffusion==0.1.1"))
    # the pipeline only carries the modules, as in StreamDiffusion's own examples
    pipeline = _text_to_image(Stock(parts, device, dtype).pipeline)
    made: dict[tuple[int, int], _Stream] = {}

    def stream(request: Request) -> _Stream:
        key = request.style.width, request.style.steps
        if key not in made:
            made.clear()
            made[key] = _Stream(StreamDiffusion, pipeline, parts, request, dtype, batch)
        return made[key]

    arm = Arm(name, lambda request: stream(request).render(request))
    if batch:

        def fill_up(request: Request) -> None:
            stream(request)

        arm.before = fill_up
        arm.delay_frames = lambda request: request.style.steps - 1
    return arm


def _text_to_image(img2img: Any) -> Any:
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline(**img2img.components, requires_safety_checker=False)


def _of(kind: Any, prediction: str) -> Any:
    """``kind``, StreamDiffusion's class, for models that predict ``prediction``: it takes all outputs for noise.

    Its own formula with two of its factors exchanged, so it does the same work.
    """
    if prediction == "epsilon":
        return kind

    class Other(kind):  # type: ignore[misc]
        def scheduler_step_batch(self, output: torch.Tensor, latent: torch.Tensor, idx: int | None = None) -> Any:
            at: Any = slice(None) if idx is None else idx
            signal, noise = self.alpha_prod_t_sqrt[at], self.beta_prod_t_sqrt[at]
            clean = output if prediction == "sample" else signal * latent - noise * output
            return self.c_out[at] * clean + self.c_skip[at] * latent

    return Other


class _Stream:
    def __init__(
        self, kind: Any, pipeline: Any, parts: Parts, request: Request, dtype: torch.dtype, batch: bool
    ) -> None:
        style = request.style
        plan = parts.schedule.plan(style.steps, style.strength)
        pipeline.scheduler.set_timesteps(TRAINED)
        known = pipeline.scheduler.timesteps.tolist()
        chosen = [known.index(step.timestep) for step in plan.steps]
        self._stream = _of(kind, parts.schedule.prediction)(
            pipeline, chosen, dtype, style.width, style.height, use_denoising_batch=batch, cfg_type="none"
        )
        self._stream.prepare(style.prompt, num_inference_steps=TRAINED, guidance_scale=1.0, seed=style.seed)
        generator = torch.Generator("cpu").manual_seed(style.seed)
        shape = (1, 4, self._stream.latent_height, self._stream.latent_width)
        noises = [torch.randn(shape, generator=generator).to(self._stream.device, dtype) for _ in plan.steps]
        self._first = torch.cat(noises) if batch else noises[0]
        self._further = noises[1:]

    @torch.inference_mode()
    def render(self, request: Request) -> Picture:
        self._stream.init_noise = self._first  # it overwrites it, with its stream batch off
        with _fixed_noise(self._further), _events_on_cpu(self._stream.device):
            shown = self._stream(Image.fromarray(request.frame.image))
        picture = (shown[0] / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
        return np.ascontiguousarray(picture.cpu().numpy())


@contextlib.contextmanager
def _fixed_noise(noises: list[torch.Tensor]) -> Iterator[None]:
    """Have it add the noise that the others add, where it draws new noise for every frame."""
    waiting, drawn = iter(noises), torch.randn_like
    torch.randn_like = lambda *given, **named: next(waiting)
    try:
        yield
    finally:
        torch.randn_like = drawn


class _Event:
    """What stands in for a CUDA event where there is no CUDA: StreamDiffusion makes two in every frame."""

    def __init__(self, enable_timing: bool = False) -> None:
        pass

    def record(self) -> None:
        pass

    def elapsed_time(self, other: _Event) -> float:
        return 0.0


@contextlib.contextmanager
def _events_on_cpu(device: torch.device) -> Iterator[None]:
    if torch.device(device).type == "cuda":
        yield
        return
    kept = torch.cuda.Event, torch.cuda.synchronize
    torch.cuda.Event, torch.cuda.synchronize = _Event, lambda *given: None  # type: ignore[misc,assignment]
    try:
        yield
    finally:
        torch.cuda.Event, torch.cuda.synchronize = kept  # type: ignore[misc]
