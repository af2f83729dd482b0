"""The numbers of the denoising loop, computed once per (steps, strength). torch and diffusers' configs, no models.

A latent consistency model (arXiv 2310.04378) maps a noisy latent straight to a clean one, adds less noise, and
repeats. Trajectory consistency distillation (arXiv 2402.19159) goes to a less noisy one instead, of which eta says how
much of the noise is drawn anew; at 0 it is DDIM. Everything in one step is linear in the latent and in the UNet's
output, so that each step boils down to three numbers; see :class:`Step`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import LCMScheduler

from ..errors import EngineError
from ..spec import LCM, Sampler

SIGMA_DATA = 0.5
"""The spread of the data in the boundary scalings, as diffusers' LCMScheduler has it."""

PREDICTIONS = ("epsilon", "v_prediction", "sample")
OTHER_NOISE = ("EDM", "FlowMatch")
"""How schedulers are named whose models were trained on another scale of noise; their configs have no betas."""


@dataclass(frozen=True)
class Step:
    """One UNet call at ``timestep``: ``next = keep * latent + use * output + renoise * noise``.

    ``renoise`` is 0 at the last step, which adds no noise. ``signal``, ``spread``: how much of a clean latent and of
    noise the noisy one before the call has.
    """

    timestep: int
    keep: float
    use: float
    renoise: float
    signal: float
    spread: float


@dataclass(frozen=True)
class Plan:
    """All steps of a picture, and its start: ``signal * encoded draft + noise * noise``. ``signal`` 0: no draft."""

    signal: float
    noise: float
    steps: tuple[Step, ...]


class Schedule:
    """The noise schedule of a model, from the config in its ``scheduler`` folder, whichever scheduler wrote it.

    ``clip_sample`` in it is left aside, as diffusers' own Stable Diffusion pipelines do: latents are not pixels.
    """

    def __init__(self, config: dict[str, object], source: str | Path = "scheduler") -> None:
        kind = str(config.get("_class_name", ""))
        if kind.startswith(OTHER_NOISE) or config.get("timestep_type") == "continuous" or config.get("use_flow_sigmas"):
            raise EngineError(
                f"the scheduler config of {source} is of {kind or 'a model'} on another scale of noise, as EDM, CosXL "
                "and flow matching models are, which LCM cannot sample: take a checkpoint of plain SD1.5 or SDXL"
            )
        try:
            scheduler = LCMScheduler.from_config(config)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise EngineError(f"the scheduler config of {source} cannot be used: {error}") from None
        self.config = scheduler.config
        self.prediction = self.config.prediction_type
        if self.prediction not in PREDICTIONS:
            raise EngineError(
                f"the scheduler config of {source} asks for prediction_type {self.prediction!r}, "
                f"but only {', '.join(PREDICTIONS)} can be used"
            )
        if self.config.thresholding:
            raise EngineError(f"the scheduler config of {source} asks for thresholding, which does not suit latents")
        self.train_steps: int = self.config.num_train_timesteps
        self.alphas_cumprod = scheduler.alphas_cumprod.to(torch.float64).numpy()
        if self.prediction == "epsilon" and self.alphas_cumprod[-1] <= 0:
            raise EngineError(
                f"the scheduler config of {source} pairs epsilon prediction with zero terminal SNR, where nothing can "
                "be predicted: its prediction_type should be v_prediction, or rescale_betas_zero_snr false"
            )

    def timesteps(self, steps: int, strength: float) -> list[int]:
        """The timesteps of ``steps`` UNet calls, highest first.

        They are those of ``LCMScheduler.set_timesteps(steps, strength=strength, original_inference_steps=n)``,
        spread over the first ``strength`` of the n timesteps that the model was distilled at. n is the config's
        own, 50 as a rule; where so many steps do not fit into that part, n is the next divisor of the number of
        training steps that is large enough. Below ``steps / 1000`` of strength timesteps repeat.
        """
        wanted: int = min(self.config.original_inference_steps, self.train_steps)
        denser = [n for n in range(wanted + 1, self.train_steps + 1) if self.train_steps % n == 0]
        count = next((n for n in (wanted, *denser) if int(n * strength) >= steps), self.train_steps)
        spacing = self.train_steps // count
        origin = [k * spacing - 1 for k in range(max(1, int(count * strength)), 0, -1)]
        indices = np.floor(np.linspace(0, len(origin), num=steps, endpoint=False)).astype(int)
        return [origin[index] for index in indices]

    def plan(self, steps: int, strength: float, sampler: Sampler = LCM) -> Plan:
        """The coefficients of a picture with ``steps`` UNet calls (1 or more) at ``strength`` (above 0, up to 1).

        At strength 1 the start is noise alone, as in text to image; below, it is the draft with the noise that
        belongs to the first timestep, as in image to image.
        """
        timesteps = self.timesteps(steps, strength)
        signal, noise = self._levels(timesteps[0])
        following: list[int | None] = [*timesteps[1:], None]
        step = self._step if sampler.name == "lcm" else partial(self._tcd_step, sampler.eta)
        made = tuple(step(now, after) for now, after in zip(timesteps, following, strict=True))
        return Plan(0.0, 1.0, made) if strength >= 1 else Plan(signal, noise, made)

    def _levels(self, timestep: int) -> tuple[float, float]:
        alpha = float(self.alphas_cumprod[timestep])
        return alpha**0.5, (1 - alpha) ** 0.5

    def _clean(self, timestep: int) -> tuple[float, float]:
        """How the clean latent follows from the noisy one and the output: what of each it is."""
        signal, noise = self._levels(timestep)
        return {
            "epsilon": (1 / signal, -noise / signal) if signal else (0.0, 0.0),
            "v_prediction": (signal, -noise),
            "sample": (0.0, 1.0),
        }[self.prediction]

    def _tcd_step(self, eta: float, timestep: int, after: int | None) -> Step:
        """As diffusers' TCDScheduler has it, which ends at timestep 0."""
        (signal, noise), (clean_keep, clean_use) = self._levels(timestep), self._clean(timestep)
        # what of the noisy latent is noise
        noise_keep, noise_use = (1 - signal * clean_keep) / noise, -signal * clean_use / noise
        following = 0 if after is None else after
        low_signal, low_noise = self._levels(math.floor((1 - eta) * following))
        keep = low_signal * clean_keep + low_noise * noise_keep
        use = low_signal * clean_use + low_noise * noise_use
        if after is None or eta == 0:
            return Step(timestep, keep, use, 0.0, signal, noise)
        share = self._levels(after)[0] / low_signal
        return Step(timestep, share * keep, share * use, max(0.0, 1 - share**2) ** 0.5, signal, noise)

    def _step(self, timestep: int, after: int | None) -> Step:
        (signal, noise), (clean_keep, clean_use) = self._levels(timestep), self._clean(timestep)
        # boundary condition of a consistency model: at timestep 0 the latent itself is the answer
        scaled = timestep * self.config.timestep_scaling
        skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        out = scaled / (scaled**2 + SIGMA_DATA**2) ** 0.5
        next_signal, renoise = self._levels(after) if after is not None else (1.0, 0.0)
        keep, use = next_signal * (out * clean_keep + skip), next_signal * out * clean_use
        return Step(timestep, keep, use, renoise, signal, noise)
