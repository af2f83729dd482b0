"""The system's error numbers as problems, and an outage that lasts for hours. No bpy; a closed port on this machine."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from addon.live import Address, LiveLoop
from addon.problems import LiveState, Problem
from addon.problems.connection import (
    ConnectFailed,
    ConnectionRefused,
    HttpRefused,
    Unreachable,
    WrongPath,
    WrongToken,
)
from addon.problems.errors import from_connect, from_status


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ECONNREFUSED, ConnectionRefused),
        (10061, ConnectionRefused),
        (errno.EHOSTUNREACH, Unreachable),
        (errno.ETIMEDOUT, Unreachable),
        (errno.EACCES, ConnectFailed),
    ],
)
def test_an_errno_has_its_kind_and_is_waited_out(number: int, kind: type[Problem]) -> None:
    error = from_connect(number, "host:1")
    assert type(error.problem) is kind and error.state is LiveState.WAITING


@pytest.mark.parametrize(
    ("status", "problem", "state"),
    [
        (401, WrongToken("host:1", 401, str(Path("/run/token"))), LiveState.FAILED),
        (403, WrongToken("host:1", 403, str(Path("/run/token"))), LiveState.FAILED),
        (404, WrongPath("host:1", "/lve"), LiveState.FAILED),
        (503, HttpRefused("host:1", 503), LiveState.WAITING),
    ],
)
def test_an_http_status_has_its_kind_and_its_state(status: int, problem: Problem, state: LiveState) -> None:
    error = from_status(status, "host:1", "/lve", Path("/run/token"))
    assert (error.problem, error.state) == (problem, state)


def test_hours_without_a_server_end_nothing() -> None:
    """One attempt every 4 s: the pause, doubled with each, must not outgrow a float after a thousand."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: refuses
        port = closed.getsockname()[1]
        now = 0.0
        loop = LiveLoop(Address(f"ws://127.0.0.1:{port}/live"), clock=lambda: now)
        while loop.statistics.attempts < 1200:
            now += 2.0
            assert loop.poll("view") is None
        assert loop.state in (LiveState.WAITING, LiveState.CONNECTING)
        assert loop.problem == ConnectionRefused(f"127.0.0.1:{port}")
        loop.stop()
