"""How long the engine takes for a frame. torch, through the engine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addon.live.requests import PlainDraft, build_request
from addon.wire import Control, Style
from server.engine import StableDiffusionLcm


def frame_milliseconds(folder: Path, draft: NDArray[Any], depth: NDArray[Any], prompt: str, frames: int = 12) -> float:
    """Return the median milliseconds of a frame at 2 steps and strength 0.7 from draft (H, W, 3) and depth (H, W)."""
    engine = StableDiffusionLcm.load(folder, "cpu")
    height, width = depth.shape
    style = Style(prompt=prompt, strength=0.7, steps=2, width=width, height=height, controls=(Control("depth", 1.0),))
    times = []
    for number in range(frames + 2):
        request = build_request(number, plain_draft(draft, depth), style)
        start = time.perf_counter()
        engine.render(request)
        times.append((time.perf_counter() - start) * 1000)
    return float(np.median(times[2:]))


def plain_draft(draft: NDArray[Any], depth: NDArray[Any]) -> PlainDraft:
    """Return a draft (uint8) and its inverse depth (uint8, which the wire has as uint16) as requests are built from."""
    return PlainDraft(np.ascontiguousarray(draft), np.ascontiguousarray(depth).astype(np.uint16) * np.uint16(257))
