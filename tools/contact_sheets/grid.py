"""A contact sheet's picture: each cell under its settings, the drafts at the left. Pillow and numpy only."""

from __future__ import annotations

import textwrap
from typing import Any

from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tools.contact_sheets.looks import Axis, Sheet

GAP, LINE = 4, 13  # pixels
PAPER, INK = (24, 25, 28), (236, 236, 236)


def draw(sheet: Sheet, drafts: list[NDArray[Any]], pictures: list[list[NDArray[Any]]], cell: int) -> Image.Image:
    """The sheet with cells of ``cell`` pixels a side: ``drafts`` (H, W, 3) one a row, ``pictures`` a list a row."""
    font = ImageFont.load_default(11)
    letters = max(8, cell // 6)
    titles = [""] + [label(sheet.columns, value, letters) for value in sheet.columns.values]
    top = GAP + LINE * max(title.count("\n") + 1 for title in titles)
    names = [label(sheet.rows, value, letters) for value in sheet.rows.values]
    below = LINE * max(name.count("\n") + 1 for name in names)
    columns, rows = len(titles), len(names)
    picture = Image.new("RGB", (GAP + columns * (cell + GAP), top + rows * (cell + below + GAP)), PAPER)
    pen = ImageDraw.Draw(picture)
    for column, title in enumerate(titles):
        pen.multiline_text((GAP + column * (cell + GAP), 2), title, INK, font, spacing=0)
    for row, (draft, made) in enumerate(zip(drafts, pictures, strict=True)):
        y = top + row * (cell + below + GAP)
        for column, pixels in enumerate((draft, *made)):
            small = Image.fromarray(pixels).resize((cell, cell), Image.Resampling.LANCZOS)
            picture.paste(small, (GAP + column * (cell + GAP), y))
        pen.multiline_text((GAP, y + cell), names[row], INK, font, spacing=0)
    return picture


def label(axis: Axis, value: Any, letters: int) -> str:
    """What is written beside a cell: "steps 4"; scenes by their files' names, prompts as they are."""
    if axis.setting == "scene":
        text = str(value).rpartition("/")[2].removesuffix(".blend").replace("_", " ")
    else:
        text = str(value) if axis.setting == "prompt" else f"{axis.setting} {value:g}"
    return "\n".join(textwrap.wrap(text, letters))
