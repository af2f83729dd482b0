"""Planes made small for a slow link: JPEG for pictures, packed differences for depth. numpy and simplejpeg; no I/O.

Measured at 512 x 512 on one core: JPEG 0.8 ms each way, 40 kB for 786 kB. PNG's way (differences, zlib) would take
25 to 50 ms for 210 to 270 kB. Depth keeps 12 of its 16 bits, exactly: 1.2 ms and 20 kB for 524 kB, where all 16 bits
take 22 ms and 53 kB. An edge in depth must stay an edge, so it is never a JPEG; the models that read it see 8 bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..wire import ProtocolError
from ..wire.planes import SMALL, Squeeze

try:
    import simplejpeg
except ImportError:  # no wheel of it fits this Python or this machine: pictures stay as they are
    simplejpeg = None

ENCODINGS: tuple[str, ...] = ("jpeg", "u12z") if simplejpeg is not None else ("u12z",)
"""What both functions know here."""
QUALITY = 92
LEVEL = 1
"""zlib's fastest: higher ones take longer than they save."""


def squeezer(encodings: Collection[str]) -> Squeeze:
    """Return a :func:`squeeze` that leaves planes as they are whose encoding is not among ``encodings``."""
    return lambda name, plane: squeeze(name, plane) if SMALL[name] in encodings else None


def squeeze(name: str, plane: NDArray[Any]) -> tuple[str, bytes]:
    """Return encoding and bytes of ``plane``: ``image`` uint8 H x W x 3, ``inverse_depth`` uint16 H x W."""
    if name == "image":
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(plane), quality=QUALITY, colorsubsampling="444")
        return "jpeg", data
    levels = (plane >> 4).astype("<u2")
    steps = levels.copy()
    steps[1:] -= levels[:-1]
    halves = steps.view(np.uint8).reshape(*plane.shape, 2)
    return "u12z", zlib.compress(halves.transpose(2, 0, 1).tobytes(), LEVEL)


def stretch(encoding: str, data: bytes, height: int, width: int) -> NDArray[Any]:
    """Return the plane in ``data``. Raises ProtocolError unless it is one of exactly ``height`` x ``width``.

    The size is read from the data, and the room that they may take is bounded, before anything is allocated.
    """
    if encoding == "jpeg":
        if simplejpeg is None:
            raise ProtocolError("a plane is a JPEG, which was not agreed on: nothing here can read it")
        try:
            tall, wide, _, _ = simplejpeg.decode_jpeg_header(data)
            if (tall, wide) == (height, width):
                image: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB")
                return image
        except ValueError as error:
            raise ProtocolError(f"a plane is no JPEG: {str(error)[:100]}") from None
        raise ProtocolError(f"a plane's JPEG is {wide} x {tall}, but its entry says {width} x {height}")
    size = height * width * 2
    try:
        raw = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error as error:
        raise ProtocolError(f"a plane of depth can't be unpacked: {error}") from None
    if len(raw) != size:
        raise ProtocolError(f"a plane of depth unpacks to other than the {size} bytes of {width} x {height}")
    halves = np.frombuffer(raw, np.uint8).reshape(2, height, width)
    steps = halves[0].astype(np.uint16) | halves[1].astype(np.uint16) << 8
    levels = np.cumsum(steps, axis=0, dtype=np.uint16) & 0xFFF
    return levels << 4 | levels >> 8
