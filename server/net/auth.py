"""Who may speak to the server: origin and token, for every route. Standard library and Starlette's types only."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send


class Guard:
    """ASGI middleware before all routes, the WebSocket included: refuses by HTTP, before anything is accepted.

    A browser sends the page's ``Origin`` along and can't be kept from it, and any page may connect to a local
    port: an origin that isn't allowed by name is refused with 403, whatever token it has. A missing or wrong
    token is refused with 401. Browsers can't set headers on a WebSocket, so there the query may carry the token.
    """

    def __init__(
        self, app: ASGIApp, token: str, allow_origins: Iterable[str], on_refused: Callable[[int], None]
    ) -> None:
        self._app = app
        self._on_refused = on_refused
        self._token = token.encode()
        self._origins = frozenset(origin.lower() for origin in allow_origins)

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
        origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
        for origin in origins:
            if origin.lower() not in self._origins:
                return 403, f"the origin {origin[:200]!r} may not connect unless the server's --allow-origin names it"
        given = [value for name, value in headers if name == b"authorization"]
        tokens = [value[7:].strip() for value in given if value[:7].lower() == b"bearer "]
        if not given and scope["type"] == "websocket":
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            tokens = [token.encode("latin-1", "replace") for token in query.get("token", [])]
        if not tokens:
            return 401, "a token is needed: send 'Authorization: Bearer TOKEN' with what the server's token file holds"
        # bytes, so that no character in the token can make the comparison fail otherwise than as unequal
        if len(tokens) != 1 or not secrets.compare_digest(tokens[0], self._token):
            return 401, "the token is wrong: the server makes a new one at each start, so read its token file again"
        return None


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
