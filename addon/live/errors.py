"""What can go wrong between add-on and server, each as a state and a sentence. Standard library only; no bpy, no I/O.

Every sentence that the live loop shows about its connection is written here.
"""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

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

STOPPED_SENTENCE = "Live is stopped."
NO_REASON = "The server could not load its model and did not say why."
STATES = (CONNECTING, LOADING, LIVE, WAITING, FAILED, STOPPED)

_REFUSED = {errno.ECONNREFUSED, 10061}  # the numbers above 10000 are Windows' own
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ETIMEDOUT, 10051, 10060, 10065}


class LiveError(Exception):
    """The root of this package's exceptions; ``str(error)`` is a sentence for the user."""


class AddressError(LiveError, ValueError):
    """An address or a token that cannot be right, whatever the server does."""


class Trouble(LiveError):
    """The connection cannot be made or has ended. ``state`` is what the live loop shows, WAITING or FAILED."""

    def __init__(self, sentence: str, state: str = WAITING) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.state = state


def from_connect(error_number: int, place: str) -> Trouble:
    """The TCP connection to ``place`` ("host:port") failed with this errno."""
    if error_number in _REFUSED:
        return Trouble(f"No server is listening at {place}: start it, or check the port.")
    if error_number in _UNREACHABLE:
        return Trouble(f"{place} cannot be reached ({os.strerror(error_number)}): check the address and the network.")
    return Trouble(f"Connecting to {place} failed: {os.strerror(error_number)}.")


def silent(place: str, seconds: float) -> Trouble:
    """Something accepts connections at ``place`` and says nothing, or a server has stopped answering."""
    return Trouble(f"The server at {place} has not answered for {seconds:.0f} s.")


def from_status(status: int, place: str, path: str, token_file: Path | None) -> Trouble:
    """The handshake was answered with this HTTP status instead of 101."""
    if status in (401, 403):
        where = f"the token in {token_file}" if token_file else "the token"
        return Trouble(
            f"The server at {place} does not accept {where} (HTTP {status}): "
            "it makes a new token at each start, so use the one of the server that runs now.",
            FAILED,
        )
    if status == 404:
        return Trouble(f"{place} answers, but has no {path} (HTTP 404): the path should be /live.", FAILED)
    return Trouble(f"The server at {place} refused the connection with HTTP {status}.")


def not_draftglass(place: str, what: str) -> Trouble:
    """Bytes came that are no WebSocket or no message of ours; ``what`` says which."""
    return Trouble(f"What answers at {place} is no Draftglass server, or a broken one: {what}.", FAILED)


def protocol_version(place: str, theirs: int, ours: int) -> Trouble:
    """The server speaks another version of the protocol."""
    older = "the server" if theirs < ours else "the add-on"
    return Trouble(
        f"The server at {place} speaks version {theirs} of the protocol, this add-on version {ours}: update {older}.",
        FAILED,
    )


def refused(sentence: str, state: str) -> Trouble:
    """The server said why in its own ``sentence`` before the connection ended."""
    return Trouble(written(sentence), state)


def lost(place: str, reason: str = "") -> Trouble:
    """An open connection ended."""
    return Trouble(f"The connection to the server at {place} was lost{f' ({reason})' if reason else ''}.")


def loading(percent: float, words: str) -> str:
    """The sentence while the server loads its model; ``words`` are the server's own."""
    words = _one_line(words).rstrip(".")
    return f"The server is loading its model: {percent:.0f} %" + (f", {words}" if words else "") + "."


def connecting(place: str) -> str:
    """The sentence before the first connection."""
    return f"Connecting to the server at {place}."


def live(model: str) -> str:
    """The sentence while all is well."""
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
