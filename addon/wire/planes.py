"""Planes of pixels, their entries in a header, and where their bytes are. Standard library and numpy only, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .checks import check_choice, check_whole, show
from .errors import ProtocolError
from .greeting import MAX_SIDE, MEMORY_BYTES

# name in the header -> dtype on the wire, channels
PLANES = {"image": ("u1", 3), "inverse_depth": ("<u2", 1)}
_ENCODING = {"image": "rgb8", "inverse_depth": "u16le"}
SMALL = {"image": "jpeg", "inverse_depth": "u12z"}
"""For slow links, where both ends know them."""


class Shelf(Protocol):
    """Memory that both ends can reach, for planes that need not go through the socket."""

    def write(self, at: int, planes: Sequence[NDArray[Any]]) -> bool:
        """Put the bytes of ``planes``, contiguous arrays, there from ``at`` on. False where they can't be held."""
        ...

    def read(self, at: int, count: int) -> bytes:
        """Return a copy of ``count`` bytes from ``at`` on. Raises ProtocolError where there are fewer."""
        ...


Squeeze = Callable[[str, NDArray[Any]], tuple[str, bytes] | None]
"""Makes a plane small: its name and itself in, encoding and bytes out, or None for one that stays as it is."""
Stretch = Callable[[str, bytes, int, int], NDArray[Any]]
"""The way back: encoding, bytes, height and width in, the plane out. Raises ProtocolError."""


def lay(
    planes: Mapping[str, NDArray[Any]], shelf: Shelf | None = None, at: int = 0, squeeze: Squeeze | None = None
) -> tuple[list[dict[str, Any]], list[memoryview | bytes]]:
    """Return the header's entries of ``planes`` and the bytes that go behind it: none of those on the ``shelf``."""
    parts = [np.ascontiguousarray(plane, PLANES[name][0]) for name, plane in planes.items()]
    entries = [
        {"name": name, "encoding": _ENCODING[name], "height": plane.shape[0], "width": plane.shape[1]}
        for name, plane in planes.items()
    ]
    if squeeze is not None:
        bodies: list[memoryview | bytes] = []
        for entry, name, part in zip(entries, planes, parts, strict=True):
            encoding, data = squeeze(name, part) or (None, part.data.cast("B"))
            entry |= {} if encoding is None else {"encoding": encoding, "bytes": len(data)}
            bodies.append(data)
        return entries, bodies
    if shelf is None or not parts or not shelf.write(at, parts):
        return entries, [part.data.cast("B") for part in parts]
    for entry, part in zip(entries, parts, strict=True):
        entry["at"] = at
        at += part.nbytes
    return entries, []


def read(
    listed: object, rest: memoryview, shelf: Shelf | None = None, stretch: Stretch | None = None
) -> dict[str, NDArray[Any]]:
    """Return the planes that a header lists, from ``rest``, the bytes behind it, and from the ``shelf``.

    Raises ProtocolError unless they are there and ``rest`` holds nothing else. Arrays are read-only.
    """
    if not isinstance(listed, list) or len(listed) > len(PLANES) or not all(isinstance(p, dict) for p in listed):
        raise ProtocolError(f"planes is {show(listed)}, but must be a list of at most {len(PLANES)} objects")
    planes: dict[str, NDArray[Any]] = {}
    offset = 0
    for entry in listed:
        name = entry.get("name")
        check_choice("name of a plane", name, list(PLANES))
        if name in planes:
            raise ProtocolError(f"the plane {name!r} is there twice")
        encoding = entry.get("encoding")
        known = [_ENCODING[name], SMALL[name]] if stretch is not None else [_ENCODING[name]]
        check_choice(f"encoding of plane {name!r}", encoding, known)
        height, width = entry.get("height"), entry.get("width")
        check_whole(f"height of plane {name!r}", height, 8, MAX_SIDE)
        check_whole(f"width of plane {name!r}", width, 8, MAX_SIDE)
        dtype, channels = np.dtype(PLANES[name][0]), PLANES[name][1]
        size = height * width * channels * dtype.itemsize
        data: bytes | memoryview
        if encoding == SMALL[name] and stretch is not None:
            check_whole(f"bytes of plane {name!r}", entry.get("bytes"), 1, len(rest) - offset)
            data = bytes(rest[offset : offset + entry["bytes"]])
            offset += entry["bytes"]
            planes[name] = stretch(encoding, data, height, width)
            planes[name].flags.writeable = False
            continue
        if "at" in entry:
            data = _from_shelf(name, entry["at"], size, shelf)
        elif size > len(rest) - offset:
            raise ProtocolError(
                f"plane {name!r} of {width} x {height} needs {size} bytes, "
                f"but {len(rest) - offset} are left in the message"
            )
        else:
            data = rest[offset : offset + size]
            offset += size
        plane = np.frombuffer(data, dtype)
        planes[name] = plane.reshape((height, width, 3) if channels == 3 else (height, width))
        planes[name].flags.writeable = False
    if offset != len(rest):
        raise ProtocolError(f"{len(rest) - offset} bytes follow the planes, but nothing may")
    return planes


def _from_shelf(name: str, at: object, size: int, shelf: Shelf | None) -> bytes:
    check_whole(f"at of plane {name!r}", at, 0, MEMORY_BYTES)
    assert isinstance(at, int)
    if shelf is None:
        raise ProtocolError(f"plane {name!r} lies in shared memory, but none is shared on this connection")
    return shelf.read(at, size)
