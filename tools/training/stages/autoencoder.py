"""Train the small autoencoder: pictures 256 x 256 to latents 4 x 32 x 32 and back. No bpy.

AutoencoderTiny of diffusers. It starts as a colour-preserving map instead of noise: three channels carry the picture
through box averages into the latents and back by nearest-neighbour upsampling, so that colours are right from the
first step and training only adds detail.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from tools.training.checkpoints import Course
from tools.training.dataset import Samples
from tools.training.optim import Average, Optimizer

CHANNELS = 64
LATENT_CHANNELS = 4
LATENT_GAIN = 4.0  # how far latents spread at the start: mean colour - 0.5, times this
CROP = 128


def new_autoencoder(channels: int = CHANNELS) -> AutoencoderTiny:
    """Return an AutoencoderTiny that starts as 8 x 8 mean colour in, nearest-neighbour upsampling out.

    ``channels``: its width; 48 take three fifths of the time of 64.
    """
    model = AutoencoderTiny(
        encoder_block_out_channels=(channels,) * 4,
        decoder_block_out_channels=(channels,) * 4,
        num_encoder_blocks=(0, 1, 1, 2),
        num_decoder_blocks=(3, 2, 2, 0),
        latent_channels=LATENT_CHANNELS,
        latent_magnitude=3,
        latent_shift=0.5,
        scaling_factor=1.0,
    )
    with torch.no_grad():
        for side in (model.encoder, model.decoder):
            convs = [layer for layer in side.layers if isinstance(layer, nn.Conv2d)]
            for conv in convs:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
                conv.weight.mul_(0.7)
                if conv.bias is not None:
                    conv.bias.zero_()
                conv.weight[:3] = 0
                if conv.stride == (2, 2):
                    for c in range(3):
                        conv.weight[c, c, 1:, 1:] = 0.25
                else:
                    for c in range(3):
                        conv.weight[c, c, 1, 1] = 1.0
            for layer in side.layers:
                if hasattr(layer, "conv"):
                    nn.init.zeros_(layer.conv[4].weight)
                    nn.init.zeros_(layer.conv[4].bias)
            if side is model.encoder:
                convs[-1].weight[:3] *= LATENT_GAIN
                convs[-1].bias[:3] = -0.5 * LATENT_GAIN  # type: ignore[index]
                convs[-1].weight[3] *= 0.5
            else:
                convs[0].weight[:3] /= LATENT_GAIN
                convs[0].bias[:3] = 0.5  # type: ignore[index]
    return model


def picture_loss(out: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of the colours and of the differences between neighbours, at three scales.

    out, target: (N, 3, H, W), -1..1.
    """
    loss = out.new_zeros(())
    error = (out - target).float()
    for weight in (1.0, 0.5, 0.5):
        dx, dy = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
        loss = loss + weight * (error.abs().mean() + 0.7 * (dx.abs().mean() + dy.abs().mean()))
        error = F.avg_pool2d(error, 2)
    return loss


def crops(samples: Samples, count: int, rng: np.random.Generator, size: int = CROP) -> torch.Tensor:
    """Return random crops (count, 3, size, size), -1..1: three finished pictures to one draft, half mirrored."""
    out = np.empty((count, size, size, 3), np.uint8)
    for k in range(count):
        source = samples.drafts if k % 4 == 3 else samples.finals
        n = rng.integers(len(samples))
        y, x = rng.integers(0, (source.shape[1] - size) // 8 + 1, 2) * 8
        crop = source[n, y : y + size, x : x + size]
        out[k] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return torch.from_numpy(out).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def psnr(model: AutoencoderTiny, pictures: NDArray[Any]) -> float:
    """Mean peak signal-to-noise ratio in dB of the reconstructions of uint8 (N, H, W, 3)."""
    total = []
    device = next(model.parameters()).device
    with torch.no_grad():
        for k in range(0, len(pictures), 8):
            x = torch.from_numpy(pictures[k : k + 8]).permute(0, 3, 1, 2).float().div(127.5).sub(1).to(device)
            with torch.autocast(device.type, torch.bfloat16):
                y = model(x).sample.float().clamp(-1, 1)
            total += (-10 * torch.log10(((x - y) / 2).square().mean((1, 2, 3)))).tolist()
    return float(np.mean(total))


def train_autoencoder(
    samples: Samples,
    kept: Samples,
    folder: Path,
    course: Course,
    device: str = "cpu",
    seed: int = 1,
    batch: int = 8,
    lr: float = 2e-3,
    channels: int = CHANNELS,
) -> AutoencoderTiny:
    """Train over `course` (resuming from `folder`) and return the averaged weights.

    `kept` are samples that are only looked at: their reconstruction error is reported with each checkpoint.
    """
    torch.manual_seed(seed)
    model = new_autoencoder(channels).to(device, memory_format=torch.channels_last)
    optimizer, average = Optimizer([model], lr), Average(model, 0.995)
    path = folder / "autoencoder.pt"
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "average": average.module}
    average.count = course.resume(path, **parts)
    if device == "cuda":
        model.encoder.compile()
        model.decoder.compile()

    def save() -> None:
        course.save(path, **parts)
        tqdm.write(f"step {course.done}: {psnr(average.module, kept.finals[:32]):.2f} dB on kept pictures")

    for step in course.run("autoencoder", save):
        rng = np.random.default_rng((seed, step))
        x = crops(samples, batch, rng).to(device, memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16):
            z = model.encoder(x)
            noisy = z + torch.randn_like(z) * (0.12 * torch.rand(len(z), 1, 1, 1, device=device))
            y = model.decoder(noisy)
        z = z.float()
        spread = z.mean((0, 2, 3)).square().mean() + (z.std((0, 2, 3)) - 1).square().mean()
        loss = picture_loss(y.float(), x) + 0.02 * spread
        loss.backward()
        optimizer.step(course.progress)
        average.update(model)
    return average.module
