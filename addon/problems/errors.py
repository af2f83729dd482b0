"""What can go wrong between add-on and server, each as a state and a sentence. Standard library only; no bpy, no I/O.

The sentences of what fails are those of the table in ``failures``; those of what goes well are written here.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import sys
from pathlib import Path

from ..wire import LOADED
from .failures import FAILURES, Problem, problem

CONNECTING = "connecting"
"""Reaching for the server: TCP, WebSocket handshake, hello."""
LOADING = "loading"
"""Connected; the server is still loading its model."""
LIVE = "live"
"""Connected and ready: views are sent, pictures come back."""
WAITING = "waiting"
"""Not connected; tries again by itself after a pause."""
FAILED = "failed"
"""A person has to do something first. Where trying again is harmless it goes on, at the longest pause."""
STOPPED = "stopped"
"""Ended by stop()."""

ANSWER_WITHIN, FAR_WITHIN, LOADING_WITHIN = 3.0, 10.0, 20.0
"""Seconds that a server on this machine, on another one, or with another model to load may owe an answer to a ping."""

STOPPED_SENTENCE = "Live is stopped."
NO_REASON = FAILURES["no_reason"].sentence
STATES = (CONNECTING, LOADING, LIVE, WAITING, FAILED, STOPPED)

_REFUSED = {errno.ECONNREFUSED, 10061}  # the numbers above 10000 are Windows' own
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ETIMEDOUT, 10051, 10060, 10065}


class LiveError(Exception):
    """The root of this package's exceptions; ``str(error)`` is a sentence for the user."""


class AddressError(LiveError, ValueError):
    """An address or a token that cannot be right, whatever the server does; ``code`` as in the table of failures."""

    def __init__(self, sentence: str, code: str = "bad_address") -> None:
        super().__init__(sentence)
        self.code = code

    @classmethod
    def of(cls, code: str, **fields: str) -> AddressError:
        """The failure ``code`` of the table."""
        return cls(problem(code, **fields).sentence, code)


class Trouble(LiveError):
    """The connection cannot be made or has ended. ``state`` is what the live loop shows, WAITING or FAILED.

    ``code`` is the failure's in the table, where remedy and buttons are.
    """

    def __init__(self, sentence: str, state: str = WAITING, code: str = "lost") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.state = state
        self.code = code


def trouble(code: str, state: str = WAITING, **fields: str) -> Trouble:
    """The failure ``code`` of the table, as it ends a connection."""
    return Trouble(problem(code, **fields).sentence, state, code)


def from_connect(error_number: int, place: str) -> Trouble:
    """The TCP connection to ``place`` ("host:port") failed with this errno."""
    if error_number in _REFUSED:
        return trouble("refused_connection", place=place)
    code = "unreachable" if error_number in _UNREACHABLE else "connect_failed"
    return trouble(code, place=place, reason=_words_of(error_number))


def _words_of(error_number: int) -> str:
    if sys.platform == "win32":  # its C library has no words for the errors of sockets
        return ctypes.FormatError(error_number)
    return os.strerror(error_number)


def silent(place: str, seconds: float) -> Trouble:
    """Something accepts connections at ``place`` and says nothing, or a server has stopped answering."""
    return trouble("silent", place=place, seconds=f"{seconds:.0f}")


def seems_hung(unanswered: float, state: str, said: str, is_near: bool) -> bool:
    """Whether a server that has not answered a ping for so many seconds hangs, as far as can be told.

    Pings are answered beside the engine, however slow that is; only while a model is loaded may nothing go for a
    while, as libraries are. ``said``: the server's newest sentence about its model; ``is_near``: on this machine.
    """
    if state != LIVE:
        return False
    usual = ANSWER_WITHIN if is_near else FAR_WITHIN
    return unanswered > (usual if said in ("", LOADED) else max(usual, LOADING_WITHIN))


def from_status(status: int, place: str, path: str, token_file: Path | None) -> Trouble:
    """The handshake was answered with this HTTP status instead of 101."""
    if status in (401, 403):
        where = f"the token in {token_file}" if token_file else "the token"
        return trouble("wrong_token", FAILED, place=place, where=where, status=str(status))
    if status == 404:
        return trouble("wrong_path", FAILED, place=place, path=path)
    return trouble("http_refused", place=place, status=str(status))


def not_draftglass(place: str, what: str) -> Trouble:
    """Bytes came that are no WebSocket or no message of ours; ``what`` says which."""
    return trouble("not_draftglass", FAILED, place=place, what=what)


def protocol_version(place: str, theirs: int, ours: int) -> Trouble:
    """The server speaks another version of the protocol."""
    older = "the server" if theirs < ours else "the add-on"
    return trouble("protocol_version", FAILED, place=place, theirs=str(theirs), ours=str(ours), older=older)


def refused(sentence: str, state: str) -> Trouble:
    """The server said why in its own ``sentence`` before the connection ended."""
    return Trouble(written(sentence), state, "refused")


def lost(place: str, reason: str = "") -> Trouble:
    """An open connection ended."""
    return trouble("lost", place=place, reason=f" ({reason})" if reason else "")


def of_loop(state: str, sentence: str, trouble_code: str, failure_code: str) -> Problem | None:
    """What fails in a loop of this state and sentence.

    ``trouble_code``: of the connection that is lost; ``failure_code``: the server's for the newest frame; "" for none.
    """
    if state == STOPPED:
        return None
    if trouble_code:
        return Problem(trouble_code, sentence)
    if state == FAILED and sentence == NO_REASON:
        return problem("no_reason")
    if state == FAILED or (state == LIVE and failure_code):
        memory = failure_code == "out_of_memory" or "memory" in sentence
        return Problem("gpu_memory" if memory else "model_failed" if state == FAILED else "picture_failed", sentence)
    return None


def loading(percent: float, words: str) -> str:
    """The sentence while the server loads its model; ``words`` are the server's own."""
    words = _one_line(words).rstrip(".")
    return f"The server is loading its model: {percent:.0f} %" + (f", {words}" if words else "") + "."


def connecting(place: str) -> str:
    """The sentence before the first connection."""
    return f"Connecting to the server at {place}."


def live(model: str, said: str = "") -> str:
    """The sentence while pictures come. ``said``: the server's, such as of another model that is being loaded."""
    if said not in ("", LOADED):
        return written(said)
    return f"Live with the model {model}." if model else "Live."


def in_mid_frame(sentence: str) -> str:
    """``sentence`` of a connection that ended while a frame was under way."""
    return f"{sentence} A frame was under way; the newest view will be sent again."


def written(sentence: str) -> str:
    """A server's ``sentence`` as it stands among ours: with a capital and a full stop."""
    sentence = _one_line(sentence)
    if sentence and sentence[-1] not in ".!?":
        sentence += "."
    return sentence[:1].upper() + sentence[1:]


def again(sentence: str, seconds: float) -> str:
    """``sentence``, and when the next attempt is made."""
    return f"{sentence} Trying again " + (f"in {math.ceil(seconds)} s." if seconds > 0 else "now.")


def _one_line(text: str) -> str:
    """``text`` without line ends and control characters: a panel and a terminal show it, whoever wrote it."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
