"""What came into view as narrow strips, to be made again in one piece. torch only.

A surface that turns towards the view shows a few more pixels of itself with each picture. A model makes little sense of
a strip that is narrower than a cell of its latent, and of many side by side only stripes: once they are broad enough
together, they are made anew, once, as something that a fresh picture would have.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .windows import mean

CELL, REACH = 4, 3
"""Pixels, and such cells to each side, of which the share that is new is taken."""
THIN, BROAD = 0.25, 0.5
"""Shares: what was made with less than the first is to be made again, together with more than the second."""


def breadth(new: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """How much of what is round each pixel is ``new`` (bool, N = height * width), uint8, N: 255 is all of it."""
    cells = F.avg_pool2d(new.view(1, 1, height, width).float(), CELL, ceil_mode=True, count_include_pad=False)
    around = (mean(cells[0, 0], REACH) * 255).to(torch.uint8)
    return around.repeat_interleave(CELL, 0)[:height].repeat_interleave(CELL, 1)[:, :width].reshape(-1)


def strips(known: torch.Tensor, made: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Which of the ``known`` pixels (bool, N) are to be made again; ``made``: the breadth with which they were."""
    poor = ~known | (made < THIN * 255)
    return poor & known & (breadth(poor, height, width) > BROAD * 255)
