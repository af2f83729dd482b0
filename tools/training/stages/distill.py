"""Distil the trained model into its LCM-LoRA. torch, diffusers and peft.

Latent consistency distillation (arXiv 2310.04378) of a LoRA only (arXiv 2311.05556). The teacher is the model itself
with the LoRA off: one DDIM step over 100 of the 1000 timesteps, guidance by text and by depth folded in (a scale each,
as InstructPix2Pix has for text and picture, arXiv 2211.09800). The student must give the same
clean latent at both ends of that step. As in diffusers' script for LoRAs, the far end is the student's own, with no
gradient; the LoRA that is kept is a moving average.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import nn
from transformers import CLIPTokenizer

from tools.training.checkpoints import Course
from tools.training.latents import Latents
from tools.training.modules import TRAIN_STEPS, Modules, new_scheduler
from tools.training.optim import Average, Optimizer
from tools.training.stages.diffusion import draw_batch, predict, tokens_of

RANK = 24
GRID = 20  # the timesteps learnt: 50 of them, the scheduler's original_inference_steps
SKIP = 100  # timesteps to a teacher's step: the longer, the fewer training steps until 0 is felt at 999
GUIDANCE = 3.5  # by the text, as diffusers counts it: 1 is none
DEPTH_GUIDANCE = 2.0  # by the depth, counted alike; with 1 the edges of small solids blur
HUBER = 0.001
SIGMA_DATA, TIMESTEP_SCALING = 0.5, 10.0  # as LCMScheduler has them
FIRST_STEPS = 0.4  # the share of samples at the timesteps where 1 to 4 steps land, since those make the picture
LANDINGS = (999, 759, 499, 259)
LAYERS = (
    "to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2",
    "conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj",
)  # fmt: skip
LORA_FILE = "lcm-lora.safetensors"


def add_lora(modules: Modules, seed: int) -> nn.ParameterList:
    """Add an untrained LoRA to the UNet, in place, and return its weights; all other weights are frozen."""
    torch.manual_seed(seed)
    modules.all().requires_grad_(False)
    modules.unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(LAYERS)))
    return nn.ParameterList([p for p in modules.unet.parameters() if p.requires_grad])


def boundary(times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return c_skip and c_out, (N, 1, 1, 1), with which a consistency model keeps a latent at timestep 0."""
    scaled = times.clamp(min=0).float()[:, None, None, None] * TIMESTEP_SCALING
    return SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2), scaled / (scaled**2 + SIGMA_DATA**2).sqrt()


