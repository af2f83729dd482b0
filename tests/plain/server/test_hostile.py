"""Hostile bytes over a real socket: a clear failure to whoever sent them, and the others are served all the while."""

from __future__ import annotations

import copy
import json
import math
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from addon.wire import MAX_MESSAGE_BYTES, Failure, Picture, ProtocolError, pack, unpack
from tests.plain.server.rig import PATIENCE, Address, Client, RawClient, make_request
from tests.plain.wire.samples import join, one_of_each, split

CODES = {"bad_message", "bad_request", "too_large"}
REQUEST = pack(make_request(5))
HEADER, PLANES = split(REQUEST)
VALID = [REQUEST, *(pack(message) for kind, message in one_of_each().items() if kind != "request")]
NOT_MATRICES = [[[1, 2, 3, 4]] * 3, [[10**400] * 4] * 4, [[None] * 4] * 4, [[]], "abcd", 10**9]
NOT_NUMBERS = [math.nan, math.inf, [[math.nan] * 4] * 4, [[0, 0, 0, -math.inf]] * 4]
WRONG = [None, True, -1, 1.5, 10**9, 2**70, "", "\0" * 99, [], [[]], {}, {"a": 1}, *NOT_MATRICES, *NOT_NUMBERS]

random_bytes = st.binary(max_size=300)
truncated = st.sampled_from(VALID).flatmap(lambda data: st.integers(0, len(data) - 1).map(lambda end: data[:end]))
forged_lengths = st.builds(lambda n: struct.pack("<I", n) + REQUEST[4:], st.integers(0, 2**32 - 1) | st.just(10**9))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid message with some bytes changed, mostly in its header."""
    data = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 6))):
        position = draw(st.integers(0, min(len(data), 700) - 1))
        data[position] = draw(st.integers(0, 255))
    return bytes(data)


@st.composite
def wrong_fields(draw: st.DrawFn) -> bytes:
    """A request with one field, somewhere in its header, of a wrong type, size or value, or missing."""
    header = copy.deepcopy(HEADER)
    place = draw(st.sampled_from([header, header["style"], header["planes"][0]]))
    name = draw(st.sampled_from(sorted(place)))
    if draw(st.booleans()):
        place[name] = draw(st.sampled_from(WRONG))
    else:
        del place[name]
    return join(header, PLANES)


class Bystander:
    """A client that asks for one picture after another in a thread of its own."""

    def __init__(self, address: Address) -> None:
        self.pictures = 0
        self.others: list[object] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(address,))
        self._thread.start()

    def _run(self, address: Address) -> None:
        with address.client() as client:
            while not self._over.wait(0.02):
                client.send(make_request(self.pictures))
                answer = client.answer()
                if isinstance(answer, Picture) and answer.id == self.pictures:
                    self.pictures += 1
                else:
                    self.others.append(answer)

    def stop(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE)


@pytest.fixture(scope="module")
def bystander(address: Address) -> Iterator[Bystander]:
    bystander = Bystander(address)
    yield bystander
    bystander.stop()


@pytest.fixture
def served(bystander: Bystander) -> Iterator[None]:
    """The bystander gets pictures, and nothing else, during and after the test."""
    yield
    before, end = bystander.pictures, threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if bystander.pictures > before + 1:
            break
        end.wait(0.02)
    assert bystander.pictures > before + 1
    assert bystander.others == []


@pytest.fixture
def attacker(address: Address) -> Iterator[Client]:
    with address.client() as client:
        yield client


def check(failure: Failure) -> None:
    assert failure.code in CODES
    assert 10 < len(failure.fields["detail"]) < 500
    assert "\n" not in failure.fields["detail"]


def is_message(data: bytes) -> bool:
    """Whether ``data``, hostile as it was meant, happens to be a message still."""
    try:
        unpack(data)
    except ProtocolError:
        return False
    return True


LAST = 10**6
"""The id of a request that always fails: what was sent before it has been dealt with when its answer comes."""
FAILING = join({**HEADER, "id": LAST, "near": "close"}, PLANES)


@pytest.mark.usefixtures("served")
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=random_bytes | truncated | forged_lengths | mutated() | wrong_fields())
def test_hostile_messages_are_answered_one_by_one(attacker: Client, data: bytes) -> None:
    attacker.connection.send(data)
    attacker.connection.send(FAILING)
    failures = []
    while not failures or failures[-1].id != LAST:
        answer = attacker.receive()
        # a wish about models that came out valid is answered in its own time, perhaps in the next example's
        if isinstance(answer, Failure) and "model" not in answer.fields:
            failures.append(answer)
    # a message that is valid after all has an answer of its own kind, or, as a thing that is not there, a failure
    assert len(failures) > 1 or is_message(data)
    for failure in failures if not is_message(data) else failures[-1:]:
        check(failure)


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("name", ["view", "projection"])
@pytest.mark.parametrize("matrix", NOT_MATRICES)
def test_wrong_matrices_fail(attacker: Client, name: str, matrix: Any) -> None:
    attacker.connection.send(join({**HEADER, name: matrix}, PLANES))
    failure = attacker.until(Failure)
    assert name in failure.fields["detail"]
    assert failure.id == 5


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("name", ["view", "projection", "near", "captured"])
@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_what_is_no_number_fails(attacker: Client, name: str, value: Any) -> None:
    attacker.connection.send(join({**HEADER, name: value}, PLANES))
    assert "not a JSON number" in attacker.until(Failure).fields["detail"]
    text = json.dumps({**HEADER, name: value}).replace("NaN", "1e999").replace("Infinity", "1e999")
    attacker.connection.send(join(text.encode(), PLANES))  # JSON, but read as infinite
    assert name in attacker.until(Failure).fields["detail"]


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    "size", [{"width": 10**9}, {"height": 10**9}, {"width": 2**31, "height": 2**31}, {"width": -8}]
)
def test_planes_of_impossible_sizes_fail(attacker: Client, size: dict[str, int]) -> None:
    plane = {**HEADER["planes"][0], **size}
    attacker.connection.send(join({**HEADER, "planes": [plane]}, PLANES))
    assert "plane 'image'" in attacker.until(Failure).fields["detail"]


@pytest.mark.usefixtures("served")
def test_pictures_of_impossible_sizes_fail(attacker: Client) -> None:
    for name in ("width", "height"):
        attacker.connection.send(join({**HEADER, "style": {**HEADER["style"], name: 10**9}}, PLANES))
        assert f"{name} is 1000000000" in attacker.until(Failure).fields["detail"]


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("nested", [b"[" * 60_000, b'{"a":' * 10_000, b'{"type":' + b"[" * 900 + b"]" * 900 + b"}"])
def test_deep_nesting_fails(attacker: Client, nested: bytes) -> None:
    attacker.connection.send(join(nested))
    check(attacker.until(Failure))


@pytest.mark.usefixtures("served")
def test_the_longest_message_is_read_and_a_longer_one_is_not(address: Address) -> None:
    with address.client() as client:
        client.connection.send(bytes(MAX_MESSAGE_BYTES))
        assert client.until(Failure).code == "bad_message"
        with pytest.raises(ConnectionClosed) as caught:
            client.connection.send(bytes(MAX_MESSAGE_BYTES + 1))
            client.until(Failure)
    closed = caught.value.rcvd  # none when the system reset the connection under what was still being sent
    assert closed is None or closed.code == 1009


def masked(first: int, length: int) -> bytes:
    """The header of a WebSocket frame from a client that announces ``length`` bytes."""
    return struct.pack("!BBQ", first, 0x80 | 127, length) + b"mask"


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (masked(0x82, 10**9), 1009),  # refused by its header alone: not one byte of it is sent
        (masked(0x82, 2**62), 1009),
        (masked(0x02, MAX_MESSAGE_BYTES + 1), 1009),
        (b"\x82\x85maskhello", None),  # a message like any other, but nonsense
        (b"\x82\x05hello", 1002),  # not masked
        (b"\x83\x80mask", 1002),  # an operation that doesn't exist
        (b"\xf2\x80mask", 1002),  # reserved bits, as with compression
        (b"\x81\x82\0\0\0\0\xff\xff", 1007),  # text that is no UTF-8
    ],
)
def test_wrong_frames_close_that_connection(address: Address, sent: bytes, code: int | None) -> None:
    with RawClient(address) as raw:
        raw.socket.sendall(sent)
        if code is None:
            raw.send(b"")
            raw.socket.shutdown(socket.SHUT_WR)
        raw.read_to_end()
        closed = raw.protocol.close_rcvd
    assert (closed.code if closed is not None else None) == code


@pytest.mark.usefixtures("served")
def test_fragments_together_are_bounded(address: Address) -> None:
    half = MAX_MESSAGE_BYTES // 2 + 1
    with RawClient(address) as raw:
        raw.socket.sendall(masked(0x02, half) + bytes(half))
        raw.socket.sendall(masked(0x80, half))
        raw.read_to_end()
        assert raw.protocol.close_rcvd is not None
        assert raw.protocol.close_rcvd.code == 1009


@pytest.mark.usefixtures("served")
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(min_size=1, max_size=200))
def test_any_bytes_after_the_handshake_hurt_nobody_else(address: Address, data: bytes) -> None:
    with RawClient(address) as raw:
        raw.socket.sendall(data)
        raw.socket.shutdown(socket.SHUT_WR)
        raw.read_to_end()


@pytest.mark.usefixtures("served")
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(min_size=1, max_size=200) | st.binary(max_size=60).map(lambda tail: b"GET /live " + tail))
def test_any_bytes_in_place_of_the_handshake_hurt_nobody_else(address: Address, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", address.port), timeout=PATIENCE) as raw:
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(65536):
            pass
