"""Addresses and tokens: what is taken, and the sentence for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from addon.live import Address
from addon.problems.errors import AddressError, NoConnection


@pytest.mark.parametrize(
    ("url", "parts", "place"),
    [
        ("ws://127.0.0.1:8765/live", ("127.0.0.1", 8765, "/live"), "127.0.0.1:8765"),
        ("ws://localhost:1", ("localhost", 1, "/live"), "localhost:1"),
        ("  WS://LOCALHOST:65535/ ", ("localhost", 65535, "/live"), "localhost:65535"),
        ("ws://[::1]:8765/live", ("::1", 8765, "/live"), "[::1]:8765"),
        ("ws://192.168.1.20:80/studio/live", ("192.168.1.20", 80, "/studio/live"), "192.168.1.20:80"),
    ],
)
def test_what_is_taken(url: str, parts: tuple[str, int, str], place: str) -> None:
    assert Address(url).split() == parts
    assert Address(url).place == place


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "must begin with ws://"),
        ("127.0.0.1:8765", "must begin with ws://"),
        ("http://127.0.0.1:8765/live", "must begin with ws://"),
        ("wss://127.0.0.1:8765/live", "SSH tunnel"),
        ("ws://127.0.0.1/live", "needs a host and a port"),
        ("ws://:8765/live", "needs a host and a port"),
        ("ws://127.0.0.1:0/live", "needs a host and a port"),
        ("ws://127.0.0.1:65536/live", "0-65535"),
        ("ws://127.0.0.1:many/live", "many"),
        ("ws://[::1:8765/live", "Invalid IPv6"),
        ("ws://studio:8765/live", "'studio' is a name"),
        ("ws://127.1:8765/live", "'127.1' is a name"),
        ("ws://127.0.0.1:8765/live?token=x", r"must have no \?query"),
        ("ws://me@127.0.0.1:8765/live", "must have no"),
        ("ws://127.0.0.1:8765/li ve", "percent-encoded"),
        ("ws://127.0.0.1:8765/" + "x" * 500, "at most 500"),
        (None, "must be text"),
    ],
)
def test_what_is_not_taken_is_named_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(AddressError, match=why) as caught:
        Address(url)
    assert repr(url)[:60] in str(caught.value)


def test_whether_the_server_is_on_this_machine() -> None:
    assert all(Address(f"ws://{host}:1").is_loopback for host in ("127.0.0.1", "127.9.9.9", "[::1]", "localhost"))
    assert not Address("ws://192.168.1.20:1").is_loopback


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "ä", "x" * 4097])
def test_a_token_that_would_break_the_header_is_refused(token: str) -> None:
    with pytest.raises(AddressError, match="printable ASCII") as caught:
        Address("ws://127.0.0.1:1", token)
    assert token not in str(caught.value), "a token is not for a console"


def test_the_token_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    address = Address("ws://127.0.0.1:1", token_file=file)
    with pytest.raises(NoConnection, match=r"token does not exist: start the server"):
        address.read_token()
    file.write_text("first\n")
    assert address.read_token() == "first"
    file.write_text("second")
    assert address.read_token() == "second"
    assert Address("ws://127.0.0.1:1").read_token() == ""


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff\xfe", b"x" * 10000])
def test_a_token_file_without_a_token_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(NoConnection, match="holds no token"):
        Address("ws://127.0.0.1:1", token_file=file).read_token()
    with pytest.raises(NoConnection, match="cannot be read"):
        Address("ws://127.0.0.1:1", token_file=tmp_path).read_token()
