"""The picture on show as a texture, made once for all who draw it. Imports bpy and gpu."""

from __future__ import annotations

import bpy
import gpu
import numpy as np
from numpy.typing import NDArray

from .live_image import rgba

IS_LINEAR = bpy.app.version < (5, 0, 0)
"""Before 5.0 the shader IMAGE takes linear values, which its sRGB texture gives; since then it takes sRGB."""

_made: tuple[NDArray[np.uint8], gpu.types.GPUTexture] | None = None


def texture_of(image: NDArray[np.uint8]) -> gpu.types.GPUTexture:
    """The texture of ``image`` (uint8, H x W x 3, sRGB, top row first), bottom row first, as :data:`IS_LINEAR` says."""
    global _made
    if _made is None or _made[0] is not image:
        height, width = image.shape[:2]
        pixels = rgba(image)
        buffer = gpu.types.Buffer("FLOAT", pixels.size, pixels.ravel())
        _made = image, gpu.types.GPUTexture((width, height), format="SRGB8_A8" if IS_LINEAR else "RGBA8", data=buffer)
    return _made[1]


def forget() -> None:
    """Leave nothing on the GPU; the next picture is made into one again."""
    global _made
    _made = None
