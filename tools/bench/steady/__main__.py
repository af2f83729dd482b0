"""``python -m tools.bench.steady``: fixed seed, blended and steady pictures along camera paths. torch and bpy."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from addon.blender.capture.draft import Draft
from addon.live.requests import build_request
from addon.wire import Control, Style
from server.engine import ModelSpec, StableDiffusionLcm
from tools.training.stages.classifier import judge, load_classifier

from .measures import Picture, View, drift, error, ghost, sharpness, strangeness, warped
from .paths import PATHS, drafts
from .report import Figures, animation, plot, table

ROOT = Path(__file__).resolve().parents[3]
CASTLE = ROOT / "docs" / "demo" / "castle_town.blend"
EMBEDDED = ROOT / "server" / "models" / "embedded"
MOST_BYTES = 3 * 2**20 - 1
BLEND = 0.85
"""How much of the last picture the blended arm takes."""
SEEDS, VIEWS = 3, 3
"""Fresh pictures of each of the last views, by as many seeds: from one to the next, drift differs by a third."""
CARRIED = 20
"""Frames over which a fresh picture is moved, exactly and once, to see what drift of the classifier's that alone is."""


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tools.bench.steady", description=__doc__)
    add = parser.add_argument
    add("--scene", type=Path, default=CASTLE, help="a .blend file (the castle)")
    add("--path", action="append", choices=PATHS, help="again for another one (orbit)")
    add("--move", default=None, metavar="NAME", help="the object that the paths turn and move are about")
    add("--model", type=Path, default=EMBEDDED, help="a diffusers folder or .safetensors file (embedded)")
    add("--prompt", default="a sandstone castle town on grass at noon")
    add("--frames", type=int, default=40)
    add("--size", type=int, default=512)
    add("--steps", type=int, default=2)
    add("--device", default="auto")
    add("--out", type=Path, required=True, help="folder for table, plot and animation")
    return parser.parse_args(given)


def pictures(
    engine: StableDiffusionLcm, shots: Sequence[Draft], styles: Sequence[Style]
) -> list[tuple[list[Picture], list[dict[str, float]]]]:
    """The pictures of ``shots`` in each of ``styles``, which take turns, and their timings.

    Where a style is steady, each builds on the one before it.
    """
    histories = [engine.history() if style.steady > 0 else None for style in styles]
    made: list[tuple[list[Picture], list[dict[str, float]]]] = [([], []) for _ in styles]
    for number, draft in enumerate(shots):
        for style, history, (images, times) in zip(styles, histories, made, strict=True):
            request = build_request(number, draft, style, after=number - 1 if number else None)
            done = engine.render(request, None, history)
            images.append(done.image.copy())
            times.append(done.timings)
        told = " / ".join(f"{times[-1]['engine']:.0f}" for _, times in made)
        print(f"  {number + 1} of {len(shots)}: {told} ms", file=sys.stderr, flush=True)
    return made


def blended(views: Sequence[View], fresh: Sequence[Picture]) -> list[Picture]:
    """Fresh pictures, each mixed with the last one moved to its view: what is usually done."""
    made = [fresh[0]]
    for number in range(1, len(views)):
        seen = views[number].seen_in(views[number - 1])
        share = BLEND * seen.visible[..., None]
        mixed = share * warped(made[-1], seen) + (1 - share) * fresh[number]
        made.append(np.round(mixed).astype(np.uint8))
    return made


