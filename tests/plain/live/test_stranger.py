"""Another program at the server's port: it hears nothing, neither the token nor who asks, and is told of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.http11 import Request as Handshake
from websockets.http11 import Response
from websockets.sync.server import ServerConnection

from addon.live import Address, LiveLoop
from addon.problems import LiveState
from addon.problems.connection import UnknownServer
from addon.transport.challenge import CHALLENGE, PROOF, new_number, prove
from tests.plain.live.servers import TOKEN, Clock, Viewer, inverter, proof, said, script

ANSWERS: dict[str, Callable[[Handshake], list[tuple[str, str]]]] = {
    "nothing": lambda _: [],
    "another token": lambda request: [*proof(request, "another").items()],
    "a proof alone": lambda request: [(PROOF, proof(request, TOKEN)[PROOF])],
    "our number sent back": lambda request: [
        (CHALLENGE, request.headers[CHALLENGE]),
        (PROOF, request.headers[CHALLENGE]),
    ],
    "two proofs": lambda request: [*proof(request, TOKEN).items(), (PROOF, "0" * 64)],
    "no number": lambda request: [(CHALLENGE, "x"), (PROOF, prove(TOKEN, "server", request.headers[CHALLENGE], "x"))],
    "a client's proof": lambda request: [
        (CHALLENGE, (theirs := new_number())),
        (PROOF, prove(TOKEN, "client", request.headers[CHALLENGE], theirs)),
    ],
    "a proof for another connection": lambda _: [
        (CHALLENGE, (theirs := new_number())),
        (PROOF, prove(TOKEN, "server", new_number(), theirs)),
    ],
    "letters": lambda _: [(CHALLENGE, new_number()), (PROOF, "\xe9" * 64)],
}


@pytest.mark.parametrize("what", ANSWERS)
def test_who_does_not_know_the_token_hears_nothing(what: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    asked: list[Handshake] = []
    heard: list[object] = []
    left = threading.Event()

    def answer(_: ServerConnection, request: Handshake, response: Response) -> None:
        asked.append(request)
        for name, value in ANSWERS[what](request):
            response.headers[name] = value

    def handler(connection: ServerConnection) -> None:
        try:
            heard.extend(connection)
        finally:
            left.set()

    with script(handler, process_response=answer) as address:
        viewer = Viewer(LiveLoop(Address(address.url, token_file=file)))
        viewer.until(lambda: viewer.loop.state == LiveState.FAILED)
        assert viewer.loop.problem == UnknownServer(address.place, str(file))
        assert "nothing was sent to it" in said(viewer.loop) and str(file) in said(viewer.loop)
        assert left.wait(60)
        viewer.loop.stop()
    assert heard == [] and viewer.sent == []
    assert TOKEN not in str(asked[0].headers) and "Authorization" not in asked[0].headers


def test_each_connection_asks_anew_and_the_true_server_is_found(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("of-the-server-before")
    with script(inverter()) as address:
        clock = Clock()
        viewer = Viewer(LiveLoop(Address(address.url, token_file=file), clock=clock))
        viewer.until(lambda: viewer.loop.state == LiveState.FAILED)
        file.write_text(TOKEN)
        clock.ahead += 4
        viewer.until(lambda: viewer.pictures)
        viewer.loop.stop()
