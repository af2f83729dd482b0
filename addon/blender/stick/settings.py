"""How pictures are laid on surfaces. Standard library only; no bpy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

LEAST_SIZE, MOST_SIZE = 32, 4096


class Layout(Enum):
    """What gets an image: each object one of its own, or all that are stuck at once one atlas."""

    OBJECT = "OBJECT"
    ATLAS = "ATLAS"


@dataclass(frozen=True)
class StickSettings:
    """``texture_size``: the longest side of an image, a power of two; smaller where the picture shows less.

    ``emission``: whether the material shines with its colours, so that no light changes them; else it is lit.
    ``folder``: where images go as PNG files; None packs them into the .blend.
    ``flatten_light``: whether the viewport's own shading is divided out of pictures, see ``flatten``.
    ``density``: texels for a pixel of the picture, along a line. ``band``: pixels of the picture beside a depth edge
    that may show what is behind or before; they count for nothing where their surface is seen farther inside, too.
    """

    texture_size: int = 2048
    layout: Layout = Layout.OBJECT
    emission: bool = True
    folder: Path | None = None
    flatten_light: bool = False
    density: float = 1.1
    band: float = 3.0

    def __post_init__(self) -> None:
        """Raise ValueError with the setting, its value and the rule."""
        size = self.texture_size
        if size & (size - 1) or not LEAST_SIZE <= size <= MOST_SIZE:
            raise ValueError(f"the texture size is {size}: it must be a power of two from {LEAST_SIZE} to {MOST_SIZE}")
        if not 0 < self.density <= 8:
            raise ValueError(f"the density is {self.density}: it must be above 0 and at most 8")
        if not 0 <= self.band <= 64:
            raise ValueError(f"the band is {self.band} pixels: it must be from 0 to 64")
