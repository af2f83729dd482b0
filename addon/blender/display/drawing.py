"""Plain shapes and text in a region's pixels, for what is drawn over the editors. Imports gpu and blf."""

from __future__ import annotations

from collections.abc import Sequence

import blf
import gpu
from gpu_extras.batch import batch_for_shader

Colour = Sequence[float]
AMBER = (1.0, 0.62, 0.05, 1.0)
FONT = 0
STRIP = (0, 1, 3, 2)
"""Four corners in the order of a strip of triangles."""


def quad(corners: Sequence[Sequence[float]], colour: Colour) -> None:
    """Fill a convex shape of four corners, given in their order round it; ``colour``: RGBA, 0 to 1."""
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    batch = batch_for_shader(shader, "TRI_STRIP", {"pos": [tuple(corners[n]) for n in STRIP]})
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("color", tuple(colour))
    batch.draw(shader)
    gpu.state.blend_set("NONE")


def box(left: float, bottom: float, right: float, top: float, colour: Colour) -> None:
    """Fill a rectangle."""
    quad(((left, bottom), (right, bottom), (right, top), (left, top)), colour)


def frame(left: float, bottom: float, right: float, top: float, colour: Colour, width: float = 3.0) -> None:
    """A frame of ``width`` pixels just inside a rectangle."""
    box(left, bottom, right, bottom + width, colour)
    box(left, top - width, right, top, colour)
    box(left, bottom, left + width, top, colour)
    box(right - width, bottom, right, top, colour)


def text(words: str, x: float, y: float, size: float, colour: Colour) -> None:
    """Write from ``x`` on, on the line ``y``; ``size`` in pixels."""
    blf.size(FONT, size)
    blf.color(FONT, *colour)
    blf.position(FONT, x, y, 0)
    blf.draw(FONT, words)


def width_of(words: str, size: float) -> float:
    """How wide ``words`` are, in pixels."""
    blf.size(FONT, size)
    return blf.dimensions(FONT, words)[0]
