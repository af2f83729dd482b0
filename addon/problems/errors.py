"""Exceptions that carry a problem, and the problems that the system's own error numbers stand for. No bpy; stdlib only.

An errno or an HTTP status becomes a type here; which state it leads to follows from the type alone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

from .connection import (
    ConnectFailed,
    ConnectionRefused,
    HttpRefused,
    NotDraftglass,
    UnknownServer,
    Unreachable,
    WrongPath,
    WrongToken,
)
from .report import Problem
from .serving import ProtocolVersion
from .states import LiveState
from .words import sentence

_REFUSED = {errno.ECONNREFUSED, 10061}  # the numbers above 10000 are Windows' own
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ETIMEDOUT, 10051, 10060, 10065}


_FOR_A_PERSON = (WrongToken, UnknownServer, WrongPath, NotDraftglass, ProtocolVersion)


class ProblemError(Exception):
    """The root of the exceptions that a person is told by their ``problem``."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        """For tracebacks and logs."""
        return sentence(self.problem)


class AddressError(ProblemError, ValueError):
    """An address or a token that cannot be right, or no server to use, whatever any server does."""


class NoConnection(ProblemError):
    """The connection cannot be made or has ended."""

    @property
    def state(self) -> LiveState:
        """FAILED where a person has to do something first, else WAITING."""
        needs_a_person = isinstance(self.problem, _FOR_A_PERSON)
        return LiveState.FAILED if needs_a_person else LiveState.WAITING


def from_connect(error_number: int, place: str) -> NoConnection:
    """The TCP connection to ``place`` ("host:port") failed with this errno."""
    if error_number in _REFUSED:
        return NoConnection(ConnectionRefused(place))
    kind = Unreachable if error_number in _UNREACHABLE else ConnectFailed
    return NoConnection(kind(place, _words_of(error_number)))


def _words_of(error_number: int) -> str:
    if sys.platform == "win32":  # its C library has no words for the errors of sockets
        return ctypes.FormatError(error_number)
    return os.strerror(error_number)


def from_status(status: int, place: str, path: str, token_file: Path | None) -> NoConnection:
    """The handshake was answered with this HTTP status instead of 101."""
    if status in (401, 403):
        return NoConnection(WrongToken(place, status, str(token_file) if token_file else ""))
    if status == 404:
        return NoConnection(WrongPath(place, path))
    return NoConnection(HttpRefused(place, status))
