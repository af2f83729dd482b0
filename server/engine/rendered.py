"""What an engine makes of a request. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STAGES = ("upload", "text", "recall", "encode", "depth", "unet", "decode", "download")


@dataclass(frozen=True, eq=False)
class Rendered:
    """A picture, uint8 height x width x 3 (sRGB, top row first), and the milliseconds of each stage.

    ``timings`` has the keys upload, text, recall, encode, depth, unet, decode, download, ``step 1`` and so on for each
    of the unet's steps, and engine for the whole. ``after``: the earlier picture that it builds on, None for none.
    """

    image: NDArray[np.uint8]
    timings: dict[str, float]
    after: int | None = None
