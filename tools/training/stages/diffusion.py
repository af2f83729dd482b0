"""Train the UNet, the depth adapter and the text encoder together on latents. No bpy.

v-prediction with min-SNR weights (arXiv 2303.09556). Captions are composed anew for each sample at each step;
one in ten is dropped, for classifier-free guidance, and so is one depth in ten.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPTokenizer

from tools.training.checkpoints import Course
from tools.training.latents import Latents
from tools.training.modules import LATENT_SIDE, TRAIN_STEPS, Modules, depth_planes, new_modules, new_scheduler
from tools.training.optim import Average, Optimizer
from tools.training.parts import caption_of

MIN_SNR = 5.0
CAPTION_DROPPED, DEPTH_DROPPED = 0.1, 0.1
WINDOWS = ((1, 1), (1, 1), (1, 1), (0.5, 1), (1, 0.5), (0.75, 0.75), (0.5, 0.5))
"""Height and width of what a batch sees of pictures above 256 a side: other sizes and aspects than the whole."""


def tokens_of(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Return the token ids, int64 (N, 77), as diffusers' pipelines make them."""
    options = {"padding": "max_length", "max_length": tokenizer.model_max_length, "truncation": True}
    return tokenizer(captions, return_tensors="pt", **options).input_ids


def draw_batch(
    data: Latents,
    records: list[dict[str, Any]],
    tokenizer: CLIPTokenizer,
    count: int,
    generator: torch.Generator,
    dropped: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return latents (N, 4, h, w), depth planes (N, 3, 8 h, 8 w), tokens (N, 77) and kept depths (N,), 0 or 1.

    Of pictures above 256 a side a window is taken, the same for the batch: one of `WINDOWS`, at a place by chance.
    """
    rows = torch.randint(len(data.latents), (count,), generator=generator)
    rng = random.Random(int(torch.randint(2**31, (1,), generator=generator)))
    captions = ["" if rng.random() < dropped else caption_of(records[int(data.rows[row])], rng) for row in rows]
    kept = torch.rand(count, generator=generator).ge(DEPTH_DROPPED).float()
    latents, depths = window(data.latents[rows], data.depths[rows], generator)
    return latents, depth_planes(depths), tokens_of(tokenizer, captions), kept


def window(
    latents: torch.Tensor, depths: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a part of latents (N, 4, H, W) and depths uint8 (N, 8 H, 8 W), its nearest surface white again."""
    side = latents.shape[-1]
    if side <= LATENT_SIDE:
        return latents, depths
    high, wide = WINDOWS[int(torch.randint(len(WINDOWS), (1,), generator=generator))]
    high, wide = int(high * side), int(wide * side)
    y, x = (int(torch.randint(side - each + 1, (1,), generator=generator)) for each in (high, wide))
    part = depths[:, 8 * y : 8 * (y + high), 8 * x : 8 * (x + wide)].float()
    part = part * (255 / part.amax((1, 2), keepdim=True).clamp(min=1))
    return latents[:, :, y : y + high, x : x + wide], part.to(torch.uint8)


def predict(
    modules: Modules, noisy: torch.Tensor, times: torch.Tensor, text: torch.Tensor, features: list[torch.Tensor]
) -> torch.Tensor:
    """Return the UNet's v (N, 4, 32, 32), float32. ``text``: (N, 77, 192). ``features``: of three levels."""
    out = modules.unet(noisy, times, encoder_hidden_states=text, down_intrablock_additional_residuals=list(features))
    return out.sample.float()


def train_diffusion(
    data: Latents, records: list[dict[str, Any]], tokenizer: CLIPTokenizer, folder: Path, course: Course,
    device: str = "cpu", seed: int = 2, batch: int = 32, lr: float = 1.5e-3,
) -> Modules:  # fmt: skip
    """Train over ``course``, resuming from ``folder``, and return the averaged weights."""
    torch.manual_seed(seed)
    modules = new_modules(tokenizer)
    every = modules.all().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer, average = (
        Optimizer([every], lr, plain=("embedding", "conv_in", "conv_out", "time_")),
        Average(every, 0.99),
    )
    path = folder / "diffusion.pt"
    parts: dict[str, Any] = {"model": every, "optimizer": optimizer, "average": average.module}
    average.count = course.resume(path, **parts)
    if device == "cuda":
        modules.unet.compile()
        modules.adapter.compile()
    alphas = new_scheduler().alphas_cumprod.to(device)
    for step in course.run("diffusion", lambda: course.save(path, **parts)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        latents, depth, tokens, kept = draw_batch(data, records, tokenizer, batch, generator, CAPTION_DROPPED)
        noise = torch.randn(latents.shape, generator=generator)
        times = torch.randint(TRAIN_STEPS, (batch,), generator=generator).to(device)
        latents, depth, tokens, kept, noise = (each.to(device) for each in (latents, depth, tokens, kept, noise))
        alpha = alphas[times][:, None, None, None]
        noisy = (alpha.sqrt() * latents + (1 - alpha).sqrt() * noise).contiguous(memory_format=torch.channels_last)
        target = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        with torch.autocast(device, torch.bfloat16):
            text = modules.text_encoder(tokens)[0]
            features = [feature * kept[:, None, None, None] for feature in modules.adapter(depth)]
            v = predict(modules, noisy, times, text, features)
        snr = (alpha / (1 - alpha))[:, 0, 0, 0]
        weight = snr.clamp(max=MIN_SNR) / (snr + 1)
        weight = torch.where(snr < 0.02, torch.full_like(weight, 0.3), weight.clamp(min=0.3))  # the first steps decide
        loss = ((v - target).square().mean((1, 2, 3)) * weight).mean()
        loss.backward()
        optimizer.step(course.progress)
        average.update(every)
    averaged = average.module
    return Modules(averaged["unet"], averaged["adapter"], averaged["text_encoder"])  # type: ignore[index]
