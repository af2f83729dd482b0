"""A style's inputs to the pipeline beside its prompt, as tensors made once and cached. torch, no models."""

from __future__ import annotations

import numpy as np
import torch

from addon.wire import Style

from ..cache import MOST_BYTES, Recent
from ..sampling.pipeline import Call
from ..sampling.recipe import Recipe
from ..sampling.schedule import Schedule
from ..spec import LCM, Sampler

KEPT_RECIPES = 8
KEPT_NUMBERS = 128


class Inputs:
    """Makes and keeps the tensors of styles, for a UNet of ``channels``; ``latent_scale``: pixels to one of the latent.

    Noise is drawn on the CPU, so that a seed means the same noise on every device.
    """

    def __init__(
        self,
        schedule: Schedule,
        channels: int,
        latent_scale: int,
        device: torch.device,
        dtype: torch.dtype,
        sampler: Sampler = LCM,
    ) -> None:
        """``sampler``: what suits the model."""
        self._schedule, self._channels, self._scale, self._sampler = schedule, channels, latent_scale, sampler
        self._device, self._dtype = device, dtype
        self._recipes: Recent[Recipe] = Recent(KEPT_RECIPES, MOST_BYTES)
        self._numbers: Recent[torch.Tensor] = Recent(KEPT_NUMBERS)

    def clear(self) -> None:
        self._recipes.clear()
        self._numbers.clear()

    def number(self, value: float) -> torch.Tensor:
        """``value`` in fp32, 0-d."""
        return self._numbers.get(value, lambda: torch.tensor(value, dtype=torch.float32, device=self._device))

    def recipe(self, style: Style) -> Recipe:
        sampler = self._sampler.of(style.sampler, style.eta)
        key = (style.height, style.width, style.steps, style.strength, style.seed, sampler)
        return self._recipes.get(key, lambda: self._make_recipe(style, sampler))

    def times(self, height: int, width: int, rows: int) -> torch.Tensor:
        """SDXL's micro-conditioning, rows x 6: the picture is whole, of the size that it is made in."""
        sizes = [height, width, 0, 0, height, width]

        def make() -> torch.Tensor:
            return torch.tensor([sizes] * rows, dtype=self._dtype, device=self._device)

        return self._numbers.get(("times", height, width, rows), make)

    def guidance_embedding(self, guidance: float, width: int) -> torch.Tensor:
        """The sine embedding of the guidance, as StableDiffusionPipeline.get_guidance_scale_embedding computes it."""

        def make() -> torch.Tensor:
            half = width // 2
            frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * -(np.log(10000.0) / (half - 1)))
            angles = (guidance - 1) * 1000.0 * frequencies
            embedding = torch.cat([angles.sin(), angles.cos()])
            return torch.nn.functional.pad(embedding, (0, width % 2))[None].to(self._device, self._dtype)

        return self._numbers.get(("guidance", guidance, width), make)

    def _make_recipe(self, style: Style, sampler: Sampler) -> Recipe:
        plan = self._schedule.plan(style.steps, style.strength, sampler)
        shape = (1, self._channels, style.height // self._scale, style.width // self._scale)
        generator = torch.Generator("cpu").manual_seed(style.seed)

        def draw(level: float) -> torch.Tensor:
            noise = torch.randn(shape, generator=generator) * level  # one draw after the other, as diffusers does it
            return noise.to(self._device, memory_format=torch.channels_last)

        def timestep(value: int) -> torch.Tensor:  # the same tensor again, as much is made of each
            return self._numbers.get(("timestep", value), lambda: torch.tensor(value, device=self._device))

        start = draw(plan.noise)
        noises = (*(draw(step.renoise) if step.renoise else None for step in plan.steps[:-1]), None)
        calls = tuple(
            Call(timestep(step.timestep), self.number(step.keep), self.number(step.use), noise)
            for step, noise in zip(plan.steps, noises, strict=True)
        )
        levels = tuple(self.number(step.signal) for step in plan.steps)
        # what is kept has all the noise of its level: of lcm that which is drawn, else the first, as DDIM would keep it
        full = sampler.name == "lcm"
        kept = (
            noise if full and noise is not None else start * (after.spread / plan.noise)
            for noise, after in zip(noises, plan.steps[1:], strict=False)
        )
        return Recipe(self.number(plan.signal) if plan.signal else None, start, calls, levels, (start, *kept))
