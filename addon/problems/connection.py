"""What can go wrong on the way to a server, and what goes on there. Standard library only; no bpy.

``place`` is the server's ``host:port``, ``detail`` the system's or another program's own words.
"""

from __future__ import annotations

from dataclasses import dataclass

from .report import Notice, Problem


@dataclass(frozen=True)
class BadAddress(Problem):
    """``url`` cannot be a server's address; ``rule`` says which part is not as it must be."""

    url: str
    rule: str


@dataclass(frozen=True)
class BadToken(Problem):
    """A token that no HTTP header may carry; ``longest``: characters allowed."""

    longest: int


@dataclass(frozen=True)
class NoToken(Problem):
    """An address was given, but no token."""


@dataclass(frozen=True)
class RemoteWhileOffline(Problem):
    """The server is on another machine, and Blender's online access is off."""

    place: str


@dataclass(frozen=True)
class ConnectionRefused(Problem):
    """Nothing listens there."""

    place: str


@dataclass(frozen=True)
class Unreachable(Problem):
    """The network knows no way there."""

    place: str
    detail: str


@dataclass(frozen=True)
class ConnectFailed(Problem):
    """The system reports any other error of the connection."""

    place: str
    detail: str


@dataclass(frozen=True)
class NoAnswer(Problem):
    """The server owes an answer and has been silent for so long."""

    place: str
    seconds: int


@dataclass(frozen=True)
class WrongToken(Problem):
    """HTTP ``status`` 401 or 403. ``file``: where the token was read from, "" where it was given by hand."""

    place: str
    status: int
    file: str = ""


@dataclass(frozen=True)
class UnknownServer(Problem):
    """What answers does not know the token, so that nothing was said to it. ``file``: as for WrongToken."""

    place: str
    file: str = ""


@dataclass(frozen=True)
class WrongPath(Problem):
    """HTTP status 404."""

    place: str
    path: str


@dataclass(frozen=True)
class HttpRefused(Problem):
    """Any other HTTP ``status`` in place of a WebSocket."""

    place: str
    status: int


@dataclass(frozen=True)
class NotDraftglass(Problem):
    """Bytes came that are no WebSocket, or no message of this protocol; ``detail`` says which."""

    place: str
    detail: str


@dataclass(frozen=True)
class TokenFileMissing(Problem):
    """The token file does not exist."""

    file: str


@dataclass(frozen=True)
class TokenFileUnreadable(Problem):
    """The system does not let us read it."""

    file: str
    detail: str


@dataclass(frozen=True)
class TokenFileEmpty(Problem):
    """There is no token in it."""

    file: str


@dataclass(frozen=True)
class ConnectionLost(Problem):
    """An open connection has ended. ``detail``: why, where that is known."""

    place: str
    detail: str = ""


@dataclass(frozen=True)
class Retrying(Notice):
    """The connection is tried again ``seconds`` from now; 0 is at once.

    ``frame_lost``: a frame was under way when it ended.
    """

    problem: Problem
    seconds: int
    frame_lost: bool = False


@dataclass(frozen=True)
class Connecting(Notice):
    """Before the first connection."""

    place: str


@dataclass(frozen=True)
class LoadingModel(Notice):
    """The server loads its model, ``percent`` of it so far; ``step``: what it is doing, in its own words, or ""."""

    percent: int
    step: str = ""


@dataclass(frozen=True)
class Live(Notice):
    """Pictures come. ``model``: what the server calls it, which may be ""."""

    model: str


@dataclass(frozen=True)
class Stopped(Notice):
    """Live is off."""


@dataclass(frozen=True)
class Paused(Notice):
    """A person has paused live."""


@dataclass(frozen=True)
class Rendering(Notice):
    """Blender renders or bakes, and live holds still."""


@dataclass(frozen=True)
class StartingServer(Notice):
    """The server's process is coming up."""
