"""JPEGs and PNGs that unpack to far more than they are: told by their markers, in milliseconds."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from addon.presets.errors import PresetError
from addon.presets.preset import Preset
from addon.transport.compression import MOST_JPEG, squeeze, stretch
from addon.untrusted.jpeg import NotBaseline, baseline_size
from addon.untrusted.png import SIGNATURE, chunk, is_bomb
from addon.wire import ProtocolError


def jpeg(side: int = 64, **options: object) -> bytes:
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", **options)
    return file.getvalue()


def many_scans(count: int, side: int = 2048) -> bytes:
    """A progressive JPEG with its last scan ``count`` times more."""
    data = jpeg(side, progressive=True, quality=10)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last : last + 10] * count + data[last:]


def png(width: int, height: int, *chunks: bytes, pixels: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"".join([SIGNATURE, header, *chunks, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")])


def text_bomb(kind: bytes, count: int) -> bytes:
    packed = zlib.compress(bytes(4 * 1024 * 1024), 9)
    between = b"\0\1\0\0\0" if kind == b"iTXt" else b"\0\0"
    return b"".join(chunk(kind, b"key%d" % n + between + packed) for n in range(count))


@pytest.mark.parametrize("options", [{}, {"quality": 100}, {"subsampling": "4:4:4"}, {"restart_marker_rows": 1}])
def test_a_baseline_jpeg_has_its_size(options: dict[str, object]) -> None:
    assert baseline_size(jpeg(**options)) == (64, 64)
    assert baseline_size(simplejpeg.encode_jpeg(np.full((32, 48, 1), 255, np.uint8), colorspace="GRAY")) == (32, 48)


def test_a_jpeg_of_many_passes_is_refused_by_its_markers() -> None:
    baseline = jpeg()
    scan = baseline.rindex(b"\xff\xda")
    four = io.BytesIO()
    Image.new("CMYK", (64, 64)).save(four, "JPEG")
    cases = [
        many_scans(20_000),
        jpeg(progressive=True),
        baseline[:-2] + baseline[scan:],
        baseline.replace(b"\xff\xc0", b"\xff\xc9"),
        baseline[:scan],
        baseline[:20],
        b"\xff\xd8" + b"\xff" * 10**6,
        b"\xff\xd8\xff\xe0\0\0" * 10,
        four.getvalue(),
        b"",
    ]
    for data in cases:
        began = time.thread_time()
        with pytest.raises(NotBaseline):
            baseline_size(data)
        with pytest.raises(ProtocolError, match="JPEG"):
            stretch("image", "jpeg", data, 64, 64)
        assert time.thread_time() - began < 0.5


def test_bytes_that_look_like_no_marker_cost_one_pass() -> None:
    data = jpeg()[:-2] + b"\xff\x00" * 3_000_000 + b"\xff" * 3_000_000
    began = time.thread_time()
    assert baseline_size(data) == (64, 64)
    assert time.thread_time() - began < 0.5
    with pytest.raises(ProtocolError, match="at most"):
        stretch("image", "jpeg", data, 64, 64)


def test_what_is_no_small_jpeg_is_sent_plain() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1536, 1536, 3), np.uint8)
    assert squeeze("image", noise) is None
    encoding, data = squeeze("image", noise[:900, :900]) or ("", b"")
    assert encoding == "jpeg" and len(data) <= MOST_JPEG
    assert stretch("image", "jpeg", data, 900, 900).shape == (900, 900, 3)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_bomb_is_told_from_a_picture(kind: bytes) -> None:
    assert is_bomb(png(8, 8, text_bomb(kind, 250)))
    assert not is_bomb(png(8, 8, text_bomb(kind, 1)))
    assert is_bomb(png(60_000, 60_000)) and not is_bomb(b"no PNG")


def test_a_thumbnail_keeps_what_is_drawn_only() -> None:
    plain = png(64, 64, pixels=bytes(64 * 193))
    bomb = png(64, 64, text_bomb(b"zTXt", 40), pixels=bytes(64 * 193))
    assert Preset("a", thumbnail=bomb).thumbnail == plain
    for data in (png(30_000, 30_000), png(0, 8), SIGNATURE, many_scans(50)[: 500 * 1024], jpeg(600), jpeg()[:99]):
        with pytest.raises(PresetError, match="thumbnail"):
            Preset("a", thumbnail=data)
