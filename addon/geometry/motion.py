"""Objects that moved between two frames, by id and matrix then and now. numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STILL = 1e-6
"""Of a matrix's largest entry, by which it may differ and is the same: they are float32 on the wire."""


def motions(now: NDArray[Any], then: NDArray[Any]) -> dict[int, NDArray[np.float64]]:
    """Of each object that is elsewhere, by id: 4 x 4, float64, from its place in the world now to the one then.

    ``now``, ``then``: arrays with the fields ``id``, each once, and ``world``, 4 x 4, to the world. Those in only one
    of both, and those whose matrix now is flat, so that no place on them can be followed, are left out.
    """
    _, here, there = np.intersect1d(now["id"], then["id"], assume_unique=True, return_indices=True)
    current, earlier = now["world"][here].astype(np.float64), then["world"][there].astype(np.float64)
    if not len(current):
        return {}
    moved = np.abs(current - earlier).max((1, 2)) > STILL * np.abs(current).max((1, 2))
    moved &= np.abs(np.linalg.det(current)) > 0
    return {int(now["id"][here[n]]): earlier[n] @ np.linalg.inv(current[n]) for n in np.nonzero(moved)[0]}
