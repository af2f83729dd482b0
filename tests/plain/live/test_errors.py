"""Tests of the sentences, and of an outage that lasts for hours. No bpy; a closed port on this machine."""

from __future__ import annotations

import socket

import pytest

from addon.live import Address, LiveLoop
from addon.problems import errors


def test_a_servers_words_become_one_sentence() -> None:
    assert errors.loading(5, "The engine is being started.") == (
        "The server is loading its model: 5 %, The engine is being started."
    )
    assert errors.loading(5, "") == "The server is loading its model: 5 %."


@pytest.mark.parametrize("hostile", ["it\nbroke", "it\r\n\0broke", "it\x1b broke\n", "it\u2028broke", " it  broke "])
def test_control_characters_do_not_reach_the_user(hostile: str) -> None:
    assert errors.written(hostile) == "It broke."
    assert errors.loading(1, hostile) == "The server is loading its model: 1 %, it broke."


def test_a_sentence_that_is_one_stays_so() -> None:
    assert errors.written("Is it? It is!") == "Is it? It is!"
    assert errors.written("") == ""


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
        assert loop.state in (errors.WAITING, errors.CONNECTING)
        assert "No server is listening" in loop.sentence
        loop.stop()
