"""Shading divided out of a picture. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DARKEST = 0.02
"""Of white, in linear light: below it there is no telling shading from colour."""
MOST = 6.0
"""By what a pixel is made brighter or darker at most."""
FEWEST = 64
"""Pixels of an object from which the fit is its own."""


def divide_out(
    picture: NDArray[np.uint8], lit: NDArray[np.uint8], unlit: NDArray[np.uint8], ids: NDArray[np.uint16]
) -> NDArray[np.uint8]:
    """``picture`` without the shading that ``lit`` has over ``unlit``, each uint8, H x W x 3, sRGB.

    ``ids``: uint16, H x W, which object each pixel shows, 0 for none, whose pixels stay. In linear light the shading
    is the ratio of the two luminances; of each object, it is divided out to the power, 0 to 1, by which the picture
    follows it. An object's mean brightness stays.
    """
    light = [np.log(np.maximum(_luminance(to_linear(one)), DARKEST)) for one in (lit, unlit, picture)]
    shading, painted = light[0] - light[1], light[2]
    exponent, middle = np.zeros_like(shading), np.zeros_like(shading)
    everything = ids > 0
    common = _slope(shading[everything], painted[everything]) if everything.any() else 0.0
    for number in np.unique(ids[everything]):
        where = ids == number
        few = int(where.sum()) < FEWEST
        exponent[where] = common if few else _slope(shading[where], painted[where])
        middle[where] = shading[where].mean()
    gain = np.clip(np.exp(-exponent * (shading - middle)), 1 / MOST, MOST)
    return np.where(everything[..., None], to_srgb(to_linear(picture) * gain[..., None]), picture)


def to_linear(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """sRGB, uint8, to linear light, 0 to 1 (IEC 61966-2-1)."""
    steps = np.arange(256) / 255
    table = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return table[image]


def to_srgb(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The way back."""
    light = np.clip(light, 0, 1)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return (encoded * 255 + 0.5).astype(np.uint8)


def _slope(shading: NDArray[np.float32], painted: NDArray[np.float32]) -> float:
    """By which power ``painted`` follows ``shading``, both logarithms: 0 to 1."""
    across = shading - shading.mean()
    spread = float((across**2).mean())
    if spread < 1e-4:  # evenly lit: nothing to divide out
        return 0.0
    return float(np.clip((across * (painted - painted.mean())).mean() / spread, 0, 1))


def _luminance(light: NDArray[np.float32]) -> NDArray[np.float32]:
    return light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
