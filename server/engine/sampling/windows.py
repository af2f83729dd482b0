"""Minimum, maximum and mean over a square around each pixel, by rows and then by columns. torch only.

torch's pooling takes ten times as long for planes of one channel on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def greatest(planes: torch.Tensor, by: int) -> torch.Tensor:
    """Of the square of ``2 * by + 1`` pixels round each; H x W or H x W x C, bool or any number."""
    return _each_way(planes, by, torch.logical_or if planes.dtype == torch.bool else torch.maximum)


def least(planes: torch.Tensor, by: int) -> torch.Tensor:
    """As :func:`greatest`."""
    return _each_way(planes, by, torch.minimum)


def mean(planes: torch.Tensor, by: int) -> torch.Tensor:
    """As :func:`greatest`, of fp32; beyond the rim, the pixels on it count."""
    for axis in (0, 1):
        count = planes.shape[axis]
        first, last = planes.narrow(axis, 0, 1), planes.narrow(axis, count - 1, 1)
        padded = torch.cat([*[first] * by, planes, *[last] * by], axis)
        total = padded.narrow(axis, 0, count).clone()
        for step in range(1, 2 * by + 1):
            total += padded.narrow(axis, step, count)
        planes = total / (2 * by + 1)
    return planes


def _each_way(
    planes: torch.Tensor, by: int, pick: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    for axis in (0, 1):
        for _ in range(by):
            count = planes.shape[axis]
            beside = pick(planes.narrow(axis, 0, count - 1), planes.narrow(axis, 1, count - 1))
            # of each pixel and both neighbours: the pairs on both sides of it, and at the ends one pair
            inner = pick(beside.narrow(axis, 0, count - 2), beside.narrow(axis, 1, count - 2))
            planes = torch.cat([beside.narrow(axis, 0, 1), inner, beside.narrow(axis, count - 2, 1)], axis)
    return planes
