"""The table of planes, their entries in a header, and where their bytes are. Standard library and numpy only, no I/O.

A plane is one array of a message. Whoever adds one adds an entry to :data:`PLANES` and a field to its message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .checks import check_choice, check_whole, show
from .errors import ProtocolError
from .greeting import MAX_SIDE, MEMORY_BYTES

MAX_OBJECTS = 65535
"""Rows of ``objects``: as many as ``ids`` can tell apart."""


@dataclass(frozen=True)
class Plane:
    """What an array of a message is, in memory and on the wire.

    ``dtype``: numpy's name of one value on the wire. ``channels``: values of a pixel. ``encoding``: how it is sent as
    it is. ``small``: the encoding for slow links, or None where it has none. ``messages``: the types that may have it.
    ``rows``: it is a list of so many rows at most, one value wide, not an image of pixels; 0 for pixels.
    """

    dtype: Any
    channels: int
    meaning: str
    encoding: str
    small: str | None = None
    messages: frozenset[str] = frozenset({"request"})
    rows: int = 0

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel, or of one row of a list."""
        return int(np.dtype(self.dtype).itemsize) * self.channels

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """The array's shape."""
        if self.rows:
            return (height,)
        return (height, width) if self.channels == 1 else (height, width, self.channels)


PLANES: Mapping[str, Plane] = {
    "image": Plane(
        "u1", 3, "colours, sRGB as displayed", "rgb8", "jpeg", frozenset({"request", "picture", "upload", "probe"})
    ),
    "inverse_depth": Plane("<u2", 1, "65535 * near / distance along the view axis; background 0", "u16le", "u12z"),
    "ids": Plane("<u2", 1, "which part the pixel belongs to; 0 for none", "u16le", "z"),
    "strength": Plane("u1", 1, "how much of the pixel may change: 0 nothing, 255 all of it", "u8", "z"),
    "normals": Plane("u1", 3, "round(127.5 * (normal + 1)) in view space; background 0, 0, 0", "rgb8", "z"),
    "objects": Plane(
        [("id", "<u2"), ("world", "<f4", (4, 4))],
        1,
        "one row for an id: it, and the matrix of its object to the world, row by row",
        "u16f32",
        rows=MAX_OBJECTS,
    ),
}
PIXEL_PLANES = tuple(name for name, plane in PLANES.items() if not plane.rows)
"""Those with a value for each pixel."""


class Shelf(Protocol):
    """Memory that both ends can reach, for planes that need not go through the socket."""

    def write(self, at: int, planes: Sequence[NDArray[np.uint8]]) -> bool:
        """Put ``planes``, one-dimensional, there from ``at`` on. False where they can't be held."""
        ...

    def read(self, at: int, count: int) -> bytes:
        """Return a copy of ``count`` bytes from ``at`` on. Raises ProtocolError where there are fewer."""
        ...


Squeeze = Callable[[str, NDArray[Any]], tuple[str, bytes] | None]
"""Makes a plane small: its name and itself in, encoding and bytes out, or None for one that stays as it is."""
Stretch = Callable[[str, str, bytes, int, int], NDArray[Any]]
"""The way back: name, encoding, bytes, height and width in, the plane out. Raises ProtocolError."""


def lay(
    planes: Mapping[str, NDArray[Any]], shelf: Shelf | None = None, at: int = 0, squeeze: Squeeze | None = None
) -> tuple[list[dict[str, Any]], list[memoryview | bytes]]:
    """Return the header's entries of ``planes`` and the bytes that go behind it: none of those on the ``shelf``."""
    entries = [
        {"name": name, "encoding": PLANES[name].encoding, "height": plane.shape[0], "width": _width(name, plane)}
        for name, plane in planes.items()
    ]
    parts = [_bytes_of(name, plane) for name, plane in planes.items()]
    if squeeze is not None:
        bodies: list[memoryview | bytes] = []
        for entry, part, (name, plane) in zip(entries, parts, planes.items(), strict=True):
            encoding, data = squeeze(name, plane) or (None, part.data)
            entry |= {} if encoding is None else {"encoding": encoding, "bytes": len(data)}
            bodies.append(data)
        return entries, bodies
    if shelf is None or not parts or not shelf.write(at, parts):
        return entries, [part.data for part in parts]
    for entry, part in zip(entries, parts, strict=True):
        entry["at"] = at
        at += part.nbytes
    return entries, []


