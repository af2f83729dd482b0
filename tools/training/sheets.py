"""Contact sheets: pictures of several kinds side by side, a sample a row. numpy and Pillow, no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image, ImageDraw

ROWS = 8
TEXT = 14  # pixels of height for a line of text


def contact_sheets(
    folder: Path, name: str, columns: dict[str, NDArray[Any]], captions: list[str], most: int = 4
) -> None:
    """Write `folder`/`name`-K.jpg, no more than `most`. columns: title to uint8 (N, H, W, 3); captions: N."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = next(iter(columns.values())).shape[1:3]
    for page, start in enumerate(range(0, min(len(captions), ROWS * most), ROWS)):
        rows = range(start, min(start + ROWS, len(captions)))
        sheet = Image.new("RGB", (width * len(columns), TEXT + (height + TEXT) * len(rows)), "white")
        draw = ImageDraw.Draw(sheet)
        for j, (title, pictures) in enumerate(columns.items()):
            draw.text((j * width + 4, 1), title, fill="black")
            for i, row in enumerate(rows):
                sheet.paste(Image.fromarray(pictures[row]), (j * width, TEXT + i * (height + TEXT)))
        for i, row in enumerate(rows):
            draw.text((4, TEXT + i * (height + TEXT) + height), captions[row], fill="black")
        sheet.save(folder / f"{name}-{page}.jpg", quality=88)
