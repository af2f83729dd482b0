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
from addon.wire import Control, Frame, Request, Style
from server.engine import ModelSpec, StableDiffusionLcm
from tools.training.stages.classifier import judge, load_classifier

from .measures import Picture, View, error, sharpness, strangeness, warped
from .paths import PATHS, drafts
from .report import Figures, animation, plot, table

ROOT = Path(__file__).resolve().parents[3]
CASTLE = ROOT / "docs" / "demo" / "castle_town.blend"
EMBEDDED = ROOT / "server" / "models" / "embedded"
MOST_BYTES = 3 * 2**20 - 1
BLEND = 0.85
"""How much of the last picture the blended arm takes."""


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tools.bench.steady", description=__doc__)
    add = parser.add_argument
    add("--scene", type=Path, default=CASTLE, help="a .blend file (the castle)")
    add("--path", action="append", choices=PATHS, help="again for another one (orbit)")
    add("--move", default=None, metavar="NAME", help="the object that path move puts elsewhere")
    add("--model", type=Path, default=EMBEDDED, help="a diffusers folder or .safetensors file (embedded)")
    add("--prompt", default="a sandstone castle town on grass at noon")
    add("--frames", type=int, default=40)
    add("--size", type=int, default=512)
    add("--steps", type=int, default=2)
    add("--device", default="auto")
    add("--out", type=Path, required=True, help="folder for table, plot and animation")
    return parser.parse_args(given)


def pictures(
    engine: StableDiffusionLcm, shots: Sequence[Draft], style: Style
) -> tuple[list[Picture], list[dict[str, float]]]:
    """The pictures of ``shots`` in turn, each after the one before where ``style`` is steady, and their timings."""
    history = engine.history() if style.steady > 0 else None
    made, times = [], []
    for number, draft in enumerate(shots):
        planes = draft.image, draft.inverse_depth, draft.near, draft.view, draft.projection
        frame = Frame(number, *planes, ids=draft.ids, objects=draft.objects)
        request = Request(frame, style, after=number - 1 if number else None)
        done = engine.render(request, None, history)
        made.append(done.image.copy())
        times.append(done.timings)
        print(f"  {number + 1} of {len(shots)}: {done.timings['engine']:.0f} ms", file=sys.stderr, flush=True)
    return made, times


def blended(views: Sequence[View], fresh: Sequence[Picture]) -> list[Picture]:
    """Fresh pictures, each mixed with the last one moved to its view: what is usually done."""
    made = [fresh[0]]
    for number in range(1, len(views)):
        seen = views[number].seen_in(views[number - 1])
        share = BLEND * seen.visible[..., None]
        mixed = share * warped(made[-1], seen) + (1 - share) * fresh[number]
        made.append(np.round(mixed).astype(np.uint8))
    return made


def measured(views: Sequence[View], made: Sequence[Picture], fresh: Sequence[Picture], other: Picture) -> Figures:
    """All figures of one arm; ``fresh``: each view's own picture, ``other``: the last one's with another seed."""
    count = len(views)
    every = max(1, count // 8)
    features = judge(load_classifier(), np.stack([made[-1], fresh[-1], other]))[1]
    between = float(np.linalg.norm(features[1] - features[2]))
    strange = [strangeness(views[n], views[n - 1], made[n]) for n in range(1, count, every)]
    return {
        "error 1": error(views, made, 1, every),
        "error 8": error(views, made, 8, every),
        "error 30": error(views, made, 30, every),
        "sharpness": sharpness(made[1]),
        "sharpness last": sharpness(made[-1]),
        "strange": float(np.nanmean(strange)) if np.isfinite(strange).any() else float("nan"),
        "drift": float(np.linalg.norm(features[0] - features[1])) / between if between else float("nan"),
    }


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
        fresh, fresh_times = pictures(engine, shots, style)
        steady, steady_times = pictures(engine, shots, replace(style, steady=1.0))
        other, _ = pictures(engine, shots[-1:], replace(style, seed=1))
        arms = {"fixed seed": fresh, f"blended {BLEND}": blended(views, fresh), "steady": steady}
        times = {"fixed seed": fresh_times, "steady": steady_times}
        for name, made in arms.items():
            figures = measured(views, made, fresh, other[0])
            if name in times:
                figures["ms"] = float(np.median([each["engine"] for each in times[name][1:]]))
                figures["recall"] = float(np.median([each["recall"] for each in times[name][1:]]))
            rows.append((path, name, figures))
        backs = range(1, min(31, asked.frames), 3)
        lines = {name: [error(views, made, back, 8) for back in backs] for name, made in arms.items()}
        plot(asked.out / f"steady-{path}.png", lines, f"error, of 255, by frames back (every third): {path}")
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
