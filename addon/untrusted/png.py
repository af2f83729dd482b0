"""PNG files by their chunks, without decoding them. Standard library only; no bpy.

After the PNG specification, third edition (W3C, 2025): signature, chunks of length, type, data and CRC-32; IHDR,
IDAT, IEND; texts as tEXt (Latin-1), iTXt (UTF-8) and zTXt (deflated Latin-1).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_TEXT = 1024 * 1024
"""Bytes that a text of ours may have once inflated: a small file can claim gigabytes."""
MOST_OTHER = 16 * 1024 * 1024
"""The same of all that other programs have put into a picture."""
MOST_PIXELS, MOST_SHRUNK = 2**26, 200
"""Above so many pixels a PNG must have one byte for so many of them: less is a picture of nothing that fills memory."""
_DRAWN = frozenset({b"IHDR", b"PLTE", b"tRNS", b"sRGB", b"IDAT", b"IEND"})


class NotAPng(ValueError):
    """The bytes are no PNG, or a damaged one; ``str(error)`` says what is wrong in one sentence."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """The bytes of a chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def read_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of each chunk of a PNG, in order. Raises NotAPng at the first that is damaged."""
    if not data.startswith(SIGNATURE):
        raise NotAPng("this is not a PNG file")
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


def decode_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG in pixels. Raises NotAPng."""
    for kind, body in read_chunks(data):
        if kind == b"IHDR" and len(body) == 13:
            width, height = struct.unpack_from(">II", body)
            return width, height
        break
    raise NotAPng("the PNG does not begin with its header")


def drawn_only(data: bytes) -> bytes:
    """The PNG ``data`` without all that is not drawn, such as texts and profiles. Raises NotAPng."""
    kept = [chunk(kind, body) for kind, body in read_chunks(data) if kind in _DRAWN]
    return b"".join([SIGNATURE, *kept])


def is_bomb(data: bytes) -> bool:
    """Whether whoever opens the PNG ``data`` would get far more than it has: texts, a profile, or pixels."""
    left = MOST_OTHER
    try:
        width, height = decode_size(data)
        if width * height > MOST_PIXELS and width * height > len(data) * MOST_SHRUNK:
            return True
        for kind, body in read_chunks(data):
            packed = _packed(kind, body)
            plain = b"" if packed is None else inflate(packed, left)
            if plain is None:
                return True
            left -= len(plain)
    except (NotAPng, zlib.error):
        pass  # cut off: nothing is read behind that
    return False


def inflate(data: bytes, most: int) -> bytes | None:
    """``data`` inflated; None where it is no zlib stream, is cut short, or would have more than ``most`` bytes."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, max(1, most))
    except zlib.error:
        return None
    return plain if stream.eof and len(plain) <= most else None


def _packed(kind: bytes, body: bytes) -> bytes | None:
    """What is compressed in a chunk that every reader inflates at once."""
    _, _, rest = body.partition(b"\0")
    if kind in (b"zTXt", b"iCCP"):
        return rest[1:]
    if kind == b"iTXt" and rest[:1] == b"\1" and rest.count(b"\0", 2) >= 2:
        return rest[2:].split(b"\0", 2)[2]
    return None


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "replace")
