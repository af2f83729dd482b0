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
from addon.geometry.surfaces import EDGE, REACH, far_enough
from addon.geometry.visibility import LEAST, MARGIN, SAME

RIM = 16
"""Pixels along a picture's border of which each knows how far it is away from it."""


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
    """What one view shows, by planes of their own: picking from those takes a fifth of the time that rows take.

    ``terms``: fp32, N each, the first of them x and y, the third the inverse. ``sums``, fp64, 12 x one more than there
    are terms: what makes each pixel's four numbers of them, and of 1, and how these change to the pixel on the right
    and to the one above. ``edges``: uint8, N. ``rim``: how many pixels each is away from the picture's border, at most
    ``RIM``, fp32, N.
    """

    relief: Relief
    terms: tuple[torch.Tensor, ...]
    sums: NDArray[np.float64]
    edges: torch.Tensor
    rim: torch.Tensor

    @classmethod
    def of(cls, camera: Camera, inverse: torch.Tensor) -> Surfaces:
        """``inverse``: 1 / distance, fp32, H x W."""
        height, width = inverse.shape
        device = inverse.device
        x = ((torch.arange(width, device=device) + 0.5) * (2 / width) - 1).expand(height, width)
        y = (1 - (torch.arange(height, device=device) + 0.5) * (2 / height))[:, None].expand(height, width)
        across, up = _slope(inverse, 1), -_slope(inverse, 0)
        terms, places = [x, y, inverse, across, up], (0, 1, 5, 2)
        if camera.is_orthographic:
            terms = [x * inverse, y * inverse, inverse, across, up, x * across, y * across, x * up, y * up]
            places = (0, 1, 9, 2)
        sums = np.zeros((3, 4, len(terms) + 1))
        sums[0, range(4), places] = 1
        sums[1, 3, 3] = sums[2, 3, 4] = 1
        scale = 2 if camera.is_orthographic else -1  # the inverse, or 1
        sums[1, 0, scale], sums[2, 1, scale] = 2 / width, 2 / height
        if camera.is_orthographic:
            sums[1, 0, 5] = sums[1, 1, 6] = sums[2, 0, 7] = sums[2, 1, 8] = 1
        edges = _edges(inverse)
        low, high = _around(inverse, torch.minimum), _around(inverse, torch.maximum)
        beside = _around(edges, torch.minimum)
        return cls(
            Relief(camera, height, width, inverse.reshape(-1), low, high, beside, float(inverse.max())),
            tuple(term.reshape(-1) for term in terms),
            sums.reshape(12, -1),
            edges.view(-1),
            _rim(height, width, device),
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """See ``addon.geometry.visibility.Seen``; each of the n pixels that were asked for.

    ``clear``: no depth edge is between the four pixels there that are round it, bool. ``size``, ``area``: of the matrix
    from steps here to steps there, the sum of its squares and its determinant: what is finest and coarsest are its
    singular values, which nobody needs the roots for.
    """

    x: torch.Tensor
    y: torch.Tensor
    inverse: torch.Tensor
    visible: torch.Tensor
    size: torch.Tensor
    area: torch.Tensor
    clear: torch.Tensor

    def finer_than(self, least: float) -> torch.Tensor:
        """Whether there are more than ``least`` pixels there to one here in each direction, bool."""
        return (self.size > 2 * least**2) & self._apart(least)

    def coarser_than(self, most: float) -> torch.Tensor:
        """Whether there are fewer than ``most`` in each direction, bool."""
        return (self.size < 2 * most**2) & self._apart(most)

    def _apart(self, limit: float) -> torch.Tensor:
        """Whether both singular values are on the same side of ``limit``: (s - l^2) (t - l^2) > 0 of their squares."""
        return self.size.mul(-(limit**2)).addcmul_(self.area, self.area) > -(limit**4)


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
    terms, here = now.terms, now.edges
    if at is not None:
        terms, here = tuple(term.index_select(0, at) for term in terms), here.index_select(0, at)
    camera, own, planes = now.relief.camera, terms[2], torch.stack(terms)
    numbers = _product(now.sums, between(camera, then.camera), planes)
    for number, motion in (moved or {}).items():
        assert ids is not None
        where = (ids == number).nonzero()[:, 0]
        part = planes.index_select(1, where)
        numbers.index_copy_(1, where, _product(now.sums, between(camera, then.camera, motion), part))
    clip, across, up = numbers[:4], numbers[4:8], numbers[8:]
    width, height = then.width, then.height
    w = clip[3].reciprocal()
    x, y, inverse = clip[0] * w, clip[1] * w, own / clip[2]
    wide, tall = w * (width / 2), w * (height / 2)
    xx, xy = (step[0].addcmul_(x, step[3], value=-1).mul_(wide) for step in (across, up))
    yx, yy = (step[1].addcmul_(y, step[3], value=-1).mul_(tall) for step in (across, up))
    size = (xx * xx).addcmul_(xy, xy).addcmul_(yx, yx).addcmul_(yy, yy)
    area = (xx * yy).addcmul_(xy, yx, value=-1)
    x, y = x.add_(1).mul_(width / 2), y.neg_().add_(1).mul_(height / 2)
    front = (clip[3] > 0) & (area > 0)
    if camera.is_orthographic:
        there = (own == 0).nonzero()[:, 0]
        pixel = there if at is None else at[there]
        share = shares_background(camera, then.camera)
        x[there] = (pixel % now.relief.width + 0.5) * (width / now.relief.width) if share else -1.0
        y[there] = (pixel // now.relief.width + 0.5) * (height / now.relief.height)
        inverse[there], size[there], area[there], front[there] = 0.0, 2.0, 1.0, share
    inside = front & (x > -MARGIN) & (y > -MARGIN) & (x < width + MARGIN) & (y < height + MARGIN)
    corner = corners(x, y, height, width, inside)
    low, high, edge = (plane.index_select(0, corner) for plane in (then.low, then.high, then.beside))
    slack = (inverse * SAME).add_(LEAST * then.largest)
    same = (inverse >= low.sub_(slack)) & (inverse <= high.add_(slack))
    return Seen(x, y, inverse, inside & same & far_enough(edge, here), size, area, edge > 0)


def corners(x: torch.Tensor, y: torch.Tensor, height: int, width: int, inside: torch.Tensor) -> torch.Tensor:
    """The flat index of the upper left of the four pixels between whose middles each place lies; int64."""
    column = torch.where(inside, x - 0.5, 0).floor_().clamp_(0, width - 2)
    row = torch.where(inside, y - 0.5, 0).floor_().clamp_(0, height - 2)
    return row.long() * width + column.long()


def _product(sums: NDArray[np.float64], matrix: NDArray[np.float64], terms: torch.Tensor) -> torch.Tensor:
    """``matrix`` (4 x 4) times each of the three vectors that ``sums`` makes of ``terms`` (T x n): fp32, 12 x n."""
    both = torch.from_numpy((matrix @ sums.reshape(3, 4, -1)).reshape(12, -1).astype(np.float32)).to(terms.device)
    return torch.addmm(both[:, -1:], both[:, :-1], terms)


def _rim(height: int, width: int, device: torch.device) -> torch.Tensor:
    rows, columns = (torch.arange(count, device=device) for count in (height, width))
    rows, columns = (torch.minimum(each, len(each) - 1 - each).clamp_(max=RIM) for each in (rows, columns))
    return torch.minimum(rows[:, None], columns).float().view(-1)


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
