"""Planes compressed for a slow link: JPEG for pictures, packed differences for all else. numpy and simplejpeg; no I/O.

Measured at 512 x 512 on one core: JPEG 0.8 ms each way, 40 kB for 786 kB. PNG's way (differences, zlib) would take
25 to 50 ms for 210 to 270 kB. Depth keeps 12 of its 16 bits, exactly: 1.2 ms and 20 kB for 524 kB, where all 16 bits
take 22 ms and 53 kB. An edge in depth must stay an edge, so it is never a JPEG; the models that read it see 8 bits.
What is nearly the same all over, such as ids, is packed without loss.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..untrusted.jpeg import NotBaseline, baseline_size
from ..wire import PLANES, ProtocolError
from ..wire.planes import Squeeze

try:
    import simplejpeg
except ImportError:  # no wheel of it fits this Python or this machine: pictures stay as they are
    simplejpeg = None

_KNOWN = {plane.small: None for plane in PLANES.values() if plane.small is not None}
ENCODINGS: tuple[str, ...] = tuple(name for name in _KNOWN if name != "jpeg" or simplejpeg is not None)
"""What both functions know here."""
QUALITIES = (92, 80, 60)
"""Of JPEGs: the first that gives a picture of :data:`MOST_JPEG` bytes at most; where none does, it is sent as it is."""
MOST_JPEG = 1_500_000
"""Bytes. To decode one of 2048 x 2048 with 8 MB would keep Blender for 130 ms."""
LEVEL = 1
"""zlib's fastest: higher ones take longer than they save."""


def squeezer(encodings: Collection[str]) -> Squeeze:
    """Return a :func:`squeeze` that leaves planes as they are whose encoding is not among ``encodings``."""
    return lambda name, plane: squeeze(name, plane) if PLANES[name].small in encodings else None


def squeeze(name: str, plane: NDArray[Any]) -> tuple[str, bytes] | None:
    """Return encoding and bytes of ``plane``, an array as the table of planes has it; None where it has none."""
    encoding = PLANES[name].small
    if encoding == "jpeg":
        jpegs = (make_jpeg(plane, quality) for quality in QUALITIES)
        small = next((data for data in jpegs if len(data) <= MOST_JPEG), None)
        return None if small is None else (encoding, small)
    if encoding == "u12z":
        return encoding, _pack((plane >> 4).astype("<u2"))
    return None if encoding is None else (encoding, _pack(np.array(plane, PLANES[name].dtype, order="C")))


def stretch(name: str, encoding: str, data: bytes, height: int, width: int) -> NDArray[Any]:
    """Return the plane in ``data``. Raises ProtocolError unless it is one of exactly ``height`` x ``width``.

    The size is read from the data, and the room that they may take is bounded, before anything is allocated.
    """
    if encoding == "jpeg":
        return _read_jpeg(data, height, width)
    plane = PLANES[name]
    values = _unpack(name, data, np.dtype(plane.dtype), plane.shape(height, width))
    if encoding == "u12z":
        values &= 0xFFF
        return values << 4 | values >> 8
    return values


def make_jpeg(image: NDArray[np.uint8], quality: int = QUALITIES[0]) -> bytes:
    """``image``, uint8 H x W x 3, as a JPEG."""
    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=quality, colorsubsampling="444")
    return data


def _pack(values: NDArray[Any]) -> bytes:
    """Differences from row to row, the lower bytes of all before the upper ones, compressed. ``values`` is changed."""
    values[1:] -= values[:-1].copy()
    halves = values.view(np.uint8).reshape(-1, values.itemsize)
    return zlib.compress(halves.T.tobytes(), LEVEL)


def _unpack(name: str, data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    size = int(np.prod(shape)) * dtype.itemsize
    try:
        raw = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error as error:
        raise ProtocolError(f"plane {name!r} can't be unpacked: {error}") from None
    if len(raw) != size:
        raise ProtocolError(f"plane {name!r} unpacks to other than the {size} bytes of {shape[1]} x {shape[0]}")
    halves = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, -1)
    steps = np.ascontiguousarray(halves.T).view(dtype).reshape(shape)
    return np.cumsum(steps, axis=0, dtype=dtype)


def _read_jpeg(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    if simplejpeg is None:
        raise ProtocolError("a plane is a JPEG, which was not agreed on: nothing here can read it")
    if len(data) > MOST_JPEG:
        raise ProtocolError(f"a plane is a JPEG of {len(data)} bytes, but may have {MOST_JPEG} at most", "too_large")
    try:
        tall, wide = baseline_size(data)
        if (tall, wide) == (height, width):
            image: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB")
            return image
    except NotBaseline as error:
        raise ProtocolError(f"a plane is {error}") from None
    except ValueError as error:
        raise ProtocolError(f"a plane is not a JPEG: {str(error)[:100]}") from None
    raise ProtocolError(f"a plane's JPEG is {wide} x {tall}, but its entry says {width} x {height}")