def read(
    kind: str, listed: object, rest: memoryview, shelf: Shelf | None = None, stretch: Stretch | None = None
) -> dict[str, NDArray[Any]]:
    """Return the planes that the header of a ``kind`` message lists, from ``rest``, the bytes behind it, or ``shelf``.

    Raises ProtocolError unless they are there and ``rest`` holds nothing else. Arrays are read-only.
    """
    if not isinstance(listed, list) or len(listed) > len(PLANES) or not all(isinstance(p, dict) for p in listed):
        raise ProtocolError(f"planes is {show(listed)}, but must be a list of at most {len(PLANES)} objects")
    planes: dict[str, NDArray[Any]] = {}
    for entry in listed:
        name = entry.get("name")
        check_choice("name of a plane", name, list(PLANES))
        if kind not in PLANES[name].messages:
            raise ProtocolError(f"a {kind} message has the plane {name!r}, which belongs to no {kind}")
        if name in planes:
            raise ProtocolError(f"the plane {name!r} is there twice")
        planes[name], rest = _read_one(name, entry, rest, shelf, stretch)
        planes[name].flags.writeable = False
    if rest:
        raise ProtocolError(f"{len(rest)} bytes follow the planes, but nothing may")
    return planes


def _read_one(
    name: str, entry: Mapping[str, Any], rest: memoryview, shelf: Shelf | None, stretch: Stretch | None
) -> tuple[NDArray[Any], memoryview]:
    """The plane of ``entry``, and what of ``rest`` comes behind it."""
    plane, encoding = PLANES[name], entry.get("encoding")
    is_small = stretch is not None and plane.small is not None and encoding == plane.small
    known = [plane.encoding] if stretch is None or plane.small is None else [plane.encoding, plane.small]
    check_choice(f"encoding of plane {name!r}", encoding, known)
    height, width = entry.get("height"), entry.get("width")
    check_whole(f"height of plane {name!r}", height, *((1, plane.rows) if plane.rows else (8, MAX_SIDE)))
    if plane.rows and width != 1:
        raise ProtocolError(f"width of plane {name!r} is {show(width)}, but must be 1, as it is a list")
    check_whole(f"width of plane {name!r}", width, 1 if plane.rows else 8, MAX_SIDE)
    assert isinstance(height, int) and isinstance(width, int) and isinstance(encoding, str)
    _check_place(name, entry, is_small)
    if is_small and stretch is not None:
        check_whole(f"bytes of plane {name!r}", entry.get("bytes"), 1, len(rest))
        data = bytes(rest[: entry["bytes"]])
        return stretch(name, encoding, data, height, width), rest[len(data) :]
    size = height * width * plane.pixel_bytes
    held: bytes | memoryview
    if "at" in entry:
        held = _from_shelf(name, entry["at"], size, shelf)
    elif size > len(rest):
        raise ProtocolError(
            f"plane {name!r} of {width} x {height} needs {size} bytes, but {len(rest)} are left in the message"
        )
    else:
        held, rest = rest[:size], rest[size:]
    return np.frombuffer(held, plane.dtype).reshape(plane.shape(height, width)), rest


def _check_place(name: str, entry: Mapping[str, Any], is_small: bool) -> None:
    """Raise ProtocolError where ``entry`` says two different things of where its bytes are."""
    if is_small and "at" in entry:
        raise ProtocolError(
            f"plane {name!r} has 'at', but its encoding {entry['encoding']!r} goes through the socket: leave 'at' out"
        )
    if not is_small and "bytes" in entry:
        raise ProtocolError(
            f"plane {name!r} has 'bytes', but with the encoding {entry['encoding']!r} its size says how many: "
            "leave 'bytes' out"
        )


def _width(name: str, plane: NDArray[Any]) -> int:
    return 1 if PLANES[name].rows else int(plane.shape[1])


def _bytes_of(name: str, plane: NDArray[Any]) -> NDArray[np.uint8]:
    """The plane's bytes, one-dimensional; a copy only where they do not lie in this order already."""
    return np.ascontiguousarray(plane, PLANES[name].dtype).reshape(-1).view(np.uint8)


def _from_shelf(name: str, at: object, size: int, shelf: Shelf | None) -> bytes:
    check_whole(f"at of plane {name!r}", at, 0, MEMORY_BYTES)
    assert isinstance(at, int)
    if shelf is None:
        raise ProtocolError(f"plane {name!r} lies in shared memory, but none is shared on this connection")
    return shelf.read(at, size)
