"""Measure the exported model on scenes it never saw, print the table and draw contact sheets. No bpy.

    python -m tools.training.evaluate [--data DIR_OR_TAR ...] [--model DIR] [--samples N] [--sheets DIR]

Samples of training scenes are left out, unless --all says that none of the given samples was trained on.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tools.training.attributes import HELD_OUT
from tools.training.captions import plain
from tools.training.dataset import Samples, is_for_training, load_samples
from tools.training.export import OUT, WORK
from tools.training.measures import accuracies, frechet, structure
from tools.training.sheets import contact_sheets
from tools.training.stages.classifier import Classifier, judge, load_classifier
from tools.training.stages.sampler import Sampler
from tools.training.stages.speed import frame_milliseconds

BARS = {"buildings": 0.7, "ground": 0.85, "sky": 0.9, "medium": 0.9}
HELD_OUT_SHARE = 0.85


@dataclass(frozen=True)
class Row:
    """A line of the table: what, its figure, its bar, and whether the figure must not be above it or below it."""

    what: str
    figure: float
    bar: float | None = None
    most: bool = False
    note: str = ""

    def __str__(self) -> str:
        bar = "-" if self.bar is None else f"{'<=' if self.most else '>='} {self.bar:.2f}"
        holds = self.bar is None or (self.figure <= self.bar if self.most else self.figure >= self.bar)
        verdict = "" if self.bar is None else "yes" if holds else "NO"
        return f"| {self.what} | {self.figure:.3f} | {bar} | {verdict} | {self.note} |"


def attribute_rows(
    title: str, guesses: NDArray[Any], labels: NDArray[Any], real: dict[str, float], share: float, note: str = ""
) -> list[Row]:
    """Return the relative accuracy of each attribute, beside the classifier's own on real pictures."""
    mine = accuracies(guesses, labels)
    return [
        Row(f"{title}: {name}", mine[name] / max(real[name], 1e-9), BARS[name] * share,
            note=f"{mine[name]:.3f} against {real[name]:.3f} on real{note}")
        for name in BARS
    ]  # fmt: skip


def held_out_records(count: int) -> list[dict[str, Any]]:
    """Return `count` records that go through the held-out pairs, in plain renders."""
    rng = random.Random(0)
    pairs = sorted(HELD_OUT)
    skies = ("noon", "sunset", "overcast", "night", "dawn")
    chosen = [pairs[k % len(pairs)] for k in range(count)]
    return [{"buildings": b, "ground": g, "sky": rng.choice(skies), "medium": "render"} for b, g in chosen]


def evaluate(samples: Samples, folder: Path, classifier: Classifier, sheets: Path) -> list[Row]:
    """Return the table's rows for the model in `folder`, and write contact sheets into `sheets`."""
    sampler = Sampler(folder)
    captions, depths, labels = [plain(r) for r in samples.records], samples.depths, samples.labels()
    ways = {
        "1": {"steps": 1}, "2": {"steps": 2}, "4": {"steps": 4}, "8": {"steps": 8},
        "base 25": {"steps": 25, "lora": False, "ddim": True}, "base 4": {"steps": 4, "lora": False},
        "base 4 ddim": {"steps": 4, "lora": False, "ddim": True},
    }  # fmt: skip
    made = {way: sampler.pictures(captions, depths, **how) for way, how in tqdm(ways.items(), desc="sampling")}
    judged = {way: judge(classifier, pictures) for way, pictures in made.items()}
    real_guesses, real_features = judge(classifier, samples.finals)
    real = accuracies(real_guesses, labels)
    rows = attribute_rows("4 steps", judged["4"][0], labels, real, 1.0)

    unseen = Samples(samples.drafts, depths, samples.finals, held_out_records(len(samples)))
    unseen_made = sampler.pictures([plain(r) for r in unseen.records], depths, steps=4, seed=7)
    unseen_guesses, _ = judge(classifier, unseen_made)
    rows += attribute_rows("held-out pairs", unseen_guesses, unseen.labels(), real, HELD_OUT_SHARE, ", all pairs")

    edges, real_edges = structure(made["4"], depths), structure(samples.finals, depths)
    rows.append(
        Row("structure at 4 steps", edges / real_edges, 0.9, note=f"{edges:.3f} against {real_edges:.3f} on real")
    )
    distance = {way: frechet(features, real_features) for way, (_, features) in judged.items()}
    noted = "Fréchet distances " + ", ".join(f"{way}: {value:.2f}" for way, value in distance.items())
    rows.append(Row("4 steps / base at 25 DDIM steps", distance["4"] / distance["base 25"], 1.25, True, noted))
    rows.append(
        Row("base at 4 steps without LoRA / with", distance["base 4"] / distance["4"], 2.0, note="both sampled as LCM")
    )
    rows.append(Row("base at 4 DDIM steps / LCM-LoRA at 4", distance["base 4 ddim"] / distance["4"]))
    rows.append(Row("2 steps / 4 steps", distance["2"] / distance["4"], 1.3, True))
    base = accuracies(judged["base 25"][0], labels)
    rows += [Row(f"base at 25 DDIM steps: {name}", base[name] / max(real[name], 1e-9)) for name in BARS]
    median = frame_milliseconds(folder, samples.drafts[0], samples.depths[0], plain(samples.records[0]))
    rows.append(Row("engine, 256 x 256, 2 steps, this machine's CPU", 1000 / median, note=f"frames/s, {median:.0f} ms"))

    columns = {"draft": samples.drafts, "depth": np.repeat(depths[..., None], 3, 3)}
    columns |= {f"{steps} steps": made[steps] for steps in ("1", "2", "4", "8")}
    columns |= {"base 25": made["base 25"], "real": samples.finals}
    contact_sheets(sheets, "seen", columns, captions)
    contact_sheets(
        sheets, "held-out", {"depth": columns["depth"], "4 steps": unseen_made}, [plain(r) for r in unseen.records]
    )
    return rows


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure the embedded model and draw contact sheets.")
    parser.add_argument("--data", nargs="+", default=[str(WORK / "data")], help="folders of samples, or tar shards")
    parser.add_argument("--model", type=Path, default=OUT, help="a diffusers folder")
    parser.add_argument("--samples", type=int, help="use no more than so many")
    parser.add_argument("--all", action="store_true", help="use every sample given, not only those kept for judging")
    parser.add_argument("--sheets", type=Path, default=WORK / "sheets", help="where contact sheets go")
    arguments = parser.parse_args()
    samples = load_samples(arguments.data)
    keep = [i for i, r in enumerate(samples.records) if arguments.all or not is_for_training(r)]
    if not keep:
        raise SystemExit("every sample given may have been trained on: give others, or say --all")
    samples = samples.subset(keep[: arguments.samples])
    rows = evaluate(samples, arguments.model, load_classifier(), arguments.sheets)
    print(f"{len(samples)} samples\n\n| measure | figure | bar | holds | |\n|---|---|---|---|---|")
    print("\n".join(map(str, rows)))


if __name__ == "__main__":
    main()
