"""Whether two captures show the same. Standard library and numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IMAGE_LEVELS = 2
"""Of 255. Blender may draw an unchanged view with a few pixels a level brighter or darker than before."""
DEPTH_LEVELS = 32
"""Of 65535."""


def are_alike(first: NDArray[np.uint8 | np.uint16] | None, second: NDArray[np.uint8 | np.uint16] | None) -> bool:
    """Whether two planes, uint8 images or uint16 inverse depths, differ by no more than a drawing's own noise."""
    if first is None or second is None:
        return first is second
    if first.shape != second.shape:
        return False
    if np.array_equal(first, second):
        return True
    levels = IMAGE_LEVELS if first.dtype == np.uint8 else DEPTH_LEVELS
    return bool((np.maximum(first, second) - np.minimum(first, second)).max() <= levels)
