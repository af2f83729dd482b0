"""Finished pictures turned into fog, watercolour or pencil by arithmetic on pixels. numpy only, no bpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
FOG = np.array([0.80, 0.82, 0.84])


def smooth(plane: Plane, sigma: float) -> Plane:
    """Return a Gaussian blur of an (H, W) plane, edges repeated; `sigma` in pixels."""
    reach = max(1, int(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        wide = np.pad(plane, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        length = plane.shape[axis]
        plane = sum(k * wide.take(range(i, i + length), axis) for i, k in enumerate(kernel))
    return plane


def grain(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> Plane:
    """Return smooth noise of unit spread."""
    noise = smooth(rng.standard_normal(shape), sigma)
    return noise / noise.std()


def slopes(plane: Plane) -> Plane:
    """Return the length of the gradient, (H, W)."""
    return np.hypot(*np.gradient(plane))


def fogged(picture: Plane, distance: Plane, amount: float = 0.10) -> Plane:
    """Lay fog over a picture (H, W, 3), 0..1; distance (H, W) in scene units, infinite for the sky."""
    keep = np.exp(-amount * np.maximum(np.where(np.isinf(distance), 1e3, distance) - 3, 0))[..., None]
    return picture * keep + FOG * (1 - keep)


def repaint(picture: Plane, distance: Plane, medium: str, rng: np.random.Generator) -> Plane:
    """Turn a rendered picture (H, W, 3), 0..1, into ``medium``, lines taken from its depth.

    "watercolor", "pencil sketch", and of the second generation "gouache" and "ink".
    """
    low, high = np.percentile(picture, (2, 98))
    picture = np.clip((picture - low) / max(high - low, 0.05), 0, 1)
    inverse = np.where(np.isinf(distance), 0, 1 / np.maximum(distance, 0.1)) * 6
    grey = picture.mean(2)
    line = np.clip(slopes(inverse) * 3 + slopes(smooth(grey, 0.8)) * 1.6 - 0.06, 0, 1)
    paper = 0.96 + 0.012 * grain(grey.shape, 0.7, rng)
    if medium == "gouache":
        return daubed(picture, paper, rng)
    if medium == "ink":
        return inked(grey, line, paper)
    return sketched(grey, line, paper) if medium == "pencil sketch" else washed(picture, line, paper, rng)


def daubed(picture: Plane, paper: Plane, rng: np.random.Generator) -> Plane:
    """Opaque flat strokes: the mean colours of patches that follow the picture's own edges, in a few tones."""
    shape = picture.shape[:2]
    y, x = np.mgrid[: shape[0], : shape[1]]
    scale = shape[0] / 256
    wander = [np.round(3.0 * scale * grain(shape, 5 * scale, rng)).astype(int) for _ in range(2)]
    moved = picture[(y + wander[0]).clip(0, shape[0] - 1), (x + wander[1]).clip(0, shape[1] - 1)]
    soft = np.stack([smooth(moved[..., c], 1.2 * scale) for c in range(3)], 2)
    value = soft.mean(2)
    steps = (np.round(value * 9 + 0.3 * grain(shape, 3 * scale, rng)) / 9).clip(0.04, 1)
    colour = soft * (steps / np.maximum(value, 0.04))[..., None]
    colour = colour + 0.25 * (colour - colour.mean(2, keepdims=True))
    stroke = 0.02 * grain(shape, 1.0, rng) + (paper - 0.96)
    return np.clip(colour + stroke[..., None], 0, 1)


def inked(grey: Plane, line: Plane, paper: Plane) -> Plane:
    """Black lines, solid blacks, and hatching in the shades between."""
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    tone = smooth(grey, 1.5)
    hatch = (np.sin((x + y) * 1.1) > tone * 6 - 1.6) & (tone < 0.45)
    black = np.maximum((line > 0.18) * 1.0, np.maximum(hatch * 0.9, np.clip((0.14 - tone) * 20, 0, 1)))
    return np.repeat(np.clip(paper - 0.94 * smooth(black, 0.5), 0, 1)[..., None], 3, 2)


def sketched(grey: Plane, line: Plane, paper: Plane) -> Plane:
    """Pencil lines, with hatching where it is dark."""
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    tone = smooth(grey, 1.5)
    hatch = (np.sin((x + y) * 0.9) > tone * 5 - 1.0) * 0.22 + (np.sin((x - y) * 0.9) > tone * 6 - 0.2) * 0.22
    out = np.clip(paper - line * 0.95 - hatch * (tone < 0.5), 0, 1)
    return np.repeat(out[..., None], 3, 2)


def washed(picture: Plane, line: Plane, paper: Plane, rng: np.random.Generator) -> Plane:
    """Flat washes whose pigment gathers at their rims and in the grain of the paper, over thin pencil lines."""
    shape = picture.shape[:2]
    soft = np.stack([smooth(picture[..., c], 1.4) for c in range(3)], 2)
    wander = 0.35 * grain(shape, 6, rng)
    levels = np.round(soft.mean(2) * 6 + wander) / 6
    shade = np.clip(levels, 0, 1) / np.maximum(soft.mean(2), 0.05)
    wash = np.clip(0.45 * soft + 0.55 * soft * shade[..., None], 0, 1)
    wash = 0.14 + 0.86 * np.clip(wash + 0.25 * (wash - wash.mean(2, keepdims=True)), 0, 1)
    rim = np.clip(slopes(smooth(levels, 0.8)) * 2.2, 0, 0.35)
    density = np.clip(0.9 + 0.08 * grain(shape, 14, rng) + 0.04 * grain(shape, 1.0, rng) + rim, 0.6, 1.3)
    pigment = 1 - (1 - wash) * density[..., None]
    return np.clip(pigment * paper[..., None] - (line * 0.3)[..., None], 0, 1)
