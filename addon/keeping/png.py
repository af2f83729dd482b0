"""PNG files with texts in them, as Blender's Python has no library for it. Standard library and numpy only; no bpy.

After the PNG specification, third edition (W3C, 2025): signature, chunks of length, type, data and CRC-32; IHDR,
IDAT, IEND; texts as tEXt (Latin-1), iTXt (UTF-8) and zTXt (deflated Latin-1).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_TEXT = 4 * 1024 * 1024
"""Bytes that a text may have once inflated: a small file can claim gigabytes."""
_KEYWORD = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,77}[\x21-\x7e])?")


class NotAPng(ValueError):
    """The bytes are no PNG, or a damaged one; ``str(error)`` says what is wrong in one sentence."""


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
    parts = [SIGNATURE, _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    parts.append(_chunk(b"sRGB", b"\0"))
    parts += [_text(keyword, text) for keyword, text in (texts or {}).items()]
    parts += [_chunk(kind, data) for kind, data in chunks]
    parts += [_chunk(b"IDAT", zlib.compress(rows.data, level)), _chunk(b"IEND", b"")]
    return b"".join(parts)


def read_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of each chunk of a PNG, in order. Raises NotAPng at the first that is damaged."""
    if not data.startswith(SIGNATURE):
        raise NotAPng("this is no PNG file")
    view, at, kind = memoryview(data), len(SIGNATURE), b""
    while kind != b"IEND":
        if at + 12 > len(view):
            raise NotAPng(f"the PNG ends in the middle, after {len(view)} bytes")
        length, kind = struct.unpack_from(">I4s", view, at)
        if at + 12 + length > len(view):
            raise NotAPng(f"the PNG ends in the middle of its chunk {_name(kind)}")
        body = bytes(view[at + 8 : at + 8 + length])
        if struct.unpack_from(">I", view, at + 8 + length)[0] != zlib.crc32(body, zlib.crc32(kind)):
            raise NotAPng(f"the PNG is damaged in its chunk {_name(kind)}")
        yield kind, body
        at += 12 + length


def read_texts(data: bytes) -> dict[str, str]:
    """All texts of a PNG by keyword, the last of a name; texts that cannot be read are left out. Raises NotAPng."""
    found = {}
    for kind, body in read_chunks(data):
        keyword, _, rest = body.partition(b"\0")
        text: str | None = None
        if kind == b"tEXt":
            text = rest.decode("latin-1")
        elif kind == b"zTXt" and rest[:1] == b"\0":
            plain = inflate(rest[1:], MOST_TEXT)
            text = None if plain is None else plain.decode("latin-1")
        elif kind == b"iTXt" and len(rest) >= 2 and rest.count(b"\0", 2) >= 2:
            packed = rest[0]
            _, _, plain = rest[2:].split(b"\0", 2)
            unpacked = inflate(plain, MOST_TEXT) if packed else plain
            text = None if unpacked is None else unpacked.decode("utf-8", "replace")
        if text is not None:
            found[keyword.decode("latin-1")] = text
    return found


def decode_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG in pixels. Raises NotAPng."""
    for kind, body in read_chunks(data):
        if kind == b"IHDR" and len(body) == 13:
            width, height = struct.unpack_from(">II", body)
            return width, height
        break
    raise NotAPng("the PNG does not begin with its header")


def inflate(data: bytes, most: int) -> bytes | None:
    """``data`` inflated; None where it is no zlib stream, is cut short, or would have more than ``most`` bytes."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, most)
    except zlib.error:
        return None
    return plain if stream.eof else None


def _text(keyword: str, text: str) -> bytes:
    name = keyword.encode("ascii", "replace")
    if not _KEYWORD.fullmatch(name) or b"  " in name:
        raise ValueError(f"the keyword is {keyword!r}, but must be 1 to 79 printable ASCII characters")
    text = text.replace("\0", "")
    if text.isascii():
        return _chunk(b"tEXt", name + b"\0" + text.encode("ascii"))
    return _chunk(b"iTXt", name + b"\0\0\0\0\0" + text.encode("utf-8"))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "replace")
