"""Objects that moved between two frames, by id and matrix then and now. numpy only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

STILL = 1e-6
"""Relative to its entries, by which a matrix may differ and is the same: they are float32 on the wire."""


def motions(
    now: Iterable[tuple[int, NDArray[np.floating]]], then: Iterable[tuple[int, NDArray[np.floating]]]
) -> dict[int, NDArray[np.float64]]:
    """Of each object that is elsewhere, by id: 4 x 4, float64, from its place in the world now to the one then.

    ``now``, ``then``: pairs of an id and a matrix to the world. Those in only one of both, and those whose matrix now
    is flat, so that no place on them can be followed, are left out.
    """
    before = {number: np.asarray(matrix, np.float64) for number, matrix in then}
    found = {}
    for number, matrix in now:
        current, earlier = np.asarray(matrix, np.float64), before.get(number)
        if earlier is None or np.allclose(current, earlier, rtol=STILL, atol=STILL * np.abs(current).max()):
            continue
        if abs(np.linalg.det(current)) > 0:
            found[int(number)] = earlier @ np.linalg.inv(current)
    return found
