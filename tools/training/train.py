"""Train the whole model, stage after stage, from rendered samples. torch, diffusers, transformers and peft; no bpy.

    python -m tools.training.train [--data DIR_OR_TAR ...] [--stage NAME ...]       so many steps of each stage
    python -m tools.training.train --data pack.tar --minutes 10 --out model         all of it in so much time

Each stage goes on from its checkpoint in --work, and is passed over when that has all its steps, or its time, already.
With --out the model is written there afterwards, with contact sheets and a table beside it in --work/sheets.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray

from tools.training.attributes import ATTRIBUTES
from tools.training.checkpoints import Course
from tools.training.dataset import Samples, is_for_training, load_cached
from tools.training.export import WORK, export, load_trained
from tools.training.latents import Latents, encode_samples
from tools.training.measures import frechet, structure
from tools.training.modules import new_tokenizer
from tools.training.parts import HEADS, caption_of
from tools.training.sheets import contact_sheets
from tools.training.stages.autoencoder import CHANNELS, train_autoencoder
from tools.training.stages.classifier import WEIGHTS, judge, load_classifier, train_classifier
from tools.training.stages.diffusion import train_diffusion
from tools.training.stages.distill import distill
from tools.training.stages.sampler import Sampler
from tools.training.stages.sharpen import sharpen_decoder

STAGES = ("autoencoder", "sharpen", "diffusion", "distill", "classifier")
STEPS = {"autoencoder": 4000, "sharpen": 800, "diffusion": 4000, "distill": 1200}
SHARES = {"autoencoder": 0.20, "sharpen": 0.07, "diffusion": 0.42, "distill": 0.14, "classifier": 0.06}
"""Of the time; what is left is for reading, encoding, and the sheets."""
BATCHES = {"autoencoder": 8, "sharpen": 8, "diffusion": 32, "distill": 16, "classifier": 32}
ON_GPU = 4  # times as large a batch there
SHOWN = 32  # kept samples on the sheets


def train(
    samples: Samples, work: Path, courses: Mapping[str, Course], device: str,
    channels: int = CHANNELS, crops: int = 4, times: float = 1.0,
) -> None:  # fmt: skip
    """Run the stages of ``courses`` on those of `samples` that may be trained on.

    ``channels``: the autoencoder's width. ``crops``: of each picture, beside itself and its mirror image.
    ``times``: as large as `BATCHES` the batches are.
    """
    training, kept = split(samples)
    many: dict[str, Any] = {
        stage: {"device": device, "batch": max(1, round(times * size))} for stage, size in BATCHES.items()
    }

    def latents() -> Latents:
        vae = AutoencoderTiny.from_pretrained(work / "vae").eval().to(device, memory_format=torch.channels_last)
        return encode_samples(vae, training, work / "latents.pt", crops)[0]

    if course := courses.get("autoencoder"):
        vae = train_autoencoder(training, kept, work, course, channels=channels, **many["autoencoder"])
        vae.cpu().save_pretrained(work / "vae")
    if course := courses.get("sharpen"):
        vae = AutoencoderTiny.from_pretrained(work / "vae")
        sharpen_decoder(vae, training, kept, work, course, **many["sharpen"]).cpu().save_pretrained(work / "vae")
    if course := courses.get("diffusion"):
        tokenizer = new_tokenizer(work / "tokenizer")
        train_diffusion(latents(), training.records, tokenizer, work, course, **many["diffusion"])
    if course := courses.get("distill"):
        tokenizer, modules = new_tokenizer(work / "tokenizer"), load_trained(work)
        distill(modules, latents(), training.records, tokenizer, work, course, **many["distill"])
    if course := courses.get("classifier"):
        parted = any("parts" in record for record in samples.records)
        path = work / WEIGHTS.name if parted else WEIGHTS
        train_classifier(training, path, course, heads=HEADS if parted else ATTRIBUTES, **many["classifier"])


def split(samples: Samples) -> tuple[Samples, Samples]:
    """Return the samples that may be trained on, and the others."""
    rows = [i for i, record in enumerate(samples.records) if is_for_training(record)]
    return samples.subset(rows), samples.subset(sorted(set(range(len(samples))) - set(rows)))


def look(kept: Samples, model: Path, work: Path, device: str) -> dict[str, float]:
    """Draw ``kept`` with the exported ``model``, write contact sheets, and return what was measured, by name."""
    kept = kept.subset(range(min(SHOWN, len(kept))))
    captions = [caption_of(record, random.Random(row)) for row, record in enumerate(kept.records)]
    made = Sampler(model, device).pictures(captions, kept.depths, steps=4)
    columns = {"draft": kept.drafts, "depth": np.repeat(kept.depths[..., None], 3, 3)}
    contact_sheets(work / "sheets", "kept", columns | {"4 steps": made, "real": kept.finals}, captions)
    told = {"structure, relative to real": structure(made, kept.depths) / structure(kept.finals, kept.depths)}
    told["sharpness, relative to real"] = sharpness(made) / sharpness(kept.finals)
    if (path := work / WEIGHTS.name).exists():
        judging = load_classifier(path)
        labels = kept.labels(HEADS)
        (guesses, features), (real, real_features) = judge(judging, made), judge(judging, kept.finals)
        told["Fréchet distance"] = frechet(features, real_features)
        for j, head in enumerate(HEADS):
            has = labels[:, j] >= 0
            if has.any():
                told[f"{head}, made"] = float((guesses[has, j] == labels[has, j]).mean())
                told[f"{head}, real"] = float((real[has, j] == labels[has, j]).mean())
    return told


def sharpness(pictures: NDArray[Any]) -> float:
    """Return the mean difference of neighbours' greys in pictures (N, H, W, 3)."""
    grey = pictures.astype(np.float32).mean(3)
    return float(np.abs(np.diff(grey, axis=1)).mean() + np.abs(np.diff(grey, axis=2)).mean())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Train the embedded model from rendered samples.")
    parser.add_argument("--data", nargs="+", default=[str(WORK / "data")], help="folders of samples, or tar shards")
    parser.add_argument("--work", type=Path, default=WORK, help="where checkpoints are kept")
    parser.add_argument("--out", type=Path, help="write the model there, and look at it")
    parser.add_argument("--stage", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--minutes", type=float, help="train for so long in all, in place of steps")
    parser.add_argument("--width", type=int, default=CHANNELS, help=f"of the autoencoder ({CHANNELS}; 48 is faster)")
    parser.add_argument("--crops", type=int, default=4, help="parts of each picture that are trained on, too (4)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batches", type=float, metavar="TIMES", help=f"as large (1; {ON_GPU} on CUDA)")
    parser.add_argument("--threads", type=int, help="CPU threads, all cores when left out")
    for stage, count in STEPS.items():
        words = f"steps of that stage, {count} when left out"
        parser.add_argument(f"--{stage}-steps", type=int, default=count, help=words)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    begun = time.monotonic()
    samples = load_cached(given.data, given.work / "samples.npz")
    courses: dict[str, Course] = {}
    for stage in given.stage:
        if given.minutes:
            courses[stage] = Course(seconds=given.minutes * 60 * SHARES[stage])
        elif stage in STEPS:
            courses[stage] = Course(steps=getattr(given, f"{stage}_steps"))
        else:
            courses[stage] = Course(steps=max(1, 40 * len(samples) // BATCHES[stage]))
    times = given.batches or (ON_GPU if given.device == "cuda" else 1)
    train(samples, given.work, courses, given.device, given.width, given.crops, times)
    if given.out:
        size = export(given.work, given.out)
        told = look(split(samples)[1], given.out, given.work, given.device)
        told = {name: value for name, value in told.items() if np.isfinite(value)}  # few samples say little
        told |= {"MiB": size / 2**20, "seconds": time.monotonic() - begun}
        (given.work / "sheets" / "measured.json").write_text(json.dumps(told, indent=1) + "\n")
        print("\n".join(f"{name}: {value:.3f}" for name, value in told.items()))


if __name__ == "__main__":
    main()
