"""Flatten light: the viewport's own shading divided out of a picture. Imports bpy, numpy.

The view is drawn twice: as it is, and without light. What the first is brighter or darker than the second is the
viewport's shading. A picture may follow it wholly, in part or not at all, so it is divided out with the exponent that
fits the picture best, found for each object by least squares of logarithms.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...geometry.shading import divide_out
from ..capture.flat_space import flat_space
from ..capture.offscreen import Capturer
from ..capture.view import View


def flattened(view: View, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``picture`` (uint8, H x W x 3, sRGB) of ``view`` without the viewport's light. Raises RuntimeError."""
    height, width = picture.shape[:2]
    capturer = Capturer(patient=True)
    try:
        lit = capturer.draw(view, width, height, ids=True)
        with flat_space(view.space) as flat:
            unlit = capturer.draw(replace(view, space=flat), width, height, depth=False)
    finally:
        capturer.free()
    ids = lit.ids if lit.ids is not None else np.ones((height, width), np.uint16)
    return divide_out(picture, lit.image, unlit.image, ids)
