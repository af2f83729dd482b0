"""Planes to tensors on the device and back. torch and numpy, no models."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from .cache import Recent

KEPT_BUFFERS = 48
"""A frame has four, and up to eight frames are made in one go."""


class Transfer:
    """Moves planes to the device and pictures back; staging buffers are kept, pinned for CUDA.

    ``slot``: which of the frames that are made in one go a plane belongs to; each has a buffer, as its copy may still
    be under way when the next is uploaded.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers: Recent[torch.Tensor] = Recent(KEPT_BUFFERS)

    def upload_image(self, image: NDArray[np.uint8], slot: int = 0) -> torch.Tensor:
        """uint8 H x W x 3 to uint8 H x W x 3 on the device."""
        staging = self._staging(f"image {slot}", image.shape, torch.uint8)
        np.copyto(staging.numpy(), image)
        return staging.to(self._device, non_blocking=True)

    def upload_depth(self, inverse_depth: NDArray[np.uint16], slot: int = 0) -> torch.Tensor:
        """uint16 H x W to float32 0..1 (near is 1), H x W, on the device."""
        staging = self._staging(f"depth {slot}", inverse_depth.shape, torch.float32)
        np.multiply(inverse_depth, np.float32(1 / 65535), out=staging.numpy())
        return staging.to(self._device, non_blocking=True)

    def send(self, result: torch.Tensor, slot: int = 0) -> torch.Tensor:
        """Begin the way of ``result`` to main memory: where it lies after :meth:`wait`, until ``slot``'s next."""
        if self._device.type != "cuda":
            return result.cpu()
        staging = self._staging(f"result {slot}", tuple(result.shape), result.dtype)
        return staging.copy_(result, non_blocking=True)

    def wait(self) -> None:
        """Wait for all that is under way."""
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()

    def own(self, picture: torch.Tensor) -> NDArray[np.uint8]:
        """uint8 H x W x 3 that has come back, as an array that is the caller's own."""
        return picture.numpy().copy() if self._device.type == "cuda" else picture.numpy()

    def clear(self) -> None:
        self._buffers.clear()

    def _staging(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        pinned = self._device.type == "cuda"
        return self._buffers.get((name, shape), lambda: torch.empty(shape, dtype=dtype, pin_memory=pinned))


def resize_to(planes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """N x C x H x W float to N x C x height x width, filtered so that nothing aliases when it gets smaller."""
    if planes.shape[-2:] == (height, width):
        return planes
    return F.interpolate(planes, (height, width), mode="bilinear", antialias=True)


def as_picture(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """uint8 H x W x 3 to uint8 height x width x 3."""
    if image.shape[:2] == (height, width):
        return image
    planes = resize_to(image.permute(2, 0, 1)[None].to(torch.float32), height, width)
    return planes[0].permute(1, 2, 0).round_().clamp_(0, 255).to(torch.uint8).contiguous()


def to_model(image: torch.Tensor, height: int, width: int, dtype: torch.dtype) -> torch.Tensor:
    """uint8 H x W x 3 to 1 x 3 x height x width in -1..1, channels last in memory."""
    planes = image.permute(2, 0, 1).unsqueeze(0).to(torch.float32)  # a view of H x W x 3: already channels last
    return resize_to(planes, height, width).mul(1 / 127.5).sub(1).to(dtype, memory_format=torch.channels_last)


def from_model(decoded: torch.Tensor) -> torch.Tensor:
    """1 x 3 x H x W in -1..1 to uint8 H x W x 3, rounded as diffusers does it."""
    picture = decoded[0].permute(1, 2, 0).to(torch.float32).mul(127.5).add(127.5)
    return picture.round_().clamp_(0, 255).to(torch.uint8).contiguous()
