"""Who may speak to the server: host, origin and token, for every route. Standard library and Starlette's types only."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import secrets
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from addon.transport.challenge import CHALLENGE, is_number

LIVE = "/live"
KNOWN = "draftglass.known"
"""Set in the scope of whoever has sent the token."""
_HOST = re.compile(r"(?:(?P<name>[^\[\]:/@\s]+)|\[(?P<six>[0-9a-fA-F:.]+)\])(?::\d{0,5})?")


class Guard:
    """ASGI middleware before all routes, the WebSocket included: refuses by HTTP, before anything is accepted.

    A page may have its own name lead to this machine once it is loaded (DNS rebinding), and is then of the same origin
    as the server: only addresses and ``localhost`` are taken as ``Host``, which no such page can have, and names that
    were allowed.
    A browser sends the page's ``Origin`` along and can't be kept from it, and any page may connect to a local
    port: an origin that isn't allowed by name is refused with 403, whatever token it has. A missing or wrong
    token is refused with 401. Browsers can't set headers on a WebSocket, so there the query may carry the token.
    A WebSocket at :data:`LIVE` may be opened by a challenge instead: what it is good for its hello must prove.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        allow_origins: Iterable[str],
        allow_hosts: Iterable[str],
        on_refused: Callable[[int], None],
        on_trusted: Callable[[Scope], None] = lambda scope: None,
    ) -> None:
        """``on_trusted`` is told of each that has the token."""
        self._app = app
        self._on_refused = on_refused
        self._token = token.encode()
        self._origins = frozenset(origin.lower() for origin in allow_origins)
        self._hosts = frozenset({"localhost", *(host.lower() for host in allow_hosts)})
        self._on_trusted = on_trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass ``scope`` on, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)  # start and end of the app
            return
        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, receive, send)
        else:
            self._on_refused(refused[0])
            await _refuse(scope, send, *refused)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        for host in hosts:
            if not self._is_ours(host):
                return 403, f"the host name {host[:200]!r} may not be used unless the server's --allow-host names it"
        origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
        for origin in origins:
            if origin.lower() not in self._origins:
                return 403, f"the origin {origin[:200]!r} may not connect unless the server's --allow-origin names it"
        given = [value for name, value in headers if name == b"authorization"]
        tokens = [value[7:].strip() for value in given if value[:7].lower() == b"bearer "]
        if not given and scope["type"] == "websocket":
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            tokens = [token.encode("latin-1", "replace") for token in query.get("token", [])]
        if not tokens and not given and is_challenge(scope):
            return None
        if not tokens:
            return 401, "a token is needed: send 'Authorization: Bearer TOKEN' with what the server's token file holds"
        # bytes, so that no character in the token can make the comparison fail otherwise than as unequal
        if len(tokens) != 1 or not secrets.compare_digest(tokens[0], self._token):
            return 401, "the token is wrong: the server makes a new one at each start, so read its token file again"
        scope[KNOWN] = True
        self._on_trusted(scope)
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether ``host``, with or without a port, is an address, or a name that stands for this machine."""
        found = _HOST.fullmatch(host.strip())
        if found is None:
            return False
        name = found["name"] or found["six"]
        with contextlib.suppress(ValueError):
            return bool(ipaddress.ip_address(name))
        return found["six"] is None and name.lower() in self._hosts


def is_challenge(scope: Scope) -> bool:
    """Whether it is a WebSocket that says no token, and asks the server to prove first that it knows it."""
    numbers = [value for name, value in scope["headers"] if name == CHALLENGE.lower().encode()]
    is_live = scope["type"] == "websocket" and scope["path"] == LIVE
    return is_live and len(numbers) == 1 and is_number(numbers[0].decode("latin-1"))


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
