"""What was measured, as JSON, as a Markdown table and as a plot. numpy and PIL, no torch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from .measure import LEAST_DECIBELS, Row, void

OURS = re.compile(r"ours, (?:bfloat16|float16|float32)(, depth)?")
"""The arms that "as long as ours" means, without depth and with it."""
# Milliseconds of a whole frame on an H100 that memory and arithmetic allow at least: UNet at batch 1 (SD1.5, SDXL)
# for each step, the tiny autoencoder both ways, at 512 x 512; from each layer's work, at 798 TFLOP/s and 3 TB/s.
FLOORS = {"sd15": (1.30, 0.37), "sdxl": (2.67, 0.37)}


def floor(model: str, size: int, steps: int, device: str) -> float | None:
    """The floor in milliseconds, where it is known: on an H100 or H200, at 512."""
    if model not in FLOORS or size != 512 or not any(name in device for name in ("H100", "H200")):
        return None
    step, rest = FLOORS[model]
    return steps * step + rest


def _kind(row: Row) -> tuple[str, int, int]:
    return row.model, row.size, row.steps


def table(rows: Sequence[Row], compared: bool = True) -> str:
    """A Markdown table; ``compared``: turn by turn, how many times as fast as the first of its configuration each is,
    and how many times as long as ours it takes, with depth as ours with depth.
    """
    lines = [
        "| model | size | steps | arm | ms a frame (10 % .. 90 %) | frames/s | input to output, ms | times the first "
        "| as long as ours | dB | floor, ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    first: dict[tuple[str, int, int], Row] = {}
    ours = {(*_kind(row), bool(name[1])): row for row in rows if (name := OURS.fullmatch(row.arm)) and not row.failed}
    for row in rows:
        where = f"| {row.model} | {row.size} | {row.steps} | {row.arm} |"
        if row.failed:
            lines.append(f"{where} {row.failed.replace('|', '/')} | | | | | | |")
            continue
        base = first.setdefault(_kind(row), row)
        own = ours.get((*_kind(row), row.arm.endswith(", depth")))
        decibels = "" if row.decibels is None else f"{row.decibels:.0f}"
        limit = "" if row.floor is None else f"{row.floor:.1f} ({row.median / row.floor:.1f}x)"
        lines.append(
            f"{where} {row.median:.1f} ({row.low:.1f} .. {row.high:.1f}) | {row.fps:.1f} | {row.latency:.1f} "
            f"| {f'{1 / row.times(base):.2f}x' if compared else ''} "
            f"| {f'{row.times(own):.2f}x' if compared and own else ''} | {decibels} | {limit} |"
        )
    return "\n".join(lines)


def document(facts: dict[str, Any], rows: Sequence[Row], growth: Sequence[Row], plot: str | None) -> str:
    """The whole page in Markdown."""
    parts = [f"# Speed on {facts['device']}", ""]
    parts += [f"- {name}: {value}" for name, value in facts.items()]
    parts += [
        "- dB: of a picture against that of the stock pipeline in fp32, which is the arm without a figure or else made "
        f"beforehand: below {LEAST_DECIBELS:.0f} dB a run is void. Each arm has the same weights, frames, steps, "
        "strength, seed and noise; they take turns within one run.",
        '- "Whole loop" is the add-on\'s live loop and a server of its own, with a view that changes in every frame; '
        "capture and display, which are Blender's, are left out. Frames overlap, so input to output is longer than the "
        "time from picture to picture.",
        '- "times the first" and "as long as ours" (with depth: as ours with depth) are taken turn by turn, median by '
        "median, as the machine may be slower from one turn to the next; these are their medians.",
        "",
    ]
    bad = void(rows)
    if bad:
        parts += ["**Void**: " + "; ".join(f"{row.arm}, {row.steps} steps: {row.decibels:.1f} dB" for row in bad), ""]
    if rows:
        parts += [table(rows, compared=not bad), ""]
    if growth:
        words = "With several clients, ms a frame is from any picture to the next, input to output one client's own."
        parts += ["## As the work grows", "", words, "", table(growth, compared=False), ""]
        if plot is not None:
            parts += [f"![Milliseconds a frame by size, steps and clients]({plot})", ""]
    return "\n".join(parts)


def write(folder: Path, name: str, facts: dict[str, Any], rows: Sequence[Row], growth: Sequence[Row]) -> Path:
    """Write ``name``.json, .md and, with ``growth``, .png into ``folder``; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = None
    if any(not row.failed for row in growth):
        picture = f"{name}.png"
        draw(growth).save(folder / picture)
    page = folder / f"{name}.md"
    page.write_text(document(facts, rows, growth, picture), encoding="utf-8")
    data = {"facts": facts, "rows": [row.written() for row in rows], "growth": [row.written() for row in growth]}
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    return page


PANEL, MARGIN = 360, 60
LINES = ("#1060c0", "#c05010")
KINDS = {"size": "side of the picture, pixels", "steps": "steps", "clients": "clients at once"}


def draw(growth: Sequence[Row]) -> Image.Image:
    """A panel each for size, steps and clients: milliseconds a frame, with the spread as a bar; both axes from 0.

    Rows of a kind that begin with other words ("with --batch 4, by clients ...") have a line of their own.
    """
    image = Image.new("RGB", (PANEL * len(KINDS), PANEL), "white")
    pen = ImageDraw.Draw(image)
    for panel, (kind, label) in enumerate(KINDS.items()):
        found = [row for row in growth if f"by {kind}" in row.arm and not row.failed]
        left, bottom, reach = panel * PANEL + MARGIN, PANEL - MARGIN, PANEL - 2 * MARGIN
        pen.line([(left, MARGIN), (left, bottom), (left + reach, bottom)], fill="black")
        pen.text((left, bottom + 30), label, fill="black")
        pen.text((left - 40, MARGIN - 25), "ms a frame", fill="black")
        if not found:
            continue
        most_x = max(_along(kind, row) for row in found)
        most_y = _round_up(max(row.high for row in found))
        for mark in range(5):
            height = bottom - reach * mark / 4
            pen.line([(left, height), (left + reach, height)], fill="#dddddd")
            pen.text((left - 45, height - 6), f"{most_y * mark / 4:g}", fill="black")
        for x in sorted({_along(kind, row) for row in found}):
            pen.text((left + reach * x / most_x - 8, bottom + 6), f"{x:g}", fill="black")
        for number, words in enumerate(dict.fromkeys(row.arm.split("by ")[0] for row in found)):
            colour = LINES[number % len(LINES)]
            rows = sorted(
                (row for row in found if row.arm.startswith(f"{words}by ")), key=lambda row: _along(kind, row)
            )
            places = []
            for row in rows:
                across = left + reach * _along(kind, row) / most_x
                low, middle, high = (bottom - reach * value / most_y for value in (row.low, row.median, row.high))
                pen.line([(across, low), (across, high)], fill="#888888", width=2)
                places.append((across, middle))
            pen.line(places, fill=colour, width=2)
            for across, middle in places:
                pen.ellipse([across - 3, middle - 3, across + 3, middle + 3], fill=colour)
            if words:
                pen.text((left + 60, MARGIN - 40 + 15 * number), words.strip(", "), fill=colour)
    return image


def _along(kind: str, row: Row) -> int:
    return {"size": row.size, "steps": row.steps}[kind] if kind != "clients" else int(row.arm.rsplit(" ", 1)[1])


def _round_up(value: float) -> float:
    digit = 10 ** math.floor(math.log10(max(value, 1e-6)))
    return next(digit * step for step in (1, 2, 4, 8, 10, 20) if digit * step >= value)
