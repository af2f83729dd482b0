"""Connections that cost too much, over real sockets: they end, everybody else is served, and nothing grows."""

from __future__ import annotations

import contextlib
import logging
import struct
from collections.abc import Iterator

import pytest

from addon.wire import Hello, Picture, Welcome, pack, unpack
from server.engine import StableDiffusionLcm
from server.engine.cache import Recent
from server.net import protocols, watch
from server.net.logs import MOST_LINES, STRETCH_SECONDS, Bounded, Short
from server.serving.mailbox import Mailboxes
from tests.attack.connections import LONG_PING, STRANGERS, is_cut, is_over, opened
from tests.plain.server.engines import Lent
from tests.plain.server.rig import Address, RawClient, make_request, serving, wait_for


@pytest.fixture(scope="module")
def server(engine: StableDiffusionLcm) -> Iterator[Address]:
    with serving(Lent(engine).load) as (address, _):
        yield address


@pytest.mark.parametrize("what", STRANGERS)
def test_strangers_end_within_seconds_and_are_few(what: str, server: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STRANGER_SECONDS", 0.5)
    with contextlib.ExitStack() as stack, server.client() as known:
        clients = [stack.enter_context(opened(server, STRANGERS[what])) for _ in range(100)]
        wait_for(lambda: sum(not is_over(client) for client in clients) <= watch.MOST_STRANGERS)
        assert server.get("/health")[0] == 200
        wait_for(lambda: all(map(is_over, clients)))
        known.send(make_request(1))
        assert isinstance(known.answer(), Picture)


def test_who_has_shown_the_token_is_no_stranger(server: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STRANGER_SECONDS", 0.1)
    with server.client() as quiet, opened(server) as stranger:
        wait_for(lambda: is_over(stranger))
        quiet.send(make_request(1))
        assert isinstance(quiet.answer(), Picture)


@pytest.mark.parametrize("frame", [LONG_PING, b"\x89\x80mask", b"\x82\x80mask", b"\x8a\x80mask"])
def test_a_flood_of_frames_by_one_who_reads_nothing_is_cut(frame: bytes, server: Address) -> None:
    with RawClient(server, receive_buffer=4096) as raw, server.client() as other:
        raw.socket.settimeout(20)
        with pytest.raises(ConnectionError):
            for _ in range(4000):
                raw.socket.sendall(frame * 1000)
        other.send(make_request(1))
        assert isinstance(other.answer(), Picture)


def test_pings_that_are_read_are_answered_however_many(server: Address) -> None:
    with server.connect() as connection:
        connection.send(pack(Hello()))
        for _ in range(protocols.MOST_PONGS + 100):
            assert connection.ping().wait(60)


def test_a_message_in_too_many_pieces_is_cut(server: Address) -> None:
    with RawClient(server) as raw:
        raw.socket.settimeout(20)
        with contextlib.suppress(ConnectionError):
            raw.socket.sendall(b"\x02\x88mask" + bytes(8))
            raw.socket.sendall(b"\x00\x88mask\0\0\0\0\0\0\0\0" * (protocols.MOST_FRAGMENTS + 1))
        wait_for(lambda: is_cut(raw.socket))


def test_a_picture_that_nobody_reads_ends_its_connection(server: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STALL_SECONDS", 1.0)
    with RawClient(server, receive_buffer=4096) as deaf, server.client() as reader:
        deaf.send(pack(make_request(1, side=256, draft=64)))
        wait_for(lambda: is_cut(deaf.socket))
        reader.send(make_request(1))
        assert isinstance(reader.answer(), Picture)


def test_unfinished_messages_are_bounded_over_all_clients(server: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_HELD", 4_000_000)
    with contextlib.ExitStack() as stack:
        small, *large = (stack.enter_context(RawClient(server)) for _ in range(6))
        small.socket.sendall(b"\x82\xff" + struct.pack("!Q", 900_000) + b"mask" + bytes(1000))
        for raw in large:
            raw.socket.settimeout(20)
            with contextlib.suppress(ConnectionError):
                raw.socket.sendall(b"\x82\xff" + struct.pack("!Q", 2_000_000) + b"mask" + bytes(1_500_000))
        wait_for(lambda: sum(is_cut(raw.socket) for raw in large) >= 3)
        assert not is_cut(small.socket)


def test_a_stranger_can_have_nothing_held(server: Address) -> None:
    said = STRANGERS["a challenge without a hello"] + b"\x82\xff" + struct.pack("!Q", 900_000) + b"mask" + bytes(99_999)
    with opened(server, said) as stranger:
        wait_for(lambda: is_over(stranger))


def test_more_clients_than_there_is_room_for_are_told(server: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.net.app.MOST_CLIENTS", 2)
    with server.client(), server.client():
        with pytest.raises(Exception, match="503"):
            server.connect()
    wait_for(lambda: "draftglass_clients 0.0" in server.get("/metrics")[1])
    with server.connect() as connection:
        connection.send(pack(Hello()))
        assert isinstance(unpack(connection.recv(60)), Welcome)


def test_a_log_is_bounded_whatever_is_said() -> None:
    now = 0.0
    bounded = Bounded(lambda: now)

    def passes(number: int) -> logging.LogRecord | None:
        record = logging.LogRecord("server", logging.ERROR, "", 0, f"line {number}", (), None)
        return record if bounded.filter(record) else None

    assert sum(passes(number) is not None for number in range(10_000)) == MOST_LINES
    now = STRETCH_SECONDS
    record = passes(1)
    assert record is not None and record.getMessage() == f"line 1 ({10_000 - MOST_LINES} lines before it left out)"
    long = logging.LogRecord("server", logging.ERROR, "", 0, "x" * 10**6, (), None)
    assert len(Short("%(message)s").format(long)) < 5000


def test_what_waits_is_bounded_and_the_largest_goes_first() -> None:
    boxes: Mailboxes[str, int] = Mailboxes(credits=2, weigh=lambda letter: letter, most=100)
    for client, letter in (("a", 65), ("b", 1), ("c", 40), ("c", 41)):
        boxes.put(client, letter)
    assert boxes.crowded_out() == [("c", 40), ("a", 65)]
    assert boxes.crowded_out() == [] and len(boxes) == 2
    boxes.leave("b")
    boxes.put("c", 900)
    assert boxes.crowded_out() == [("c", 41)] and len(boxes) == 1, "the newest of all is kept, whatever it has"


def test_a_cache_is_bounded_by_bytes_but_keeps_the_newest() -> None:
    kept: Recent[bytes] = Recent(64, 100)
    for size in (40, 50, 60, 500):
        kept.get(size, lambda size=size: memoryview(bytes(size)))  # type: ignore[misc]
    assert len(kept) == 1
    kept.get("small", lambda: memoryview(b"x"))  # type: ignore[arg-type,return-value]
    assert len(kept) == 1
