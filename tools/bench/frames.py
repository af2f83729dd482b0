"""Drafts of a view that keeps moving, made from nothing, and a picture with detail. numpy and pillow only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from addon.live.requests import PlainDraft, build_request
from addon.wire import Control, Request, Style

PROMPT = "a sandstone castle town on grass at noon"
DETAILED = Path(__file__).resolve().parents[2] / "docs" / "images" / "demo.png"
"""Four pictures of 256 x 256 side by side, 260 apart: a blockout and what became of it."""


def draft(index: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """The draft (uint8 size x size x 3) and inverse depth (uint16, from 0 to 65535) of view number ``index``.

    Grey blocks on a floor under a sky, moved on by a part of a block from view to view. The depth spans its whole
    range, so that stretching it as MiDaS' maps are changes nothing.
    """
    rows, columns = np.mgrid[0:size, 0:size] / size
    image = np.empty((size, size, 3), np.float32)
    image[:] = np.where(rows < 0.5, 150 + 60 * rows, 90 + 50 * rows)[..., None] * np.array([1.0, 1.0, 1.05])
    near = np.clip(2 * rows - 1, 0, 1) * 0.8
    for block in range(5):
        turn = 0.05 * index + block * 1.3
        middle, half, top = 0.5 + 0.4 * np.sin(turn), 0.06 + 0.015 * block, 0.25 + 0.08 * block
        inside = (np.abs(columns - middle) < half) & (rows > top) & (rows < top + 0.4)
        image[inside] = 80 + 30 * block + 25 * np.sign(columns[inside] - middle)[:, None]
        near[inside] = 0.2 + 0.15 * block
    near[0], near[-1] = 0, 1
    return image.clip(0, 255).astype(np.uint8), (near * 65535).astype(np.uint16)


def request(index: int, size: int, steps: int, depth: bool) -> Request:
    """The request for view number ``index``: strength 0.5, no classifier-free guidance, one seed for all."""
    image, near = draft(index, size)
    controls = (Control("depth", 1.0),) if depth else ()
    style = Style(PROMPT, strength=0.5, steps=steps, seed=7, width=size, height=size, controls=controls)
    return build_request(index, PlainDraft(image, near), style)


def detailed(size: int) -> NDArray[np.uint8]:
    """A picture as a model makes them, uint8 size x size x 3: four of them, over and over."""
    row = np.asarray(Image.open(DETAILED).convert("RGB"))
    one, two, three, four = (row[:, left : left + 256] for left in range(0, 1036, 260))
    times = -(-size // 512)
    return np.tile(np.block([[[one], [two]], [[three], [four]]]), (times, times, 1))[:size, :size].copy()
