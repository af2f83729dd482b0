"""The contact sheet and the animation of a run. Pillow and numpy only; no bpy."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .plan import evenly
from .run import ShotResult

COLUMNS = 6
CELL = 256
"""Longest side of a picture on the sheet, in pixels."""
GAP = 6
CAPTION = 30
PAPER, INK = (24, 25, 28), (236, 236, 236)
FRAMES_A_SECOND = 12
QUALITY = 82


def contact_sheet(shown: Sequence[ShotResult], moved: str = "") -> Image.Image:
    """Each prompt with its drafts above their pictures, ``COLUMNS`` views at most, evenly spread.

    ``moved``: the name of the object that moves half way, written above the views that have it so.
    """
    rounds = [list(group) for _, group in groupby(shown, key=lambda one: one.shot.round)]
    columns = min(COLUMNS, max(len(group) for group in rounds))
    side = min(CELL, max(shown[0].picture.shape[:2]))
    block = CAPTION + 2 * (side + GAP) + GAP
    sheet = Image.new("RGB", (GAP + columns * (side + GAP), GAP + len(rounds) * block), PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, group in enumerate(rounds):
        top = GAP + row * block
        taken = [group[index] for index in evenly(len(group), columns)]
        caption(pen, GAP, top, sheet.width - GAP, group[0].shot.prompt)
        for column, one in enumerate(taken):
            left = GAP + column * (side + GAP)
            for line, pixels in enumerate((one.draft, one.picture)):
                cell = Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)
                sheet.paste(cell, (left, top + CAPTION + line * (side + GAP)))
            first_moved = one.shot.moved and not (column and taken[column - 1].shot.moved)
            if moved and first_moved:
                place = (left + 6, top + CAPTION + 4)
                pen.text(place, f"{moved} moved", INK, ImageFont.load_default(13), stroke_width=2, stroke_fill=PAPER)
    return sheet


def animation(shown: Sequence[ShotResult], path: Path) -> None:
    """Write ``path`` (.webp): each draft beside its picture under its prompt, 12 frames a second, for ever."""
    frames = []
    for one in shown:
        height, width = one.picture.shape[:2]
        frame = Image.new("RGB", (2 * width + 3 * GAP, height + CAPTION + 2 * GAP), PAPER)
        caption(ImageDraw.Draw(frame), GAP, 0, frame.width - GAP, one.shot.prompt)
        frame.paste(Image.fromarray(one.draft).resize((width, height)), (GAP, CAPTION))
        frame.paste(Image.fromarray(one.picture), (2 * GAP + width, CAPTION))
        frames.append(frame)
    duration = round(1000 / FRAMES_A_SECOND)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration, loop=0, quality=QUALITY)


def caption(pen: ImageDraw.ImageDraw, left: int, top: int, right: int, text: str) -> None:
    """Write ``text`` on one line, cut where it would pass ``right``."""
    font = ImageFont.load_default(16)
    shown = " ".join(text.split())
    if left + pen.textlength(shown, font) > right:
        room = range(len(shown))
        length = bisect.bisect_left(
            room, True, key=lambda end: left + pen.textlength(shown[:end] + "...", font) > right
        )
        shown = shown[: max(0, length - 1)] + "..."
    pen.text((left + 2, top + (CAPTION - 20) // 2), shown, INK, font)
