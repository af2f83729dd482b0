"""Whether the other end of a WebSocket has proved to know the token. Standard library and Starlette's types only."""

from __future__ import annotations

from starlette.types import Scope

from addon.transport.challenge import CHALLENGE, PROOF, is_number, is_proof, new_number, prove

from .auth import KNOWN


class Identity:
    """Of one connection that the :class:`~server.net.auth.Guard` has let pass."""

    def __init__(self, scope: Scope, token: str) -> None:
        self._token = token
        numbers = [value.decode("latin-1") for name, value in scope["headers"] if name == CHALLENGE.lower().encode()]
        self._theirs = numbers[0] if len(numbers) == 1 and is_number(numbers[0]) else ""
        self._ours = new_number()
        self.is_known = bool(scope.get(KNOWN))
        """Whether it has the token: the guard has seen it, or the hello has proved it."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the answer to the handshake says: that this server knows the token."""
        if not self._theirs:
            return []
        proof = prove(self._token, "server", self._theirs, self._ours)
        return [(CHALLENGE.encode(), self._ours.encode()), (PROOF.encode(), proof.encode())]

    def learn(self, proof: str) -> bool:
        """Look at the ``proof`` in a hello; return whether the client is known now."""
        self.is_known = self.is_known or is_proof(proof, self._token, "client", self._theirs, self._ours)
        return self.is_known
