"""``addon.geometry`` for tensors on any device. torch and addon.geometry; no models, no requests."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
import numpy as np

from addon.geometry.camera import Camera, between

EDGE = 0.01
REACH = 3
TOLERANCE = 0.01


def numbers(camera: Camera, inverse: torch.Tensor) -> torch.Tensor:
    height, width = inverse.shape
    x = (torch.arange(width, device=inverse.device) + 0.5) * (2 / width) - 1
    y = 1 - (torch.arange(height, device=inverse.device) + 0.5) * (2 / height)
    x, y = x[None].expand(height, width), y[:, None].expand(height, width)
    one = torch.ones_like(inverse)
    if camera.is_orthographic:
        return torch.stack([x * inverse, y * inverse, one, inverse])
    return torch.stack([x, y, one, inverse])


def edge_distance(inverse: torch.Tensor, reach: int = REACH) -> torch.Tensor:
    """uint8 H x W: 0 beside a depth edge, ... reach: far from one."""
    touched = torch.zeros_like(inverse, dtype=torch.bool)
    for axis in (0, 1):
        jump = inverse.diff(dim=axis).abs()
        pad = (1, 1) if axis == 1 else (0, 0, 1, 1)
        around = F.pad(jump[None], pad if axis == 1 else (0, 0, 1, 1), value=0.0)[0]
        n = jump.shape[axis]
        least = torch.minimum(around.narrow(axis, 0, n), around.narrow(axis, 2, n))
        size = torch.maximum(inverse.narrow(axis, 0, n), inverse.narrow(axis, 1, n))
        crack = jump > 2 * least + EDGE * size
        touched.narrow(axis, 0, n).logical_or_(crack)
        touched.narrow(axis, 1, n).logical_or_(crack)
    result = torch.full_like(inverse, reach, dtype=torch.uint8)
    near = touched
    layers = [near]
    for _ in range(reach - 1):
        near = F.max_pool2d(near[None, None].float(), 3, 1, 1)[0, 0] > 0
        layers.append(near)
    for index in range(reach - 1, -1, -1):
        result[layers[index]] = index
    return result


def slopes(inverse: torch.Tensor) -> torch.Tensor:
    """d inverse / d x and d y (device coordinates), 2 x H x W: the smaller of both sides."""
    height, width = inverse.shape
    out = []
    for axis, scale in ((1, width / 2), (0, -height / 2)):
        step = inverse.diff(dim=axis)
        n = inverse.shape[axis]
        first, last = step.narrow(axis, 0, 1), step.narrow(axis, n - 2, 1)
        back, forth = torch.cat([first, step], axis), torch.cat([step, last], axis)
        out.append(torch.where(back.abs() < forth.abs(), back, forth) * scale)
    return torch.stack(out)