def draw_times(count: int, generator: torch.Generator) -> torch.Tensor:
    """Return `count` timesteps out of 19, 39, ... 999, those of few-step sampling more often."""
    anywhere = torch.randint(1, TRAIN_STEPS // GRID + 1, (count,), generator=generator) * GRID - 1
    landing = torch.tensor(LANDINGS)[torch.randint(len(LANDINGS), (count,), generator=generator)]
    return torch.where(torch.rand(count, generator=generator) < FIRST_STEPS, landing, anywhere)


def guided(without: torch.Tensor, with_depth: torch.Tensor, with_both: torch.Tensor) -> torch.Tensor:
    """Return the guided answer of three: to neither text nor depth, to depth only, to both. All of one shape."""
    return without + DEPTH_GUIDANCE * (with_depth - without) + GUIDANCE * (with_both - with_depth)


class Distiller:
    """The consistency loss of a batch."""

    def __init__(self, modules: Modules, tokenizer: CLIPTokenizer, device: str) -> None:
        self.modules, self.device = modules, device
        self.alphas = new_scheduler().alphas_cumprod.to(device)
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            self.no_text = modules.text_encoder(tokens_of(tokenizer, [""]).to(device))[0]

    def loss(
        self, latents: torch.Tensor, depth: torch.Tensor, tokens: torch.Tensor, kept: torch.Tensor,
        noise: torch.Tensor, times: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Return the pseudo-Huber distance of the student's two answers; arguments as from `draw_batch`."""
        unet = self.modules.unet
        signal, spread = self._levels(times)
        noisy = (signal * latents + spread * noise).contiguous(memory_format=torch.channels_last)
        # two autocast regions: weights that the first casts without a gradient must not be taken over by the second
        with torch.no_grad(), torch.autocast(self.device, torch.bfloat16):
            text = self.modules.text_encoder(tokens)[0]
            features = [f * kept[:, None, None, None] for f in self.modules.adapter(depth)]
            unet.disable_adapters()
            no_text = self.no_text.expand_as(text)
            depths = [torch.cat([torch.zeros_like(f), f, f]) for f in features]
            texts = torch.cat([no_text, no_text, text])
            out = predict(self.modules, noisy.repeat(3, 1, 1, 1), times.repeat(3), texts, depths)
            unet.enable_adapters()
            v = guided(*out.chunk(3))
            # DDIM, deterministic: the same clean latent and noise, at the noise level a step earlier
            clean, noise_left = signal * noisy - spread * v, spread * noisy + signal * v
            before = times - SKIP
            signal_before, spread_before = self._levels(before)
            earlier = signal_before * clean + spread_before * noise_left
            target = self._answer(earlier.contiguous(memory_format=torch.channels_last), before, text, features)
        with torch.autocast(self.device, torch.bfloat16):
            answer = self._answer(noisy, times, text, features)
        distance = ((answer - target).square() + HUBER**2).sqrt() - HUBER
        return distance.mean()

    def _answer(
        self, noisy: torch.Tensor, times: torch.Tensor, text: torch.Tensor, features: list[torch.Tensor]
    ) -> torch.Tensor:
        signal, spread = self._levels(times)
        skip, out = boundary(times)
        v = predict(self.modules, noisy, times.clamp(min=0), text, features)
        return skip * noisy + out * (signal * noisy - spread * v)

    def _levels(self, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        alpha = self.alphas[times.clamp(min=0)].masked_fill(times < 0, 1.0)[:, None, None, None]
        return alpha.sqrt(), (1 - alpha).sqrt()


def distill(
    modules: Modules, data: Latents, records: list[dict[str, Any]], tokenizer: CLIPTokenizer, folder: Path,
    course: Course, device: str = "cpu", seed: int = 3, batch: int = 16, lr: float = 2e-4,
) -> Path:  # fmt: skip
    """Train the LoRA of `modules` over `course`, resuming from `folder`, and return the file it is saved in."""
    weights = add_lora(modules, seed)
    modules.all().to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    optimizer, average = Optimizer([weights], lr, plain=("",)), Average(weights, 0.98)
    path = folder / "distill.pt"
    parts: dict[str, Any] = {"weights": weights, "optimizer": optimizer, "average": average.module}
    average.count = course.resume(path, **parts)
    distiller = Distiller(modules, tokenizer, device)
    for step in course.run("LCM-LoRA", lambda: course.save(path, **parts)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        drawn = draw_batch(data, records, tokenizer, batch, generator, 0.05)
        noise = torch.randn(drawn[0].shape, generator=generator)
        times = draw_times(batch, generator)
        loss = distiller.loss(*(each.to(device) for each in (*drawn, noise, times)))
        loss.backward()
        optimizer.step(course.progress)
        average.update(weights)
    return save_lora(modules, weights, cast(nn.ParameterList, average.module), folder)


def save_lora(modules: Modules, weights: nn.ParameterList, averaged: nn.ParameterList, folder: Path) -> Path:
    """Write the averaged LoRA, float16, in diffusers' form."""
    with torch.no_grad():
        for weight, mean in zip(weights, averaged, strict=True):
            weight.copy_(mean)
    layers = {k: v.half().contiguous() for k, v in get_peft_model_state_dict(modules.unet).items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=layers, weight_name=LORA_FILE)
    return folder / LORA_FILE
