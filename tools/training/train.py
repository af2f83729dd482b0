"""Train the whole model, stage after stage, from rendered samples. torch, diffusers, transformers and peft; no bpy.

    python -m tools.training.train [--data DIR_OR_TAR ...] [--stage NAME ...]

Each stage goes on from its checkpoint in --work, and is passed over when that has all its steps already.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderTiny

from tools.training.dataset import Samples, is_for_training, load_cached
from tools.training.export import WORK, load_trained
from tools.training.latents import Latents, encode_samples
from tools.training.modules import new_tokenizer
from tools.training.stages.autoencoder import train_autoencoder
from tools.training.stages.classifier import WEIGHTS, train_classifier
from tools.training.stages.diffusion import train_diffusion
from tools.training.stages.distill import distill
from tools.training.stages.sharpen import sharpen_decoder

STAGES = ("autoencoder", "sharpen", "diffusion", "distill", "classifier")
STEPS = {"autoencoder": 4000, "sharpen": 800, "diffusion": 4000, "distill": 1200}


def latents_of(samples: Samples, work: Path) -> Latents:
    """Return the samples' latents, encoded with the autoencoder in `work` the first time."""
    vae = AutoencoderTiny.from_pretrained(work / "vae").eval().to(memory_format=torch.channels_last)
    return encode_samples(vae, samples, work / "latents.pt")[0]


def train(samples: Samples, work: Path, stages: tuple[str, ...], steps: dict[str, int], device: str) -> None:
    """Run the stages named, in order, on those of `samples` that may be trained on."""
    rows = [i for i, record in enumerate(samples.records) if is_for_training(record)]
    kept = samples.subset(sorted(set(range(len(samples))) - set(rows)))
    training = samples.subset(rows)
    if "autoencoder" in stages:
        vae = train_autoencoder(training, kept, work, steps["autoencoder"], device)
        vae.save_pretrained(work / "vae")
    if "sharpen" in stages:
        vae = AutoencoderTiny.from_pretrained(work / "vae")
        sharpen_decoder(vae, training, kept, work, steps["sharpen"], device).save_pretrained(work / "vae")
    if "diffusion" in stages:
        tokenizer = new_tokenizer(work / "tokenizer")
        train_diffusion(latents_of(training, work), training.records, tokenizer, work, steps["diffusion"], device)
    if "distill" in stages:
        tokenizer, modules = new_tokenizer(work / "tokenizer"), load_trained(work)
        distill(modules, latents_of(training, work), training.records, tokenizer, work, steps["distill"], device)
    if "classifier" in stages:
        train_classifier(training, WEIGHTS, device=device)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Train the embedded model from rendered samples.")
    parser.add_argument("--data", nargs="+", default=[str(WORK / "data")], help="folders of samples, or tar shards")
    parser.add_argument("--work", type=Path, default=WORK, help="where checkpoints are kept")
    parser.add_argument("--stage", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads, all cores when left out")
    for stage, count in STEPS.items():
        parser.add_argument(
            f"--{stage}-steps", type=int, default=count, help=f"steps of that stage, {count} when left out"
        )
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    samples = load_cached(arguments.data, arguments.work / "samples.npz")
    steps = {stage: getattr(arguments, f"{stage}_steps") for stage in STEPS}
    train(samples, arguments.work, tuple(arguments.stage), steps, arguments.device)


if __name__ == "__main__":
    main()
