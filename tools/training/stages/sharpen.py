"""Sharpen the autoencoder's decoder against a small discriminator. No bpy.

Absolute errors alone make the decoder paint the median of what a latent may mean, which blurs brick courses, leaves
and the edges of small solids. As in VQGAN (arXiv 2012.09841) a patch discriminator learns to tell reconstructions from
pictures; at the decoder's last layer its gradient is held to a share of the picture loss's. The encoder stays as it is,
so latents that were encoded before, and what was trained on them, stay valid.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from tqdm import tqdm

from tools.training.checkpoints import Course
from tools.training.dataset import Samples
from tools.training.optim import Average
from tools.training.stages.autoencoder import crops, picture_loss, psnr

SHARE = 0.35  # of the picture loss's gradient at the last layer that the discriminator's is scaled to
FIRST = 40  # steps in which only the discriminator learns
LATENT_NOISE = 0.12  # as the autoencoder was trained with: generated latents are not exact


def new_discriminator() -> nn.Sequential:
    """Return a discriminator of pictures (N, 3, H, W), -1..1: a logit for each of H/8 x W/8 overlapping patches."""
    layers: list[nn.Module] = []
    widths = (3, 32, 64, 128)
    for before, after in pairwise(widths):
        layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 3, 1, 1)))


def balance(picture: torch.Tensor, adversarial: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the factor that gives the adversarial loss ``SHARE`` of the picture loss's gradient by ``weight``."""
    by_picture = torch.autograd.grad(picture, weight, retain_graph=True)[0].norm()
    by_critic = torch.autograd.grad(adversarial, weight, retain_graph=True)[0].norm()
    return (SHARE * by_picture / (by_critic + 1e-6)).clamp(max=1.0).detach()


def sharpen_decoder(
    model: AutoencoderTiny, samples: Samples, kept: Samples, folder: Path, course: Course,
    device: str = "cpu", seed: int = 5, batch: int = 8, lr: float = 2e-4,
) -> AutoencoderTiny:  # fmt: skip
    """Train the decoder of ``model`` over ``course``, resuming from ``folder``; return it with averaged weights."""
    torch.manual_seed(seed)
    model.to(device, memory_format=torch.channels_last).requires_grad_(False)
    decoder, critic = model.decoder.requires_grad_(True), new_discriminator().to(device)
    average = Average(decoder, 0.99)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr, betas=(0.5, 0.99), weight_decay=0.0)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), 2 * lr, betas=(0.5, 0.99), weight_decay=0.0)
    last = decoder.layers[-1].weight
    parts: dict[str, Any] = {
        "decoder": decoder, "critic": critic, "average": average.module,
        "optimizer": optimizer, "critic_optimizer": critic_optimizer,
    }  # fmt: skip
    path = folder / "sharpen.pt"
    average.count = course.resume(path, **parts)
    for step in course.run("decoder", lambda: course.save(path, **parts)):
        for group, rate in ((optimizer.param_groups[0], lr), (critic_optimizer.param_groups[0], 2 * lr)):
            group["lr"] = rate * (0.1 + 0.9 * (1 - course.progress))
        x = crops(samples, batch, np.random.default_rng((seed, step))).to(device, memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16):
            with torch.no_grad():
                z = model.encoder(x)
                z = z + torch.randn_like(z) * (LATENT_NOISE * torch.rand(len(z), 1, 1, 1, device=device))
            y = model.decoder(z).float()
            real, made = critic(x).float(), critic(y.detach()).float()
        critic_loss = F.relu(1 - real).mean() + F.relu(1 + made).mean()
        critic_optimizer.zero_grad(set_to_none=True)
        critic_loss.backward()
        critic_optimizer.step()
        picture = picture_loss(y, x)
        loss = picture
        if step >= FIRST:
            with torch.autocast(device, torch.bfloat16):
                adversarial = -critic(y).float().mean()
            loss = picture + balance(picture, adversarial, last) * adversarial
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        average.update(decoder)
    model.decoder.load_state_dict(average.module.state_dict())
    tqdm.write(f"decoder: {psnr(model, kept.finals[:32]):.2f} dB on kept pictures")
    return model
