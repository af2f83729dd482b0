"""Measures of generated pictures against real ones. numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.training.attributes import ATTRIBUTES

STRONG_DEPTH_EDGE = 0.06  # jump of inverse depth (0..1) between neighbours
PICTURE_EDGE = 0.05  # jump of grey (0..1) between neighbours, after a 3 x 3 mean
REACH = 2  # pixels


def accuracies(guesses: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
    """Return the share of right guesses, (N, 4) against (N, 4), for each attribute."""
    return {name: float((guesses[:, j] == labels[:, j]).mean()) for j, name in enumerate(ATTRIBUTES)}


def structure(pictures: NDArray[Any], depths: NDArray[Any]) -> float:
    """Return the share of strong depth edges with a picture edge within 2 pixels.

    pictures: uint8 (N, H, W, 3). depths: uint8 (N, H, W).
    """
    grey = pictures.astype(np.float32).mean(3) / 255
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = grey.shape[1:]
    smooth = np.mean([padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)], 0)
    drawn = jumps(smooth) > PICTURE_EDGE
    near = np.zeros_like(drawn)
    wide = np.pad(drawn, ((0, 0), (REACH, REACH), (REACH, REACH)))
    for y in range(2 * REACH + 1):
        for x in range(2 * REACH + 1):
            near |= wide[:, y : y + height, x : x + width]
    strong = jumps(depths.astype(np.float32) / 255) > STRONG_DEPTH_EDGE
    return float(near[strong].mean())


def jumps(planes: NDArray[Any]) -> NDArray[Any]:
    """Return the larger of the differences to the neighbours right and below, (N, H, W)."""
    out = np.zeros_like(planes)
    out[:, :, :-1] = np.abs(np.diff(planes, axis=2))
    out[:, :-1] = np.maximum(out[:, :-1], np.abs(np.diff(planes, axis=1)))
    return out


def frechet(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the Fréchet distance between Gaussians fitted to two sets of features, (N, F) and (M, F).

    |mean difference|^2 + tr(A + B - 2 sqrt(A B)), as the FID has it (arXiv 1706.08500).
    """
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    mixed = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(min=0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * mixed)
