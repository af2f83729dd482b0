"""What was measured as a table, a plot and an animation. numpy and PIL only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Figures = dict[str, float]
COLUMNS = {
    "error 1": "error 1 back",
    "error 8": "8 back",
    "error 30": "30 back",
    "sharpness": "sharpness, first",
    "sharpness 30": "at 30",
    "sharpness last": "last",
    "strange": "newly seen",
    "drift": "drift",
    "ghost": "where it was",
    "ms": "ms a frame",
    "times": "as long, turn by turn",
}
SIDE = 384
INK = ((200, 60, 50), (150, 150, 150), (40, 110, 200))


def table(rows: Sequence[tuple[str, str, Figures]]) -> str:
    """Markdown: a row for each path and arm."""
    lines = [f"| path | arm | {' | '.join(COLUMNS.values())} |", f"|---|---|{'---|' * len(COLUMNS)}"]
    for path, arm, figures in rows:
        cells = [f"{figures[name]:.2f}" if np.isfinite(figures.get(name, np.nan)) else "" for name in COLUMNS]
        lines.append(f"| {path} | {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(path: Path, lines: Mapping[str, Sequence[float]], backs: Sequence[int], title: str) -> None:
    """A PNG of one line for each arm: its error by how many frames back, one for each of ``backs``."""
    width, height, left, bottom = 640, 360, 50, 40
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    most = max(max(values) for values in lines.values()) * 1.1
    count = max(len(values) for values in lines.values())
    draw.text((left, 8), title, "black")
    draw.line([(left, 24), (left, height - bottom), (width - 10, height - bottom)], "black")
    for step in range(5):
        y = height - bottom - (height - bottom - 30) * step / 4
        draw.text((8, y - 6), f"{most * step / 4:.1f}", "black")
    for index, (name, values) in enumerate(lines.items()):
        spots = [
            (
                left + (width - left - 20) * n / max(count - 1, 1),
                height - bottom - (height - bottom - 30) * value / most,
            )
            for n, value in enumerate(values)
        ]
        draw.line(spots, INK[index % len(INK)], 2)
        draw.text((width - 150, 28 + 16 * index), name, INK[index % len(INK)])
    draw.text((width // 2 - 40, height - 24), f"frames back, {backs[0]} to {backs[-1]}", "black")
    image.save(path)


def animation(path: Path, sides: Sequence[Sequence[NDArray[np.uint8]]], most_bytes: int) -> None:
    """An animated WebP of several films side by side, to and fro, each ``SIDE`` pixels, in at most ``most_bytes``."""
    films = [np.concatenate(frames, 1) for frames in zip(*sides, strict=True)]
    films += films[-2:0:-1]
    frames = [Image.fromarray(frame).resize((SIDE * len(sides), SIDE), Image.Resampling.LANCZOS) for frame in films]
    for quality in (85, 75, 65, 50, 35, 20):
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0, quality=quality, method=4)
        if path.stat().st_size <= most_bytes:
            return
