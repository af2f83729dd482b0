"""PNG files with texts in them, as Blender's Python has no library for it. Standard library and numpy only; no bpy.

After the PNG specification, third edition (W3C, 2025); what can be told of one without decoding it is in
``addon/untrusted/png``.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from ..untrusted.png import MOST_TEXT, SIGNATURE, chunk, inflate, read_chunks

_KEYWORD = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,77}[\x21-\x7e])?")


def encode(
    image: NDArray[np.uint8],
    texts: Mapping[str, str] | None = None,
    chunks: Iterable[tuple[bytes, bytes]] = (),
    level: int = 6,
) -> bytes:
    """The bytes of a PNG of ``image`` (uint8, H x W x 3, sRGB, top row first).

    ``texts``: keyword (1 to 79 printable ASCII characters) to text. ``chunks``: further ones, type and data.
    ``level``: zlib's, 0 to 9. Raises ValueError.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"the picture is {image.dtype} of shape {image.shape}, but must be uint8, H x W x 3")
    height, width = image.shape[:2]
    rows = np.empty((height, 1 + width * 3), np.uint8)
    rows[:, 0] = 1  # the filter "Sub": each byte less that of the pixel before it
    rows[:, 1:4] = image[:, 0]
    np.subtract(image[:, 1:].reshape(height, -1), image[:, :-1].reshape(height, -1), out=rows[:, 4:])
    parts = [SIGNATURE, chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    parts.append(chunk(b"sRGB", b"\0"))
    parts += [_text(keyword, text) for keyword, text in (texts or {}).items()]
    parts += [chunk(kind, data) for kind, data in chunks]
    parts += [chunk(b"IDAT", zlib.compress(rows.data, level)), chunk(b"IEND", b"")]
    return b"".join(parts)


def read_text(data: bytes, wanted: str) -> str | None:
    """The text of a PNG under the keyword ``wanted``, the first of several. Raises NotAPng.

    None where there is none, or it cannot be read. Nothing else is ever inflated.
    """
    bodies = [
        (kind, body[len(wanted) + 1 :])
        for kind, body in read_chunks(data)
        if kind in (b"tEXt", b"zTXt", b"iTXt") and body.startswith(wanted.encode("latin-1") + b"\0")
    ]
    if not bodies:
        return None
    kind, rest = bodies[0]
    plain: bytes | None = None
    if kind == b"tEXt":
        return rest.decode("latin-1")
    if kind == b"zTXt":
        plain = inflate(rest[1:], MOST_TEXT)
        return None if plain is None else plain.decode("latin-1")
    if len(rest) >= 2 and rest.count(b"\0", 2) >= 2:
        plain = rest[2:].split(b"\0", 2)[2]
        plain = inflate(plain, MOST_TEXT) if rest[0] else plain
    return None if plain is None else plain.decode("utf-8", "replace")


def _text(keyword: str, text: str) -> bytes:
    name = keyword.encode("ascii", "replace")
    if not _KEYWORD.fullmatch(name) or b"  " in name:
        raise ValueError(f"the keyword is {keyword!r}, but must be 1 to 79 printable ASCII characters")
    text = text.replace("\0", "")
    if text.isascii():
        return chunk(b"tEXt", name + b"\0" + text.encode("ascii"))
    return chunk(b"iTXt", name + b"\0\0\0\0\0" + text.encode("utf-8"))
