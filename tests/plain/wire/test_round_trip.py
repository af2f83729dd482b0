"""What goes in comes out: every valid message through pack and unpack. No I/O."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from addon.wire import (
    MAX_MESSAGE_BYTES,
    Control,
    Failure,
    Frame,
    Message,
    Picture,
    Region,
    Request,
    Status,
    Style,
    pack,
    unpack,
)
from addon.wire.frame import OBJECT
from tests.plain.wire.samples import join, one_of_each, split
from tests.plain.wire.strategies import messages

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def values(message: object) -> Any:
    """All values of a message, arrays as dtype, shape and bytes, so that ``==`` compares everything."""
    if isinstance(message, np.ndarray):
        return message.dtype.name, message.shape, message.tobytes()
    if dataclasses.is_dataclass(message):
        return type(message), [(f.name, values(getattr(message, f.name))) for f in dataclasses.fields(message)]
    return [values(entry) for entry in message] if isinstance(message, tuple) else message


def arrays_of(message: Message) -> list[np.ndarray]:
    if isinstance(message, Picture):
        return [message.image]
    if isinstance(message, Request):
        return list(message.frame.planes.values())
    return []


@SLOW
@given(messages)
def test_every_message_comes_back_the_same(message: Message) -> None:
    data = pack(message)
    assert isinstance(data, bytes) and len(data) <= MAX_MESSAGE_BYTES
    back = unpack(data)
    assert values(back) == values(message)
    assert pack(back) == data, "the same message has the same bytes"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("name", ["request", "picture"])
def test_arrays_are_read_only_views_of_what_came_in(name: str, kind: Any) -> None:
    data = kind(pack(one_of_each()[name]))
    whole = np.frombuffer(data, np.uint8)
    arrays = arrays_of(unpack(data))
    assert arrays
    for array in arrays:
        assert np.shares_memory(array, whole), "a plane must not be copied"
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_the_longest_headers_fit() -> None:
    """The limits of the single fields leave room for the worst text: JSON writes \\0 as six bytes."""
    nul = "\0"
    tiny = np.zeros((8, 8, 3), np.uint8)
    matrix = [[-1.2345678901234567e-300] * 4] * 4
    frame = Frame(
        2**53 - 1,
        tiny,
        np.zeros((8, 8), np.uint16),
        1.2345678901234567e-9,
        matrix,
        matrix,
        -1e15 / 3,
        np.zeros((8, 8), np.uint16),
    )
    regions = tuple(Region(65535 - n, nul * 4000, 1 / 3) for n in range(32))
    style = Style(nul * 4000, nul * 4000, 0.1 + 0.2, 50, 30, 2**32 - 1, 2048, 2048, (Control("depth", 1 / 3),))
    timings = {nul * 98 + f"{n:02}": 1.2345678901234567e-100 for n in range(100)}
    for message in (
        Request(frame, style, True, 2**27, after=2**53 - 1, regions=regions, panorama=True),
        Status(
            "loading",
            1e-300 / 3,
            nul * 400,
            nul * 100,
            {nul * 38 + f"{n:02}": nul * 4000 for n in range(32)},
            nul * 4000,
        ),
        Failure(nul * 100, {nul * 38 + f"{n:02}": nul * 4000 for n in range(32)}, 2**53 - 1, nul * 4000),
        Picture(2**53 - 1, tiny, -1e15 / 3, False, nul * 400, timings),
    ):
        assert values(unpack(pack(message))) == values(message)


def test_the_largest_frame_fits_and_one_pixel_more_does_not() -> None:
    image, depth = np.full((2048, 2048, 3), 7, np.uint8), np.full((2048, 2048), 9, np.uint16)
    objects = np.zeros(65535, OBJECT)
    objects["id"] = 1 + np.arange(65535)
    back = unpack(
        pack(
            Request(Frame(1, image, depth, ids=depth, strength=image[..., 0], normals=image, objects=objects), Style())
        )
    )
    assert isinstance(back, Request) and back.frame.image.shape == (2048, 2048, 3)
    assert back.frame.inverse_depth is not None and back.frame.inverse_depth[-1, -1] == 9
    with pytest.raises(ValueError, match="height of image is 2049, but must be a whole number from 8 to 2048"):
        Frame(1, np.zeros((2049, 8, 3), np.uint8))


@pytest.mark.parametrize("shape", [(8, 2048), (2048, 8), (9, 11)])
def test_sides_need_not_match_or_be_even(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    depth = rng.integers(0, 65536, shape, np.uint16)
    back = unpack(pack(Request(Frame(1, image, depth), Style())))
    assert isinstance(back, Request)
    np.testing.assert_array_equal(back.frame.image, image)
    np.testing.assert_array_equal(back.frame.inverse_depth, depth)


def test_matrices_of_numpy_become_rows() -> None:
    matrix = np.arange(16, dtype=np.float32).reshape(4, 4)
    frame = Frame(1, np.zeros((8, 8, 3), np.uint8), view=matrix, projection=matrix.T)
    assert frame.view[0] == (0.0, 1.0, 2.0, 3.0)
    assert frame.projection[0] == (0.0, 4.0, 8.0, 12.0)


@pytest.mark.parametrize("name", list(one_of_each()))
def test_fields_of_a_newer_peer_are_skipped(name: str) -> None:
    message = one_of_each()[name]
    header, planes = split(pack(message))
    header["added_later"] = {"deep": [1, None, "x"]}
    if name == "request":
        header["style"]["added_later"] = header["style"]["controls"][0]["added_later"] = True
    for plane in header["planes"]:
        plane["added_later"] = 1
    assert values(unpack(join(header, planes))) == values(message)


def test_fields_left_out_get_their_defaults() -> None:
    header, planes = split(pack(one_of_each()["request"]))
    least = {"type": "request", "id": 3, "style": {}, "planes": header["planes"][:1]}
    message = unpack(join(least, planes[: 8 * 8 * 3]))
    assert isinstance(message, Request)
    assert message.style == Style() and message.settle is False and message.frame.inverse_depth is None
    assert message.frame.view == message.frame.projection == tuple(tuple(row) for row in np.eye(4).tolist())
    assert message.frame.near == 1.0 and message.frame.captured == 0.0


def test_planes_may_come_in_any_order() -> None:
    message = one_of_each()["request"]
    header, planes = split(pack(message))
    sizes = [8 * 8 * 3, 8 * 8 * 2, 8 * 8 * 2, 8 * 8, 8 * 8 * 3, 2 * 66]
    ends = np.cumsum(sizes)
    pieces = [planes[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    assert ends[-1] == len(planes)
    header["planes"].reverse()
    assert values(unpack(join(header, b"".join(reversed(pieces))))) == values(message)
