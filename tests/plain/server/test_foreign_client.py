"""A client that knows nothing but docs/protocol.md, against the server: what the document says is so."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.plain.server.foreign_client import (
    ForeignClient,
    filled,
    message,
    open_by_challenge,
    packed,
    parts,
    plane,
    planes_table,
)
from tests.plain.server.rig import Address

SIDE = 64
RED = bytes([200, 30, 30]) * (SIDE * SIDE)
DEPTH = b"".join(struct.pack("<H", 65535 - 500 * y) for y in range(SIDE) for _ in range(SIDE))
IMAGE = (plane("image", SIDE, SIDE), RED)
WITH_DEPTH = [IMAGE, (plane("inverse_depth", SIDE, SIDE), DEPTH)]
FOLLOW = {"controls": [filled("Control", weight=1)]}


@contextlib.contextmanager
def foreign(address: Address, **hello: Any) -> Iterator[ForeignClient]:
    with opened(address) as socket:
        client = ForeignClient(socket, **hello)
        client.ready()
        yield client


def opened(address: Address) -> ClientConnection:
    headers = {"Authorization": f"Bearer {address.token}"}
    return connect(f"ws://127.0.0.1:{address.port}/live", additional_headers=headers, compression=None, max_size=None)


def test_it_gets_a_picture_at_the_first_try(address: Address) -> None:
    with foreign(address, client="written from the document") as client:
        assert (client.welcome["protocol"], client.welcome["credits"]) == (3, 2)
        client.ask(1, WITH_DEPTH, FOLLOW, captured=12.5, settle=True)
        picture = client.answer()
    assert (picture["type"], picture["id"], picture["captured"], picture["settle"]) == ("picture", 1, 12.5, True)
    assert picture["planes"] == [plane("image", SIDE, SIDE)]
    assert len(picture["data"]) == SIDE * SIDE * 3 and len(set(picture["data"])) > 20
    assert picture["after"] is None, "without a steady style it is made afresh"


def test_it_makes_sure_of_the_server_before_it_says_anything(address: Address) -> None:
    socket, proof = open_by_challenge(f"ws://127.0.0.1:{address.port}/live", address.token)
    with socket:
        client = ForeignClient(socket, proof=proof)
        client.ready()
        client.ask(1, WITH_DEPTH, FOLLOW)
        assert client.answer()["type"] == "picture"


@pytest.mark.parametrize("proof", ["", "0" * 64, "known"])
def test_without_its_own_proof_it_is_refused(address: Address, proof: str) -> None:
    socket, right = open_by_challenge(f"ws://127.0.0.1:{address.port}/live", address.token)
    with socket:
        socket.send(
            message(filled("Hello", type="hello", protocol=3, proof=right[::-1] if proof == "known" else proof))
        )
        header, _ = parts(socket.recv(60))
        assert (header["type"], header["code"]) == ("failure", "bad_message") and "proof" in header["sentence"]
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(60)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 4400


def test_its_planes_arrive_as_they_are_and_small(address: Address) -> None:
    """The same request by every way of sending its planes gives the same picture."""
    with foreign(address, encodings=["u12z", "z"]) as client:
        assert set(client.welcome["encodings"]) == {"u12z", "z"}
        client.ask(1, [*reversed(WITH_DEPTH)], FOLLOW)
        whole = client.answer()["data"]
        ids = [3] * SIDE * SIDE
        twelve = [value >> 4 for (value,) in struct.iter_unpack("<H", DEPTH)]
        small = packed(struct.pack(f"<{len(twelve)}H", *twelve), SIDE, 2)
        ids_small = packed(struct.pack(f"<{len(ids)}H", *ids), SIDE, 2)
        client.ask(
            2,
            [
                IMAGE,
                (plane("inverse_depth", SIDE, SIDE) | {"encoding": "u12z", "bytes": len(small)}, small),
                (plane("ids", SIDE, SIDE) | {"encoding": "z", "bytes": len(ids_small)}, ids_small),
                (plane("objects", 1, 1), struct.pack("<H16f", 3, *[1, 0, 0, 5, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1])),
            ],
            FOLLOW,
        )
        answer = client.answer()
        assert answer["type"] == "picture", answer
        apart = sum(abs(one - other) for one, other in zip(answer["data"], whole, strict=True)) / len(whole)
        assert apart < 3, "12 of the 16 bits of depth say nearly the same"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="the document's folder for Linux")
def test_it_shares_memory(address: Address) -> None:
    name = secrets.token_hex(16)
    path = Path("/dev/shm", f"draftglass-{name}")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.ftruncate(handle, 134_217_728)
        os.pwrite(handle, name.encode(), 0)
        with foreign(address, memory=name) as client:
            path.unlink()
            assert client.welcome["memory"] is True
            client.ask(1, [IMAGE])
            whole = client.answer()["data"]
            os.pwrite(handle, RED, 4096)
            client.ask(2, [(plane("image", SIDE, SIDE, at=4096), b"")], picture_at=65536)
            picture = client.answer()
        assert picture["planes"][0]["at"] == 65536 and picture["data"] == b""
        assert os.pread(handle, SIDE * SIDE * 3, 65536) == whole
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)


def test_it_keeps_to_its_credits_and_everything_is_answered_once(address: Address) -> None:
    with foreign(address) as client:
        answers = []
        for number in range(1, 13):
            client.ask(number, [IMAGE])
            if number > 1:
                answers.append(client.answer())
        answers.append(client.answer())
    assert [(answer["type"], answer["id"]) for answer in answers] == [("picture", number) for number in range(1, 13)]


STRENGTH = (plane("strength", SIDE, SIDE), bytes(SIDE * SIDE))
IDS = (plane("ids", SIDE, SIDE), bytes(SIDE * SIDE * 2))


@pytest.mark.parametrize(
    ("planes", "style", "more", "code", "words"),
    [
        ([IMAGE], FOLLOW, {}, "bad_request", "frame 9 has no plane 'inverse_depth'"),
        ([IMAGE], {"steps": 0}, {}, "bad_message", "steps is 0"),
        ([IMAGE], {"steps": 2.0}, {}, "bad_message", "steps is 2.0"),
        ([IMAGE], None, {"picture_as": "jpeg"}, "bad_request", "picture_as is 'jpeg', which was not agreed on"),
        ([(plane("image", SIDE, SIDE, at=0, bytes=5), b"")], None, {}, "bad_message", "has 'bytes'"),
        ([IMAGE, IMAGE], None, {}, "bad_message", "the plane 'image' is there twice"),
        ([IMAGE, IDS], None, {"panorama": True}, "unsupported", "panorama"),
        ([IMAGE, IDS], None, {"regions": [filled("Region", id=1, prompt="a door")]}, "unsupported", "regions"),
    ],
)
def test_what_it_does_wrong_is_answered_with_the_requests_id(
    address: Address, planes: Any, style: Any, more: dict[str, Any], code: str, words: str
) -> None:
    with foreign(address) as client:
        client.ask(9, planes, style, **more)
        failure = client.answer()
        assert (failure["type"], failure["id"], failure["code"]) == ("failure", 9, code)
        assert any(words in str(value) for value in failure["fields"].values()) and failure["sentence"]
        client.ask(10, [IMAGE])
        assert client.answer()["id"] == 10, "the connection goes on"


def test_repeated_names_and_messages_that_are_the_servers_are_refused(address: Address) -> None:
    with foreign(address) as client:
        text = b'{"type":"list_models","type":"list_models"}'
        client.socket.send(struct.pack("<I", len(text)) + text)
        assert "there twice" in client.answer()["sentence"]
        client.socket.send(message(filled("Picture", type="picture", id=5, planes=[IMAGE[0]]), IMAGE[1]))
        failure = client.answer()
        assert (failure["code"], failure["id"]) == ("bad_message", 5)


def test_it_asks_for_models_and_sends_a_style_picture(address: Address) -> None:
    with foreign(address) as client:
        client.socket.send(message(filled("List models", type="list_models")))
        assert isinstance(client.next("models")["entries"], list)
        digest = hashlib.sha256(RED).hexdigest()
        client.socket.send(message(filled("Upload", type="upload", sha256=digest, planes=[IMAGE[0]]), RED))
        client.ask(1, [IMAGE], {"reference": filled("Reference", sha256=digest, weight=0)})
        assert client.answer()["type"] == "picture"
        client.socket.send(message(filled("Shown", type="shown")))


@pytest.mark.parametrize(("version", "older"), [(2, "client"), (4, "server")])
def test_another_version_gets_one_sentence_that_names_both(address: Address, version: int, older: str) -> None:
    """``hello`` and ``failure`` as a client of version 2 has them: it reads the sentence and the code."""
    with opened(address) as socket:
        hello = {"type": "hello", "protocol": version, "client": "old", "memory": "", "encodings": [], "planes": []}
        socket.send(message(hello))
        data = socket.recv(180)
        assert isinstance(data, bytes)
        failure, _ = parts(data)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(180)
    assert failure["code"] == "protocol_version" and failure["fields"] == {"client": version, "server": 3}
    assert f"version {version} of the protocol and the server version 3: update the {older}" in failure["sentence"]
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4400


def test_the_encoding_z_is_as_the_document_says() -> None:
    values = bytes([1, 2, 3, 5, 5, 5])  # two rows of three
    assert zlib.decompress(packed(values, 3, 1)) == bytes([1, 2, 3, 4, 3, 2])
    assert planes_table()["normals"] == ("rgb8", "z")
