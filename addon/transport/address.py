"""Where the server is and the token it wants. Standard library only; no bpy, no sockets, nothing that waits."""

from __future__ import annotations

import ipaddress
import string
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..problems.connection import BadAddress, BadToken, TokenFileEmpty, TokenFileMissing, TokenFileUnreadable
from ..problems.errors import AddressError, NoConnection
from ..untrusted.regular import TooLong, read_regular

DEFAULT_PATH = "/live"
LONGEST_TOKEN = 4096
_TOKEN_CHARACTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)


@dataclass(frozen=True)
class Address:
    """A server's WebSocket address and its token, or the file that holds the token.

    ``url``: ``ws://HOST:PORT/live``. HOST is an IP address or ``localhost``: looking up any other name can take
    seconds and would have to wait in Blender's main thread, so names are refused. ``wss://`` is not spoken; a
    server elsewhere is reached through an SSH tunnel, which encrypts too.
    ``token_file`` is read anew at each connection, as each start of the server makes a new token. ``shares_memory``:
    whether planes may go through memory where the server is on this machine. ``may_shrink``: whether the link is
    measured otherwise, and planes are made small where it is slow.

    Raises :class:`AddressError`, which names the value and what is valid.
    """

    url: str
    token: str = ""
    token_file: Path | None = None
    shares_memory: bool = True
    may_shrink: bool = True

    def __post_init__(self) -> None:
        self.split()
        if self.token_file is not None:
            object.__setattr__(self, "token_file", Path(self.token_file))
        if self.token:
            _check_token(self.token)

    def split(self) -> tuple[str, int, str]:
        """Return host, port and path of the URL."""
        if not isinstance(self.url, str) or len(self.url) > 500:
            raise _bad(self.url, "must be text of at most 500 characters")
        try:
            parts = urlsplit(self.url.strip())
            host, port = parts.hostname, parts.port
        except ValueError as error:  # a port that is no number, a bracket left open
            raise _bad(self.url, str(error)) from None
        if parts.scheme == "wss":
            raise _bad(self.url, "wss:// is not spoken: use ws://, through an SSH tunnel when the server is elsewhere")
        if parts.scheme != "ws":
            raise _bad(self.url, "must begin with ws://")
        if not host or not port:
            raise _bad(self.url, "needs a host and a port from 1 to 65535")
        if parts.query or parts.fragment or parts.username is not None:
            raise _bad(self.url, "must have no ?query, #fragment or user name: the token is given on its own")
        if not all(" " < character <= "~" for character in parts.path):
            raise _bad(self.url, "has a path with characters that must be percent-encoded")
        if host != "localhost":
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise _bad(self.url, f"{host!r} is a name: give the server's IP address, or localhost") from None
        return host, port, parts.path if parts.path not in ("", "/") else DEFAULT_PATH

    @property
    def place(self) -> str:
        """``host:port``, for sentences."""
        host, port, _ = self.split()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, so that no network is needed to reach it."""
        return all(ipaddress.ip_address(host).is_loopback for host in self.hosts())

    def hosts(self) -> tuple[str, ...]:
        """The IP addresses to try, in turn."""
        host = self.split()[0]
        return ("127.0.0.1", "::1") if host == "localhost" else (host,)

    def read_token(self) -> str:
        """Return the token to send now, "" for none. Raises :class:`NoConnection` when its file cannot be used."""
        if self.token or self.token_file is None:
            return self.token
        try:
            raw = read_regular(self.token_file, LONGEST_TOKEN)
        except TooLong:
            raise NoConnection(TokenFileEmpty(str(self.token_file))) from None
        except FileNotFoundError:
            raise NoConnection(TokenFileMissing(str(self.token_file))) from None
        except OSError as error:
            words = error.strerror or str(error)
            raise NoConnection(TokenFileUnreadable(str(self.token_file), words)) from None
        try:
            token = raw.decode("ascii").strip()
            _check_token(token)
        except (AddressError, UnicodeDecodeError):
            raise NoConnection(TokenFileEmpty(str(self.token_file))) from None
        return token


def _check_token(token: str) -> None:
    """A token goes into an HTTP header: anything but printable ASCII could smuggle in another header."""
    if not token or len(token) > LONGEST_TOKEN or not _TOKEN_CHARACTERS.issuperset(token):
        raise AddressError(BadToken(LONGEST_TOKEN))


def _bad(url: object, why: str) -> AddressError:
    shown = repr(url)
    return AddressError(BadAddress(shown if len(shown) <= 120 else shown[:117] + "...", why))
