"""Colours along the edges of a mesh, from the vertices where they are known to all others. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMOOTHINGS = 8
MOST = 512
"""Edges that a colour goes at most."""


def spread(
    colours: NDArray[np.float32], known: NDArray[np.bool_], first: NDArray[np.intp], second: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Colours (V x C) of all vertices that edges connect with a ``known`` one, and which these are.

    ``first``, ``second``: the ends of each edge. What is known stays; the rest is the mean of its neighbours.
    """
    result, reached = np.where(known[:, None], colours, 0).astype(np.float32), known.copy()
    here, there = np.concatenate([first, second]), np.concatenate([second, first])
    for _ in range(MOST):
        open_edges = reached[here] & ~reached[there]
        if not open_edges.any():
            break
        total, count = _sums(result, here[open_edges], there[open_edges])
        new = count > 0
        result[new] = total[new] / count[new, None]
        reached |= new
    loose = reached & ~known
    if loose.any():
        inner = loose[there] & reached[here]
        here, there = here[inner], there[inner]
        for _ in range(SMOOTHINGS):
            total, count = _sums(result, here, there)
            result[loose] = total[loose] / np.maximum(count[loose, None], 1)
    return result, reached


def _sums(
    values: NDArray[np.float32], source: NDArray[np.intp], target: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """By vertex, the sum of what its edges bring, and how many do."""
    count = np.bincount(target, minlength=len(values))
    total = np.stack([np.bincount(target, plane, len(values)) for plane in values[source].T], 1)
    return total.astype(np.float32), count
