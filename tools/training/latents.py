"""The data set as latents, encoded once: each sample whole and in crops, mirrored or not. No bpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from tools.training.dataset import Samples

CROPS = 4
SMALLEST_CROP = 0.68


@dataclass
class Latents:
    """latents: float32 (N, 4, 32, 32), unit spread. depths: uint8 (N, 256, 256). rows: the sample of each, (N,)."""

    latents: torch.Tensor
    depths: torch.Tensor
    rows: torch.Tensor


def encode(vae: AutoencoderTiny, pictures: NDArray[Any], batch: int = 16) -> torch.Tensor:
    """Return the latents, float32 (N, 4, H / 8, W / 8), of uint8 (N, H, W, 3), before any scaling."""
    device = next(vae.parameters()).device
    out = []
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        for k in range(0, len(pictures), batch):
            x = torch.from_numpy(np.ascontiguousarray(pictures[k : k + batch])).permute(0, 3, 1, 2).float()
            x = x.div(127.5).sub(1).to(device, memory_format=torch.channels_last)
            out.append(vae.encode(x).latents.float().cpu())
    return torch.cat(out)


def encode_samples(
    vae: AutoencoderTiny, samples: Samples, cache: Path, crops: int = CROPS, seed: int = 1
) -> tuple[Latents, float]:
    """Return the latents of ``samples`` and the factor that gave them unit spread; both kept in ``cache``."""
    if cache.exists():
        data = torch.load(cache, weights_only=True)
        return Latents(data["latents"], data["depths"], data["rows"]), data["scale"]
    rng = np.random.default_rng(seed)
    latents, depths, rows = [], [], []
    for start in tqdm(range(0, len(samples), 16), desc="encoding"):
        pictures, planes = [], []
        for row in range(start, min(start + 16, len(samples))):
            for picture, plane in variants(samples.finals[row], samples.depths[row], crops, rng):
                pictures.append(picture)
                planes.append(plane)
                rows.append(row)
        latents.append(encode(vae, np.stack(pictures)))
        depths.append(torch.from_numpy(np.stack(planes)))
    joined = torch.cat(latents)
    scale = float(1 / joined.std())
    result = Latents(joined * scale, torch.cat(depths), torch.tensor(rows))
    torch.save({"latents": result.latents, "depths": result.depths, "rows": result.rows, "scale": scale}, cache)
    return result, scale


def variants(
    picture: NDArray[Any], depth: NDArray[Any], crops: int, rng: np.random.Generator
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """The sample, its mirror image, and ``crops`` parts of it, the nearest surface of each part white again."""
    size = picture.shape[0]
    out = [(picture, depth), (picture[:, ::-1], depth[:, ::-1])]
    for _ in range(crops):
        side = int(size * rng.uniform(SMALLEST_CROP, 1))
        y, x = rng.integers(0, size - side + 1, 2)
        part, plane = picture[y : y + side, x : x + side], depth[y : y + side, x : x + side]
        part = np.asarray(Image.fromarray(part).resize((size, size), Image.Resampling.LANCZOS))
        plane = np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.NEAREST)).astype(np.float32)
        plane = np.clip(plane * (255 / max(plane.max(), 1)), 0, 255).astype(np.uint8)
        out.append((part[:, ::-1], plane[:, ::-1]) if rng.random() < 0.5 else (part, plane))
    return [(np.ascontiguousarray(a), np.ascontiguousarray(b)) for a, b in out]