def measured(views: Sequence[View], made: Sequence[Picture], fresh: Sequence[Sequence[Picture]]) -> Figures:
    """All figures of one arm; ``fresh``: of the last views, of each one picture by each of several seeds."""
    count = len(views)
    every = max(1, count // 8)
    strange = [strangeness(views[n], views[n - 1], made[n]) for n in range(1, count)]
    return {
        "error 1": error(views, made, 1, every),
        "error 8": error(views, made, 8, every),
        "error 30": error(views, made, 30, every),
        "sharpness": sharpness(made[1]),
        "sharpness 30": sharpness(made[30]) if count > 30 else float("nan"),
        "sharpness last": sharpness(made[-1]),
        "strange": float(np.nanmean(strange)) if np.isfinite(strange).any() else float("nan"),
        "drift": drifted(made, fresh),
        "ghost": ghost(views, made, fresh[-1]),
    }


def drifted(made: Sequence[Picture], fresh: Sequence[Sequence[Picture]]) -> float:
    """The mean drift of the last of ``made``, as many as there are in ``fresh``."""
    found = []
    for picture, others in zip(made[-len(fresh) :], fresh, strict=True):
        features = judge(load_classifier(), np.stack([picture, *others]))[1]
        found.append(drift(features[0], features[1:]))
    return float(np.mean(found))


def carried(views: Sequence[View], fresh: Sequence[Picture], back: int) -> list[Picture]:
    """The last pictures of ``fresh``, but where ``back`` frames before showed the same: its picture moved there."""
    made = []
    for number in range(len(views) - VIEWS, len(views)):
        seen = views[number].seen_in(views[number - back])
        moved = np.where(seen.visible[..., None], warped(fresh[number - back], seen), fresh[number])
        made.append(np.round(moved).astype(np.uint8))
    return made


def main(given: Sequence[str] | None = None) -> int:
    """Measure and write ``steady.md``, ``steady-PATH.png`` and ``steady-PATH.webp``; returns 0."""
    asked = arguments(given)
    asked.out.mkdir(parents=True, exist_ok=True)
    style = Style(
        asked.prompt,
        strength=0.9,
        steps=asked.steps,
        width=asked.size,
        height=asked.size,
        controls=(Control("depth", 1.0),),
    )
    engine = StableDiffusionLcm.load(ModelSpec(asked.model), asked.device)
    rows: list[tuple[str, str, Figures]] = []
    for path in asked.path or ["orbit"]:
        shots = drafts(asked.scene, path, asked.frames, asked.size, asked.move)
        views = [View(draft) for draft in shots]
        (fresh, plain), (steady, recalling) = pictures(engine, shots, (style, replace(style, steady=1.0)))
        others = pictures(engine, shots[-VIEWS:], [replace(style, seed=seed) for seed in range(1, SEEDS)])
        finals = [list(each) for each in zip(fresh[-VIEWS:], *(made for made, _ in others), strict=True)]
        arms = {"fixed seed": fresh, f"blended {BLEND}": blended(views, fresh), "steady": steady}
        times = {"fixed seed": plain, "steady": recalling}
        for name, made in arms.items():
            figures = measured(views, made, finals)
            if name in times:
                figures["ms"] = float(np.median([each["engine"] for each in times[name][1:]]))
                turns = zip(times[name][1:], plain[1:], strict=True)
                figures["times"] = float(np.median([one["engine"] / other["engine"] for one, other in turns]))
            rows.append((path, name, figures))
        if len(views) >= CARRIED + VIEWS:
            moved = drifted(carried(views, fresh, CARRIED), finals)
            rows.append((path, f"fresh, moved {CARRIED} frames", {"drift": moved}))
        backs = range(1, min(31, asked.frames), 3)
        lines = {name: [error(views, made, back, 8) for back in backs] for name, made in arms.items()}
        plot(asked.out / f"steady-{path}.png", lines, backs, f"{path}: error, of 255, by frames back")
        animation(asked.out / f"steady-{path}.webp", [fresh, steady], MOST_BYTES)
        heading = f"{asked.scene.name}, {asked.size} x {asked.size}, {asked.steps} steps, {asked.frames} frames"
        text = f"{heading}, {engine.name} on {engine.device}, {time.strftime('%Y-%m-%d')}\n\n{table(rows)}\n"
        (asked.out / "steady.md").write_text(text, encoding="utf-8")
    print(table(rows))
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # Blender's module may hang or crash when Python tears it down
