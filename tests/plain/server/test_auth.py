"""Tests of who may speak to the server, each over a real socket."""

from __future__ import annotations

import json
import socket

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from addon.transport.challenge import CHALLENGE, new_number
from addon.wire import Failure, Hello, Welcome, pack, unpack
from tests.plain.server.rig import Address, Client

ROUTES = ("/health", "/models", "/metrics", "/openapi.json", "/live", "/nothing-here")


def refusal_of(address: Address, **options: object) -> tuple[int, str]:
    """Status and sentence with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as caught:
        address.connect(**options).close()  # type: ignore[arg-type]
    response = caught.value.response
    return response.status_code, json.loads(bytes(response.body or b""))["detail"]


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_needs_a_token(address: Address, path: str) -> None:
    status, body = address.get(path, Accept="*/*")
    assert status == 401
    assert "Authorization: Bearer" in json.loads(body)["detail"]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("wrong", ["Bearer wrong", "Bearer ", "Bearer", "Basic {}", "{}", "Bearer {}x", "Bearer \xe9"])
def test_a_wrong_token_is_refused(address: Address, path: str, wrong: str) -> None:
    status, body = address.get(path, Authorization=wrong.format(address.token))
    assert status == 401
    assert "token" in json.loads(body)["detail"]


def test_the_token_in_the_query_is_for_websockets_only(address: Address) -> None:
    assert address.get(f"/health?token={address.token}", Accept="*/*")[0] == 401


def test_the_right_token_opens_http(address: Address) -> None:
    assert address.get("/health")[0] == 200
    assert address.get("/nothing-here")[0] == 404


@pytest.mark.parametrize("path", ROUTES)
def test_a_foreign_page_is_refused_even_with_the_token(address: Address, path: str) -> None:
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{address.port}", "https://studio.example.evil"):
        status, body = address.get(path, Origin=origin, Authorization=f"Bearer {address.token}")
        assert status == 403
        assert origin in json.loads(body)["detail"]


def test_a_websocket_without_token_is_refused(address: Address) -> None:
    status, sentence = refusal_of(address, token="")
    assert status == 401
    assert "a token is needed" in sentence


def test_a_websocket_with_a_wrong_token_is_refused(address: Address) -> None:
    for options in ({"token": "wrong"}, {"token": "", "query": "?token=wrong"}, {"token": "", "query": "?token="}):
        status, sentence = refusal_of(address, **options)
        assert status == 401
        assert "token" in sentence


def test_a_right_query_does_not_mend_a_wrong_header(address: Address) -> None:
    assert refusal_of(address, token="wrong", query=f"?token={address.token}")[0] == 401


def test_a_websocket_of_a_foreign_page_is_refused(address: Address) -> None:
    status, sentence = refusal_of(address, origin="https://evil.example")
    assert status == 403
    assert "https://evil.example" in sentence
    assert refusal_of(address, token="", query=f"?token={address.token}", origin="null")[0] == 403


def test_an_allowed_page_may_connect_with_the_token_in_the_query(address: Address) -> None:
    query = f"?token={address.token}"
    with address.connect(token="", query=query, origin="https://studio.example") as connection:
        client = Client(connection)
        client.send(Hello())
        assert isinstance(client.receive(), Welcome)


FOREIGN_HOSTS = (
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8765",
    "127.1",
    "[::1",
    "::1",
    "",
    "a b",
)
OWN_HOSTS = ("127.0.0.1", "127.0.0.1:1", "LocalHost:8765", "[::1]:8765", "192.168.0.7", "studio.local:8765")


@pytest.mark.parametrize("path", ROUTES)
def test_a_foreign_host_name_is_refused_token_or_not(address: Address, path: str) -> None:
    for host in FOREIGN_HOSTS:
        for headers in ({}, {"Authorization": f"Bearer {address.token}"}):
            status, body = address.get(path, Host=host, **headers)
            assert status == 403 and "--allow-host" in json.loads(body)["detail"], host


def test_addresses_and_allowed_names_are_taken(address: Address) -> None:
    for host in OWN_HOSTS:
        assert address.get("/health", Host=host, Authorization=f"Bearer {address.token}")[0] == 200, host


def test_a_websocket_by_a_foreign_host_name_is_refused(address: Address) -> None:
    url = f"ws://evil.example:{address.port}/live?token={address.token}"
    for more in ({}, {CHALLENGE: new_number()}):
        with socket.create_connection(("127.0.0.1", address.port)) as raw, pytest.raises(InvalidStatus) as caught:
            connect(url, sock=raw, additional_headers=more)
        assert caught.value.response.status_code == 403


@pytest.mark.parametrize("number", ["", "0" * 63, "0" * 65, "G" * 64, "é" * 64])
def test_a_challenge_must_be_one(address: Address, number: str) -> None:
    for path in ("/live", "/live?token="):
        status = refusal_of(address, token="", path=path, headers={CHALLENGE: number})[0]
        assert status == 401


def test_a_challenge_opens_nothing_else(address: Address) -> None:
    assert address.get("/health", **{CHALLENGE: new_number()})[0] == 401
    assert refusal_of(address, token="", path="/elsewhere", headers={CHALLENGE: new_number()})[0] == 401
    assert refusal_of(address, token="wrong", headers={CHALLENGE: new_number()})[0] == 401
    assert refusal_of(address, token="", query="?token=wrong", headers={CHALLENGE: new_number()})[0] == 401


@pytest.mark.parametrize("query", ["", "?token=", "?token=&a=token="])
def test_a_challenge_alone_makes_nobody_known(address: Address, query: str) -> None:
    with address.connect(token="", query=query, headers={CHALLENGE: new_number()}) as connection:
        connection.send(pack(Hello()))
        assert isinstance(unpack(connection.recv(60)), Failure)


def test_refusals_are_counted(address: Address) -> None:
    address.get("/health", Accept="*/*")
    assert 'draftglass_refused_total{status="401"}' in address.get("/metrics")[1]
