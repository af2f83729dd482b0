"""The sheet of a textured scene: each view's draft and picture, and the scene from three sides. No bpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..plan import evenly
from ..run import ShotResult
from ..sheet import CAPTION, CELL, COLUMNS, GAP, PAPER, caption

Pixels = NDArray[np.uint8]


def stick_sheet(prompt: str, shown: Sequence[ShotResult], looks: Mapping[str, Pixels]) -> Image.Image:
    """Above: draft and picture of the first view, then ``looks`` by their captions. Below: those of further views."""
    first = {"draft": shown[0].draft, "picture": shown[0].picture, **looks}
    side = min(CELL, max(shown[0].picture.shape[:2]))
    further = [shown[number] for number in evenly(len(shown), COLUMNS)][1:]
    columns = max(len(first), len(further))
    height = GAP + CAPTION * 2 + side + GAP + (CAPTION + 2 * (side + GAP) if further else 0)
    sheet = Image.new("RGB", (GAP + columns * (side + GAP), height), PAPER)
    pen = ImageDraw.Draw(sheet)
    caption(pen, GAP, 0, sheet.width - GAP, prompt)
    for column, (words, pixels) in enumerate(first.items()):
        left = GAP + column * (side + GAP)
        caption(pen, left, CAPTION, left + side, words)
        sheet.paste(_cell(pixels, side), (left, 2 * CAPTION))
    top = 2 * CAPTION + side + GAP
    for column, one in enumerate(further):
        left = GAP + column * (side + GAP)
        caption(pen, left, top, left + side, f"view {one.shot.index}")
        sheet.paste(_cell(one.draft, side), (left, top + CAPTION))
        sheet.paste(_cell(one.picture, side), (left, top + CAPTION + side + GAP))
    return sheet


def _cell(pixels: Pixels, side: int) -> Image.Image:
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)
