"""Any value in any field: a ProtocolError with a fair sentence, or a whole message. No I/O."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.wire import ProtocolError, pack, unpack
from addon.wire.frame import OBJECT
from tests.plain.wire.refusal import fair, refusal
from tests.plain.wire.samples import join, one_of_each, split

NAMES = list(one_of_each())
HUGE = 10**9

# One value or more of every JSON type, and of each the unpleasant ones.
POISON: list[Any] = [
    None,
    True,
    False,
    -1,
    10**9,
    10**400,
    1.5,
    -1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "x",
    "1",
    "null\r\n\x1b[31m",
    "\ud800",
    "y" * 5000,
    [],
    [[]],
    [1, 2, 3, 4],
    [{}] * 5,
    {},
    {"a\nb": "c\nd"},
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside ``value``, objects and lists too."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def with_value(header: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(header)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def json_type(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(type(value))
    return "number" if isinstance(value, (int, float)) else str(type(value))


MAY_BE_NULL = {
    ("failure", ("id",)),
    ("request", ("after",)),
    ("request", ("style", "eta")),
    ("request", ("style", "reference")),
    ("picture", ("after",)),
}
EVERY_FIELD = [(name, path) for name in NAMES for path in paths(split(pack(one_of_each()[name]))[0])]


@pytest.mark.parametrize(("name", "path"), EVERY_FIELD, ids=lambda part: str(part).replace(" ", ""))
def test_a_value_of_another_type_is_refused_in_every_field(name: str, path: tuple[Any, ...]) -> None:
    header, planes = split(pack(one_of_each()[name]))
    original = at(header, path)
    for poison in POISON:
        data = join(with_value(header, path, poison), planes)
        may_be_left_out = poison is None and (name, path) in MAY_BE_NULL
        either = {json_type(poison), json_type(original)} == {json_type(""), "number"} and path[0] == "fields"
        if json_type(poison) != json_type(original) and not may_be_left_out and not either:
            readable = not isinstance(poison, float) or math.isfinite(poison)  # else no JSON
            assert refusal(data).id == (3 if readable and "id" in header and path != ("id",) else None)
            continue
        try:  # of the right type: it may be a valid value, and then the message is a whole one
            message = unpack(data)
        except ProtocolError as error:
            fair(error)
        else:
            assert pack(message)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("hello", "protocol"),
        ("welcome", "protocol"),
        ("status", "state"),
        ("request", "id"),
        ("request", "style"),
        ("picture", "id"),
        ("progress", "id"),
        ("progress", "step"),
        ("progress", "steps"),
        ("dropped", "id"),
        ("upload", "sha256"),
        ("load_model", "name"),
        ("model_progress", "state"),
    ],
)
def test_a_field_that_must_be_there_is_named(name: str, missing: str) -> None:
    header, planes = split(pack(one_of_each()[name]))
    del header[missing]
    assert missing in str(refusal(join(header, planes)))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("id",), 2**53, "from 0 to 9007199254740991"),
        (("near",), 0, "near is 0, but must be from 1e-09 to 1e+12"),
        (("captured",), 1e16, "captured is 1e+16"),
        (("view",), [[1, 2, 3, 4]] * 3, "view matrix has rows of [4, 4, 4] numbers, but must be 4 rows of 4"),
        (("view",), [["1"] * 4] * 4, "must be 4 rows of 4 numbers"),
        (("view",), ["1234"] * 4, "must be 4 rows of 4 numbers"),
        (("projection",), [[True] * 4] * 4, "must be 4 rows of 4 numbers"),
        (("projection",), [[10**400] * 4] * 4, "must be 4 rows of 4 numbers"),
        (("style", "prompt"), "x" * 4001, "prompt has 4001 characters, but at most 4000"),
        (("style", "strength"), 0, "strength is 0, but must be from 0.01 to 1"),
        (("style", "steps"), 51, "steps is 51, but must be a whole number from 1 to 50"),
        (("style", "steps"), 2.0, "steps is 2.0, but must be a whole number"),
        (("style", "guidance"), 30.1, "guidance is 30.1, but must be from 0 to 30"),
        (("style", "seed"), 2**32, "seed is 4294967296"),
        (("style", "width"), 100, "width is 100, but must be a whole number from 64 to 2048, a multiple of 8"),
        (("style", "height"), 2056, "height is 2056"),
        (("style", "controls"), [{"kind": "pose"}], "control is 'pose', but must be one of depth, normals, lines"),
        (("style", "controls"), [{"weight": 3}], "weight of control 'depth' is 3, but must be from 0 to 2"),
        (("style", "controls"), [{}, {}], "each kind may be there once"),
        (("planes", 0, "encoding"), "jpeg", "encoding of plane 'image' is 'jpeg', but must be one of rgb8"),
        (("planes", 0, "name"), "normal", "name of a plane is 'normal', but must be one of image, inverse_depth"),
        (("planes", 1, "name"), "image", "the plane 'image' is there twice"),
        (("planes", 0, "height"), 7, "height of plane 'image' is 7"),
        (("planes", 0, "width"), HUGE, "width of plane 'image' is 1000000000"),
        (("planes", 0, "height"), 2048, "needs 49152 bytes, but 836 are left in the message"),
        (("planes", 0, "bytes"), 192, "plane 'image' has 'bytes', but with the encoding 'rgb8' its size says how many"),
        (
            ("planes", 5, "height"),
            65536,
            "height of plane 'objects' is 65536, but must be a whole number from 1 to 65535",
        ),
        (("planes", 5, "width"), 17, "width of plane 'objects' is 17, but must be 1"),
        (
            ("style", "controls"),
            [{"plane": "ids"}],
            "plane of control 'depth' is 'ids', but must be one of inverse_depth",
        ),
        (("style", "steady"), 1.1, "steady is 1.1, but must be from 0 to 1"),
        (("style", "eta"), 1.1, "eta is 1.1, but must be from 0 to 1"),
        (("style", "sampler"), "euler", "sampler is 'euler', but must be"),
        (("regions",), [{}], "a region message has no 'id'"),
        (("regions",), [{"id": 0}], "id of a region is 0, but must be a whole number from 1 to 65535"),
        (("regions",), [{"id": 7}, {"id": 7}], "regions has the ids [7, 7], but each may be there once"),
        (
            ("regions",),
            [{"id": n} for n in range(1, 34)],
            "number of regions is 33, but must be a whole number from 0 to 32",
        ),
        (("type",), "requests", "type of message is 'requests', but must be one of request, picture"),
    ],
)
def test_the_sentence_names_thing_value_and_what_is_valid(path: tuple[Any, ...], value: Any, words: str) -> None:
    header, planes = split(pack(one_of_each()["request"]))
    error = refusal(join(with_value(header, path, value), planes))
    assert words in str(error)
    assert error.id == (None if path == ("id",) else 3), "the answer must name the request"


def test_depth_control_without_depth_is_a_bad_request() -> None:
    header, planes = split(pack(one_of_each()["request"]))
    del header["planes"][1:], header["regions"]
    error = refusal(join(header, planes[: 8 * 8 * 3]))
    assert (error.code, error.id) == ("bad_request", 3)
    assert "send inverse_depth with the frame, or leave the control 'depth' out" in str(error)


def test_regions_without_ids_are_a_bad_request() -> None:
    header, planes = split(pack(one_of_each()["request"]))
    del header["planes"][2:]
    error = refusal(join(header, planes[: 8 * 8 * 5]))
    assert (error.code, error.id) == ("bad_request", 3)
    assert "frame 3 has no plane 'ids', but its request asks for regions" in str(error)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(1, np.eye(4)), (1, np.eye(4))], "has an id that is 0 or there twice"),
        ([(0, np.eye(4))], "has an id that is 0 or there twice"),
        ([(1, np.full((4, 4), np.nan))], "the matrix of object 1 holds a number that is not finite"),
    ],
)
def test_objects_that_are_none_are_refused(rows: list[Any], words: str) -> None:
    header, planes = split(pack(one_of_each()["request"]))
    header["planes"][5]["height"] = len(rows)
    assert words in str(refusal(join(header, planes[:-132] + np.array(rows, OBJECT).tobytes())))


def test_a_picture_goes_one_way() -> None:
    header, planes = split(pack(one_of_each()["request"]))
    error = refusal(join(header | {"picture_at": 0, "picture_as": "jpeg"}, planes))
    assert "picture_at is 0 and picture_as 'jpeg', but only rgb8 goes through shared memory" in str(error)


@pytest.mark.parametrize("where", ["top", "style", "entry"])
def test_a_name_that_is_there_twice_is_refused(where: str) -> None:
    text, planes = pack(one_of_each()["request"]), split(pack(one_of_each()["request"]))[1]
    text = text[4 : -len(planes)]
    old = {"top": b'"settle":true', "style": b'"seed":7', "entry": b'"encoding":"u8"'}[where]
    again = text.replace(old, old + b"," + old)
    assert again != text
    assert "is there twice in an object" in str(refusal(join(again, planes)))


def test_depth_of_another_shape_is_refused() -> None:
    header, planes = split(pack(one_of_each()["request"]))
    header["planes"][1].update(height=16, width=8)
    longer = planes[: 8 * 8 * 5] + planes[8 * 8 * 3 :]
    assert "must be uint16 of the image's shape (8, 8)" in str(refusal(join(header, longer)))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "request"])
def test_planes_that_belong_to_no_such_message_are_refused(name: str) -> None:
    header, _ = split(pack(one_of_each()[name]))
    _, planes = split(pack(one_of_each()["request"]))
    header["planes"] = split(pack(one_of_each()["request"]))[0]["planes"]
    assert f"which belongs to no {name}" in str(refusal(join(header, planes)))


@pytest.mark.parametrize("name", ["request", "picture"])
def test_no_image_is_refused(name: str) -> None:
    header, _ = split(pack(one_of_each()[name]))
    assert "has no plane 'image'" in str(refusal(join(header | {"planes": []})))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(st.sampled_from(EVERY_FIELD), json_values)
def test_any_json_in_any_field_never_raises_anything_else(field: tuple[str, tuple[Any, ...]], value: Any) -> None:
    name, path = field
    header, planes = split(pack(one_of_each()[name]))
    try:
        pack(unpack(join(with_value(header, path, value), planes)))
    except ProtocolError as error:
        fair(error)
