"""``addon.geometry``'s surfaces and visibility for tensors on any device, of all pixels or some. torch only.

The same sums as there, which tests hold it to; there they are explained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from addon.geometry.camera import Camera, between, shares_background
from addon.geometry.surfaces import EDGE, REACH
from addon.geometry.visibility import LEAST, MARGIN, SAME


@dataclass(frozen=True, eq=False)
class Relief:
    """What is kept of a view in order to find other views' pixels in it. Planes are flat: N = height * width.

    ``inverse``: fp32, N. ``low``, ``high``, ``beside``: of each pixel and those right of, below and right below it the
    least and greatest inverse, fp32, and the least distance to a depth edge, uint8. ``largest``: of the inverses.
    """

    camera: Camera
    height: int
    width: int
    inverse: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    beside: torch.Tensor
    largest: float


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What one view shows: its relief; ``numbers``, ``across`` and ``up``, fp32, 4 x N each; ``edges``, uint8, N."""

    relief: Relief
    numbers: torch.Tensor
    across: torch.Tensor
    up: torch.Tensor
    edges: torch.Tensor

    @classmethod
    def of(cls, camera: Camera, inverse: torch.Tensor) -> Surfaces:
        """``inverse``: 1 / distance, fp32, H x W."""
        height, width = inverse.shape
        device = inverse.device
        x = ((torch.arange(width, device=device) + 0.5) * (2 / width) - 1).expand(height, width)
        y = (1 - (torch.arange(height, device=device) + 0.5) * (2 / height))[:, None].expand(height, width)
        a, b = _slope(inverse, 1) * (width / 2), _slope(inverse, 0) * (-height / 2)
        zero, one = torch.zeros_like(inverse), torch.ones_like(inverse)
        if camera.is_orthographic:
            here = [x * inverse, y * inverse, one, inverse]
            across, up = [inverse + x * a, y * a, zero, a], [x * b, inverse + y * b, zero, b]
        else:
            here, across, up = [x, y, one, inverse], [one, zero, zero, a], [zero, one, zero, b]
        edges = _edges(inverse)
        low, high = _around(inverse, torch.minimum), _around(inverse, torch.maximum)
        beside = _around(edges, torch.minimum)
        return cls(
            Relief(camera, height, width, inverse.reshape(-1), low, high, beside, float(inverse.max())),
            torch.stack(here).view(4, -1),
            torch.stack(across).view(4, -1) * (2 / width),
            torch.stack(up).view(4, -1) * (2 / height),
            edges.view(-1),
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """See ``addon.geometry.visibility.Seen``; each of the n pixels that were asked for. ``clear``: no depth edge is
    between the four pixels there that are round it, bool."""

    x: torch.Tensor
    y: torch.Tensor
    inverse: torch.Tensor
    visible: torch.Tensor
    finest: torch.Tensor
    coarsest: torch.Tensor
    clear: torch.Tensor


def look(
    now: Surfaces,
    then: Relief,
    at: torch.Tensor | None = None,
    moved: Mapping[int, NDArray[np.float64]] | None = None,
    ids: torch.Tensor | None = None,
) -> Seen:
    """Find what ``now`` shows at the pixels ``at`` (int64, n; None: all) in ``then``.

    ``moved``: for each of the ``ids`` (n) that has moved, 4 x 4, from where it is now to where it was then.
    """
    planes = [plane if at is None else plane[:, at] for plane in (now.numbers, now.across, now.up)]
    here = now.edges if at is None else now.edges[at]
    camera = now.relief.camera
    matrix = _tensor(between(camera, then.camera), planes[0])
    clip, across, up = (matrix @ plane for plane in planes)
    for number, motion in (moved or {}).items():
        assert ids is not None
        where = (ids == number).nonzero()[:, 0]
        matrix = _tensor(between(camera, then.camera, motion), planes[0])
        for into, plane in zip((clip, across, up), planes, strict=True):
            into[:, where] = matrix @ plane[:, where]
    width, height = then.width, then.height
    w = 1 / clip[3]
    x, y, inverse = clip[0] * w, clip[1] * w, planes[0][3] / clip[2]
    xx, xy = ((step[0] - x * step[3]) * w * (width / 2) for step in (across, up))
    yx, yy = ((step[1] - y * step[3]) * w * (height / 2) for step in (across, up))
    size, area = xx**2 + xy**2 + yx**2 + yy**2, xx * yy - xy * yx
    spread = (size**2 - 4 * area**2).clamp_(min=0).sqrt_()
    coarsest, finest = (size - spread).clamp_(min=0).mul_(0.5).sqrt_(), (size + spread).mul_(0.5).sqrt_()
    x, y = (x + 1) * (width / 2), (1 - y) * (height / 2)
    front = (clip[3] > 0) & (area > 0)
    if camera.is_orthographic:
        there = (planes[0][3] == 0).nonzero()[:, 0]
        pixel = there if at is None else at[there]
        share = shares_background(camera, then.camera)
        x[there] = (pixel % now.relief.width + 0.5) * (width / now.relief.width) if share else -1.0
        y[there] = (pixel // now.relief.width + 0.5) * (height / now.relief.height)
        inverse[there], coarsest[there], finest[there], front[there] = 0.0, 1.0, 1.0, share
    inside = front & (x > -MARGIN) & (y > -MARGIN) & (x < width + MARGIN) & (y < height + MARGIN)
    corner = corners(x, y, height, width, inside)
    edge = then.beside[corner]
    slack = SAME * inverse + LEAST * then.largest
    same = (inverse >= then.low[corner] - slack) & (inverse <= then.high[corner] + slack)
    return Seen(x, y, inverse, inside & same & (edge + 1 >= here), finest, coarsest, edge > 0)


def corners(x: torch.Tensor, y: torch.Tensor, height: int, width: int, inside: torch.Tensor) -> torch.Tensor:
    """The flat index of the upper left of the four pixels between whose middles each place lies; int64."""
    column = torch.where(inside, x - 0.5, 0).floor_().clamp_(0, width - 2)
    row = torch.where(inside, y - 0.5, 0).floor_().clamp_(0, height - 2)
    return row.long() * width + column.long()


def _tensor(matrix: NDArray[np.float64], like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(matrix.astype(np.float32)).to(like.device)


def _slope(inverse: torch.Tensor, axis: int) -> torch.Tensor:
    step = inverse.diff(dim=axis)
    count = step.shape[axis]
    back = torch.cat([step.narrow(axis, 0, 1), step], axis)
    forth = torch.cat([step, step.narrow(axis, count - 1, 1)], axis)
    return torch.where(back.abs() < forth.abs(), back, forth)


def _edges(inverse: torch.Tensor) -> torch.Tensor:
    beside = torch.zeros(inverse.shape, dtype=torch.bool, device=inverse.device)
    for size, found in ((inverse, beside), (inverse.T, beside.T)):
        step = size.diff(dim=1).abs()
        around = F.pad(step, (1, 1))
        least = torch.minimum(around[:, :-2], around[:, 2:])
        crack = step > 2 * least + EDGE * torch.maximum(size[:, :-1], size[:, 1:])
        found[:, :-1] |= crack
        found[:, 1:] |= crack
    result = torch.full_like(beside, REACH, dtype=torch.uint8).masked_fill_(beside, 0)
    near = beside
    for distance in range(1, REACH):
        padded = F.pad(near, (1, 1, 1, 1))
        tall = padded[:-2] | padded[1:-1] | padded[2:]
        near = tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]
        result.masked_fill_(near & (result == REACH), distance)
    return result


def _around(plane: torch.Tensor, pick: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Of each pixel and those right of, below and right below it what ``pick`` chooses, N; the last row and column
    repeat, which no corner is in."""
    padded = torch.cat([plane, plane[-1:]])
    tall = pick(padded[:-1], padded[1:])
    tall = torch.cat([tall, tall[:, -1:]], 1)
    return pick(tall[:, :-1], tall[:, 1:]).reshape(-1)
