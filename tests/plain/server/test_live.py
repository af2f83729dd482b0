"""Tests of one client's way through the server: greeting, pictures, failures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from addon.problems.serving import LoadingStep, OutOfMemory
from addon.version import VERSION
from addon.wire import (
    PROTOCOL,
    Control,
    Dropped,
    Failure,
    Frame,
    Hello,
    Message,
    Picture,
    Progress,
    Request,
    Status,
    Style,
    Welcome,
    pack,
    unpack,
)
from server.engine import EngineError, StableDiffusionLcm
from server.serving.reports import failure_of, status_of
from server.serving.worker import EngineOutput
from tests.plain.server.engines import Held, Lent, OnStep, Report
from tests.plain.server.rig import Address, Client, make_request, serving, wait_for


def closed_with(connection: object, first: bytes | str) -> tuple[Failure, int]:
    """The failure that answers ``first``, and the code with which the server then closes."""
    connection.send(first)  # type: ignore[attr-defined]
    failure = unpack(connection.recv(60))  # type: ignore[attr-defined]
    with pytest.raises(ConnectionClosed) as caught:
        connection.recv(60)  # type: ignore[attr-defined]
    assert isinstance(failure, Failure)
    assert caught.value.rcvd is not None
    return failure, caught.value.rcvd.code


def test_hello_is_answered_by_welcome_then_status(address: Address) -> None:
    with address.connect() as connection:
        client = Client(connection)
        client.send(Hello(client="somebody"))
        welcome, status = client.receive(), client.receive()
        assert isinstance(welcome, Welcome)
        assert isinstance(status, Status)
        assert welcome == Welcome(PROTOCOL, f"draftglass-server {VERSION}", 2048, 2)


@pytest.mark.parametrize(("version", "to_update"), [(PROTOCOL + 1, "server"), (2, "client"), (0, "client")])
def test_another_version_is_told_which_side_to_update(address: Address, version: int, to_update: str) -> None:
    with address.connect() as connection:
        failure, code = closed_with(connection, pack(Hello(protocol=version)))
    assert failure.code == "protocol_version"
    assert failure.sentence.endswith(f"update the {to_update}.")
    assert f"version {version} " in failure.sentence and f"version {PROTOCOL}:" in failure.sentence
    assert failure.fields == {"client": version, "server": PROTOCOL}
    assert code == 4400


@pytest.mark.parametrize("first", [b"", b"\2\0\0\0{}", "hello", pack(make_request(1)), pack(Status("ready"))])
def test_what_is_no_hello_is_refused(address: Address, first: bytes | str) -> None:
    with address.connect() as connection:
        failure, code = closed_with(connection, first)
    assert failure.code == "bad_message"
    assert code == 4400


def test_a_wrong_path_is_told_from_a_wrong_token(address: Address) -> None:
    with pytest.raises(InvalidStatus) as caught, address.connect(path="/lively"):
        pass
    assert caught.value.response.status_code == 404
    assert b"lively" in bytes(caught.value.response.body or b"")


def test_compression_is_not_negotiated(address: Address) -> None:
    with address.connect(compression="deflate") as connection:
        assert connection.request is not None
        assert "permessage-deflate" in connection.request.headers["Sec-WebSocket-Extensions"]
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers


def test_a_request_becomes_a_picture(address: Address, engine: StableDiffusionLcm) -> None:
    request = make_request(41, side=128, draft=96, steps=3, seed=5)
    with address.client() as client:
        client.send(Request(request.frame, request.style, settle=True))
        messages: list[Message] = []
        while not messages or not isinstance(messages[-1], Picture):
            message = client.receive()
            if not isinstance(message, Status):
                messages.append(message)
    picture = messages[-1]
    assert isinstance(picture, Picture)
    assert (picture.id, picture.captured, picture.settle, picture.model) == (41, 41 / 8, True, engine.name)
    assert picture.image.shape == (128, 128, 3)
    assert np.array_equal(picture.image, engine.render(request).image)
    assert picture.timings["engine"] >= picture.timings["unet"] > 0
    assert picture.timings["queue"] >= 0
    steps = [message.step for message in messages[:-1] if isinstance(message, Progress)]
    assert steps == sorted(set(steps))
    assert all(message.id == 41 for message in messages)  # type: ignore[union-attr]


def test_the_same_request_gives_the_same_bytes_and_another_seed_or_prompt_others(address: Address) -> None:
    def image(**style: Any) -> bytes:
        with address.client() as client:
            client.send(make_request(1, side=128, steps=2, **style))
            return client.until(Picture).image.tobytes()

    first = image()
    assert image() == first
    assert image(seed=1) != first
    assert image(prompt="a barn") != first


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\2\0\0\0[]",
        "text",
        pack(Hello()),
        pack(Welcome()),
        pack(Picture(7, np.zeros((8, 8, 3), np.uint8))),
        pack(Dropped(7)),
    ],
)
def test_a_wrong_message_is_answered_and_the_connection_stays(address: Address, wrong: bytes | str) -> None:
    with address.client() as client:
        client.connection.send(wrong)
        failure = client.until(Failure)
        assert failure.code == "bad_message"
        assert failure.id == (7 if isinstance(wrong, bytes) and b'"id":7' in wrong else None)
        client.send(make_request(2))
        assert client.until(Picture).id == 2


def test_a_picture_in_an_encoding_that_was_not_agreed_on_is_refused(address: Address) -> None:
    with address.client() as client:
        client.send(replace(make_request(5), picture_as="jpeg"))
        failure = client.until(Failure)
        assert (failure.code, failure.id) == ("bad_request", 5)
        assert "picture_as is 'jpeg', which was not agreed on" in str(failure.fields["detail"])


def test_a_failure_names_its_request(address: Address) -> None:
    data = pack(make_request(77)).replace(b'"steps":1', b'"steps":0')
    with address.client() as client:
        client.connection.send(data)
        failure = client.until(Failure)
    assert failure.id == 77
    assert "steps is 0" in str(failure.fields["detail"])


def test_depth_reaches_the_engine(address: Address) -> None:
    plain = make_request(1, side=64)
    depth = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    style = Style(**{**vars(plain.style), "controls": (Control("depth", 1.0),)})
    with address.client() as client:
        client.send(plain)
        without = client.until(Picture).image
        client.send(Request(Frame(2, plain.frame.image, depth), style))
        assert not np.array_equal(client.until(Picture).image, without)


class Breaking(Lent):
    """Fails on odd frames: as the engine does, by an EngineError, or as nobody foresaw."""

    def render(self, request: Request, on_step: OnStep = None) -> EngineOutput:
        if request.frame.id == 1:
            raise EngineError(OutOfMemory("a picture of 64 x 64"))
        if request.frame.id == 3:
            raise ZeroDivisionError("division\nby zero")
        return super().render(request, on_step)


def test_the_server_outlives_whatever_a_frame_does_to_the_engine(
    engine: StableDiffusionLcm, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Breaking(engine).load) as (address, _), address.client() as client:
        answers = []
        for number in range(5):
            client.send(make_request(number))
            answers.append(client.answer())
    assert [type(answer) for answer in answers] == [Picture, Failure, Picture, Failure, Picture]
    assert answers[1] == failure_of(OutOfMemory("a picture of 64 x 64"), 1)
    assert answers[3] == Failure("internal", {"detail": "division by zero"}, 3, "The engine failed: division by zero.")
    assert "ZeroDivisionError" in caplog.text


def test_a_request_before_the_model_is_there_waits_for_it(engine: StableDiffusionLcm) -> None:
    lent, gate = Lent(engine), Held(engine)

    def load(report: Report) -> Lent:
        for percent in (0.25, 0.5):
            report(percent, f"at {percent}")
        gate.render(make_request(0))  # stands still until let go
        return lent

    with serving(load) as (address, worker), address.client() as client:
        wait_for(lambda: gate.started)
        while (status := client.until(Status)).percent < 50:  # what was told as it came in, maybe
            pass
        assert status == status_of("loading", 50, str(worker.status.model), LoadingStep("at 0.5"))
        for number in (1, 2, 3):
            client.send(make_request(number))
        assert [client.answer(), client.answer()] == [Dropped(1), Dropped(2)]
        gate.go()
        while (status := client.until(Status)).state == "loading":
            pass
        assert (status.state, status.percent, status.model) == ("ready", 100, engine.name)
        assert client.until(Picture).id == 3


def test_a_model_that_cannot_be_loaded_is_told_to_everybody() -> None:
    def load(report: Report) -> Lent:
        report(0.3, "looking")
        raise EngineError("the folder holds no model")

    with serving(load) as (address, _), address.client() as client:
        while (status := client.until(Status)).state == "loading":
            pass
        assert (status.state, status.sentence) == ("failed", "The folder holds no model.")
        client.send(make_request(6))
        failure = client.until(Failure)
        assert (failure.id, failure.code) == (6, "model_failed")
        assert failure.fields == {"detail": "the folder holds no model"}
