"""Bytes from anyone: whatever they are, a ProtocolError with a fair sentence, and never a large allocation. No I/O."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from addon.wire import MAX_MESSAGE_BYTES, Hello, ProtocolError, pack, unpack
from addon.wire.codec import MAX_HEADER_BYTES
from tests.plain.wire.refusal import fair, refusal
from tests.plain.wire.samples import join, one_of_each, split

NAMES = list(one_of_each())
HUGE = 10**9


@pytest.mark.parametrize("name", NAMES)
def test_a_message_cut_at_any_byte_is_refused(name: str) -> None:
    data = pack(one_of_each()[name])
    for end in range(len(data)):
        refusal(data[:end])


@pytest.mark.parametrize("name", NAMES)
def test_a_byte_too_many_is_refused(name: str) -> None:
    assert "1 bytes follow the planes" in str(refusal(pack(one_of_each()[name]) + b"\0"))


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_javascript_numbers_that_json_lacks_are_refused_even_in_unknown_fields(constant: str) -> None:
    header = f'{{"type":"hello","protocol":1,"later":{constant}}}'.encode()
    assert "is not JSON in UTF-8" in str(refusal(join(header)))


HEADERS = {
    "empty": b"",
    "no object": b"[]",
    "null": b"null",
    "number": b"1",
    "bad UTF-8": b'{"type":"\xff"}',
    "UTF-16": '{"type":"hello"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + b'{"type":"hello","protocol":1}',
    "two values": b'{"type":"hello","protocol":1}{}',
    "single quotes": b"{'type':'hello'}",
    "deep lists": b"[" * 60_000,
    "deep lists, closed": b"[" * 30_000 + b"]" * 30_000,
    "deep objects": b'{"a":' * 10_000,
    "lists just shallow enough to parse": b"[" * 900 + b"]" * 900,
    "type as deep as can be parsed": b'{"type":' + b"[" * 900 + b"]" * 900 + b"}",
    "state as deep as can be parsed": b'{"type":"status","state":' + b"[" * 900 + b"]" * 900 + b"}",
    "digits": b'{"type":"hello","protocol":' + b"9" * 60_000 + b"}",
    "digits as many as Python reads": b'{"type":"hello","protocol":' + b"9" * 4300 + b"}",
    "digits in a list": b'{"type":"hello","protocol":[' + b"9" * 4300 + b"]}",
    "exponent": b'{"type":"status","state":"ready","percent":1e999999999}',
    "many empty objects": b"[" + b"{}," * 21_000 + b"{}]",
    "many keys": b"{" + b",".join(b'"%d":0' % n for n in range(6000)) + b"}",
    "many planes": b'{"type":"hello","protocol":1,"planes":[' + b"{}," * 20_000 + b"{}]}",
    "many controls": b'{"type":"request","id":1,"style":{"controls":[' + b"{}," * 20_000 + b"{}]}}",
    "lone surrogate": b'{"type":"hello","protocol":1,"client":"\\ud800"}',
    "lone surrogate as type": b'{"type":"\\udfff"}',
    "many timings": json.dumps(
        {"type": "picture", "id": 1, "timings": dict.fromkeys(map(str, range(101)), 1)}
    ).encode(),
}


@pytest.mark.parametrize("what", HEADERS)
def test_hostile_headers_are_refused(what: str) -> None:
    refusal(join(HEADERS[what]))


@pytest.mark.parametrize("length", [MAX_HEADER_BYTES + 1, HUGE, 2**31, 2**32 - 1])
def test_a_header_that_claims_to_be_long_is_refused(length: int) -> None:
    error = refusal(struct.pack("<I", length) + b"{}")
    assert error.code == "too_large" and str(length) in str(error)


def test_a_message_that_is_too_long_is_refused() -> None:
    error = refusal(bytes(MAX_MESSAGE_BYTES + 1))
    assert error.code == "too_large" and str(MAX_MESSAGE_BYTES) in str(error)


@pytest.mark.parametrize("side", [HUGE, 2**31, 2**64, 2048])
def test_claimed_sizes_are_checked_before_anything_is_allocated(side: int) -> None:
    header, planes = split(pack(one_of_each()["request"]))
    for plane in header["planes"]:
        plane.update(height=side, width=side)
    header["style"].update(width=side, height=side)
    data = join(header, planes)
    assert peak_of(data) < 200_000


@pytest.mark.parametrize("what", HEADERS)
def test_no_header_costs_much_memory(what: str) -> None:
    assert peak_of(join(HEADERS[what])) < 8_000_000


def peak_of(data: bytes) -> int:
    """The bytes that refusing ``data`` had allocated at most, numpy's among them."""
    tracemalloc.start()
    try:
        refusal(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    refusal(data)
    refusal(join(data))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=200)
@given(st.data())
def test_random_damage_never_raises_anything_else(data: st.DataObject) -> None:
    good = bytearray(pack(one_of_each()[data.draw(st.sampled_from(NAMES))]))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(good)))
        good[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        pack(unpack(bytes(good)))
    except ProtocolError as error:
        fair(error)


@pytest.mark.parametrize("part", [b"{},", b"[],", b"1,", b'"",', b'{"":[]},', b'"\\\\",', b"[[[["])
def test_a_header_of_very_many_values_is_refused_at_once(part: bytes) -> None:
    header = b'{"type":"hello","protocol":3,"later":[' + part * (MAX_HEADER_BYTES // len(part) - 20) + b"0]}"
    began = time.thread_time()
    assert refusal(join(header)).code == "too_large"
    assert time.thread_time() - began < 0.5


def test_values_are_counted_outside_of_texts() -> None:
    text = '[{\\",}]' * 100_000
    hello = unpack(join(json.dumps({"type": "hello", "protocol": 3, "later": text}).encode()))
    assert isinstance(hello, Hello)


def test_one_name_twice_among_very_many_is_found_at_once() -> None:
    names = ",".join(f'"{number}":1' for number in range(19_000))
    began = time.thread_time()
    assert "'18999' is there twice" in str(refusal(join(f'{{{names},"18999":1}}'.encode())))
    assert time.thread_time() - began < 0.5


def test_what_the_other_side_sends_is_refused_before_its_planes_are_read() -> None:
    def stretch(*_: object) -> NDArray[Any]:
        raise AssertionError("unpacked")

    entry = {"name": "image", "encoding": "jpeg", "height": 8, "width": 8, "bytes": 3}
    for kind, sender in (("request", "server"), ("picture", "client"), ("upload", "server")):
        header = json.dumps({"type": kind, "id": 7, "planes": [entry]}).encode()
        with pytest.raises(ProtocolError, match=f"a {kind} message came from the {sender}") as caught:
            unpack(join(header) + b"abc", stretch=stretch, sender=sender)
        assert caught.value.id == 7
