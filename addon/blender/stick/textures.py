"""What is stuck to surfaces, texel by texel, and the Images that keep it. Imports bpy, numpy.

Each change makes new Images, with their PNG packed in them, in the place of the old ones: so Blender's undo brings back
the pixels, too, which it does not for an Image that is written to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ...geometry.fill import push_pull
from ...keeping import free_path
from ...keeping.png import encode
from ...problems.errors import ProblemError
from ...problems.sticking import TexturesNotWritten
from .projection import Laid

NEWER = 4.0
"""How much more the newer picture counts where two show a surface equally well."""
FEATHER = 0.15
"""Of the picture's side, over which it fades into what was there at its border."""
LEAST_CLEAR = 0.02
"""What a texel beside a depth edge counts: something where nothing else is known, nothing beside its neighbours."""
LEVEL = 1
"""Of zlib: the file is a third larger than it could be, and made in a fifth of the time."""


class CannotWrite(ProblemError):
    """The textures' folder cannot be written to."""


@dataclass(eq=False)
class Texture:
    """The texels of one image, S x S, the bottom row first, float32.

    ``colours``: x 3, 0 to 1, sRGB. ``cosine``: of the angle that each was seen at, 0 where no picture shows it.
    ``clear``: how far from a depth edge that was, 0 to 1. ``pixels``: of the picture to a texel, where fewest, to 1.
    """

    colours: NDArray[np.float32]
    cosine: NDArray[np.float32]
    clear: NDArray[np.float32]
    pixels: NDArray[np.float32]

    @classmethod
    def new(cls, size: int) -> Texture:
        """Empty, ``size`` x ``size``."""
        zero = np.zeros((3, size, size), np.float32)
        return cls(np.zeros((size, size, 3), np.float32), *zero)

    @classmethod
    def load(cls, image: bpy.types.Image, seen: bpy.types.Image) -> Texture | None:
        """What two Images keep; None where they are no longer what was saved."""
        size = image.size[0]
        if not size or tuple(image.size) != (size, size) or tuple(seen.size) != (size, size) or size & (size - 1):
            return None
        colours, states = _pixels(image), _pixels(seen)
        return cls(colours, *(np.ascontiguousarray(states[..., channel]) for channel in (0, 1, 2)))

    @property
    def size(self) -> int:
        """Texels along a side."""
        return self.cosine.shape[0]

    def grown(self, size: int) -> Texture:
        """The same with more texels."""
        times = size // self.size
        planes = (np.repeat(np.repeat(one, times, 0), times, 1) for one in (self.cosine, self.clear, self.pixels))
        colours = np.repeat(np.repeat(self.colours, times, 0), times, 1)
        cosine, clear, pixels = planes
        return Texture(colours, cosine, clear, pixels / times)

    def take(self, laid: Laid) -> None:
        """Take in what a picture gives: the newer one wins, unless it sees the surface much worse."""
        new = _worth(laid.cosine, laid.clear) * NEWER
        old = _worth(self.cosine, self.clear)
        largest = np.maximum(np.maximum(new, old), 1e-12)
        share = (new / largest) ** 3
        share /= np.maximum(share + (old / largest) ** 3, 1e-12)
        rim = np.clip(laid.rim / FEATHER, 0, 1)
        share *= np.where(self.cosine > 0, rim * rim * (3 - 2 * rim) * laid.gate, laid.gate > 0)
        self.colours += share[..., None] * (laid.colours - self.colours)
        taken = share > 0.5
        self.cosine[taken], self.clear[taken] = laid.cosine[taken], laid.clear[taken]
        self.pixels[taken] = np.minimum(laid.pixels[taken], 1)

    def fill(self) -> None:
        """Give what no picture shows, and what lies beside depth edges, the colours of what is around."""
        self.colours = push_pull(self.colours, _worth(np.minimum(self.cosine * 1e6, 1), self.clear) ** 2)

    def save(self, name: str, old: Kept | None, folder: Path | None) -> Kept:
        """Keep it as Images in place of ``old``. Raises CannotWrite."""
        colours = encode(_bytes(self.colours), level=LEVEL)
        states = encode(_bytes(np.stack([self.cosine, self.clear, self.pixels], -1)), level=LEVEL)
        image = _image(name, self.size, colours, old.image if old is not None else None, folder)
        seen = _image(f"{name} (seen)", self.size, states, old.seen if old is not None else None, None)
        seen.colorspace_settings.name = "Non-Color"
        return Kept(image, seen)


@dataclass(frozen=True)
class Kept:
    """The Images of a texture: its colours, and how its texels were seen."""

    image: bpy.types.Image
    seen: bpy.types.Image


def _worth(cosine: NDArray[np.float32], clear: NDArray[np.float32]) -> NDArray[np.float32]:
    return cosine * (LEAST_CLEAR + (1 - LEAST_CLEAR) * clear)


def _pixels(image: bpy.types.Image) -> NDArray[np.float32]:
    width, height = image.size
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    return np.ascontiguousarray(flat.reshape(height, width, 4)[..., :3])


def _bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.ascontiguousarray((np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)[::-1])


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
