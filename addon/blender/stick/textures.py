"""What is stuck to surfaces, texel by texel, and the Images that keep it. Imports bpy, numpy.

Each change makes new Images, with their PNG packed in them, in the place of the old ones: so Blender's undo brings back
the pixels, too, which it does not for an Image that is written to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...geometry.fill import extended, push_pull
from ...keeping import free_path
from ...keeping.png import encode
from ...problems.errors import ProblemError
from ...problems.sticking import TexturesNotWritten
from .meshes import Triangles
from .projection import Laid

NEWER = 4.0
"""How much more the newer picture counts where two show a surface equally well."""
FEATHER = 0.15
"""Of the picture's side, over which it fades into what was there at its border."""
LEAST_CLEAR = 0.02
"""What a texel beside a depth edge counts: something where nothing else is known, nothing beside its neighbours."""
UNDER = 0.05
"""What a colour counts that comes along the mesh from elsewhere: nothing beside what is seen, all far from it."""
INWARDS = 0.15
"""Of the way from a triangle's corner to its middle, where the colour is looked up that the corner has."""
LEVEL = 1
"""Of zlib: the file is a third larger than it could be, and made in a fifth of the time."""


class CannotWrite(ProblemError):
    """The textures' folder cannot be written to."""


@dataclass(eq=False)
class Texture:
    """The texels of one image, the bottom row first, uint8, S x S x 3 each.

    ``colours``: sRGB. ``states``: the cosine of the angle that a texel was seen at, 0 where no picture shows it; how
    far from a depth edge that was; and pixels of the picture to a texel, where fewest. 255 is 1.
    """

    colours: NDArray[np.uint8]
    states: NDArray[np.uint8]
    changed: bool = False
    """Whether a picture has been taken in since it was kept."""

    @classmethod
    def new(cls, size: int) -> Texture:
        """Empty, ``size`` x ``size``."""
        return cls(np.zeros((size, size, 3), np.uint8), np.zeros((size, size, 3), np.uint8))

    @classmethod
    def load(cls, kept: Kept) -> Texture | None:
        """What two Images keep; None where they are no longer what was saved."""
        sizes = [*kept.image.size, *kept.seen.size]
        size = int(sizes[0])
        fits = all(other == size for other in sizes)
        if not size or not fits or size & (size - 1):
            return None
        return cls(_pixels(kept.image), _pixels(kept.seen))

    @property
    def size(self) -> int:
        """Texels along a side."""
        return self.states.shape[0]

    def grown(self, size: int) -> Texture:
        """The same with more texels."""
        times = size // self.size
        colours, states = (np.repeat(np.repeat(one, times, 0), times, 1) for one in (self.colours, self.states))
        states[..., 2] //= times
        return Texture(colours, states)

    def take(self, laid: Laid, newer: float = NEWER) -> float:
        """Take in what a picture gives. ``newer``: how much more it counts than what is there: then it wins, unless
        it sees the surface much worse.

        Returns how much of the surface a picture has shown by now.
        """
        where = np.flatnonzero(laid.colours[..., 3])
        self.changed |= len(where) > 0
        colours, states = self.colours.reshape(-1, 3), self.states.reshape(-1, 3)
        quality = laid.quality.reshape(-1, 4)[where]
        cosine, before = laid.colours.reshape(-1, 4)[where, 3], states[where]
        new = _worth(cosine, quality[:, 0]) * _detail(quality[:, 2]) * np.float32(newer)
        old = _worth(before[:, 0], before[:, 1]) * _detail(before[:, 2])
        largest = np.maximum(np.maximum(new, old), 1e-12)
        share, other = (new / largest) ** 3, (old / largest) ** 3
        share /= share + other
        rim = np.clip(quality[:, 1] * np.float32(1 / (510 * FEATHER)), 0, 1)
        gate = np.maximum(quality[:, 3].astype(np.float32) - 128, 0) / 127
        share *= np.where(before[:, 0] > 0, rim * rim * (3 - 2 * rim) * gate, gate > 0)
        given = laid.colours.reshape(-1, 4)[where, :3].astype(np.float32)
        colours[where] = (colours[where] * (1 - share[:, None]) + given * share[:, None] + 0.5).astype(np.uint8)
        taken = share > 0.5
        states[where[taken]] = np.stack([cosine, quality[:, 0], quality[:, 2]], 1)[taken]
        surface = laid.quality[..., 3] > 0
        return float((self.states[..., 0][surface] > 0).mean()) if surface.any() else 0.0

    def at_corners(self, mesh: Triangles) -> NDArray[np.float32]:
        """What is seen at the corners of ``mesh``, float32, 3 T x 4: a colour, and 1 where there is one; else 0."""
        corners = mesh.uv.reshape(-1, 3, 2)
        inside = corners + INWARDS * (corners.mean(1, keepdims=True) - corners)
        texel = np.clip(inside.reshape(-1, 2) * self.size, 0, self.size - 1).astype(np.intp)
        states = self.states[texel[:, 1], texel[:, 0]]
        known = (states[:, 0] > 0) & (states[:, 1] >= 128)
        colours = self.colours[texel[:, 1], texel[:, 0]].astype(np.float32) / 255
        return np.concatenate([colours, known[:, None]], 1).astype(np.float32) * known[:, None]

    def fill(self, rows: int, under: NDArray[np.uint8] | None = None) -> None:
        """Give what no picture shows, and what lies beside depth edges, the colours of what is around.

        ``rows``: of the image, from its first, that have surfaces. ``under``: uint8, S x S x 4, what is known of it
        from elsewhere on the mesh; alpha 0 where nothing is.
        """
        rows = min(-(-rows // 2) * 2, self.size)
        colours, states = self.colours[:rows], self.states[:rows]
        weights = _CLEAR[states[..., 1]]
        unseen = states[..., 0] == 0
        weights[unseen] = 0
        if under is not None:
            there = unseen & (under[:rows, :, 3] > 127)
            colours[there] = under[:rows][there, :3]
            weights[there] = UNDER
        if not weights.any():
            return
        extended(colours, weights)
        push_pull(colours, weights)
        self.colours[rows:] = colours[-1:].mean((0, 1)) if rows < self.size else 0

    def save(self, name: str, old: Kept | None, folder: Path | None) -> Kept:
        """Keep it as Images in place of ``old``. Raises CannotWrite."""
        self.changed = False
        colours = encode(self.colours[::-1], level=LEVEL)
        states = encode(self.states[::-1], level=LEVEL)
        image = _image(name, self.size, colours, old.image if old is not None else None, folder)
        seen = _image(f"{name} (seen)", self.size, states, old.seen if old is not None else None, None)
        seen.colorspace_settings.name = "Non-Color"
        return Kept(image, seen)


@dataclass(frozen=True)
class Kept:
    """The Images of a texture: its colours, and how its texels were seen."""

    image: bpy.types.Image
    seen: bpy.types.Image


_CLEAR = ((LEAST_CLEAR + np.arange(256) * ((1 - LEAST_CLEAR) / 255)) ** 2).astype(np.float32)
"""What a texel counts when gaps are filled, by how far from a depth edge it was seen, 0 to 255."""


def _worth(cosine: NDArray[np.uint8], clear: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What texels count, of both 0 to 255: 0 to 1."""
    return cosine * np.float32(1 / 255) * (np.float32(LEAST_CLEAR) + clear * np.float32((1 - LEAST_CLEAR) / 255))


def _detail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a texel counts for the pixels that it was made of: one that was seen from afar counts less."""
    return np.float32(0.1) + pixels * np.float32(0.9 / 255)


def _pixels(image: bpy.types.Image) -> NDArray[np.uint8]:
    size: Any = image.size
    width, height = size
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    return (flat.reshape(height, width, 4)[..., :3] * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _image(name: str, size: int, data: bytes, old: bpy.types.Image | None, folder: Path | None) -> bpy.types.Image:
    path = _written(folder, name, data) if folder is not None else None
    if old is not None:
        name = old.name
        old.name = f"{name} "  # the new one takes its name
    if path is not None:
        image = bpy.data.images.load(str(path))
        image.name = name
    else:
        image = bpy.data.images.new(name, size, size)
        image.source = "FILE"
        image.pack(data=data, data_len=len(data))
        image.update_tag()  # 5.2 keeps a copy of each image for drawing, and makes it anew only when told
    if old is not None:
        old.user_remap(image)
        bpy.data.images.remove(old)
    return image


def _written(folder: Path, name: str, data: bytes) -> Path:
    safe = "".join(letter if letter.isalnum() or letter in " -_." else "_" for letter in name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = free_path(folder, safe)
        path.write_bytes(data)
    except OSError as error:
        raise CannotWrite(TexturesNotWritten(str(folder), error.strerror or str(error))) from None
    return path
