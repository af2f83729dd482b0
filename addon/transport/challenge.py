"""Proofs that both ends of a connection know the token, without either saying it. Stdlib only; no bpy, no I/O.

Each end sends a fresh random number; each answers with an HMAC-SHA256 (RFC 2104) under the token over both and its own
role, so that an answer is good for one connection and one direction. Whoever took the port of a server that has ended
learns nothing from it: neither the token nor anything to let them in elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Literal

CHALLENGE, PROOF = "Draftglass-Challenge", "Draftglass-Proof"
"""Headers of the handshake: the sender's random number, and the server's proof."""
Role = Literal["server", "client"]
_NUMBER = re.compile("[0-9a-f]{64}")


def new_number() -> str:
    """64 random hexadecimal digits."""
    return secrets.token_hex(32)


def is_number(text: str) -> bool:
    """Whether ``text`` is what :func:`new_number` gives."""
    return _NUMBER.fullmatch(text) is not None


def prove(token: str, role: Role, client: str, server: str) -> str:
    """The proof of the one in ``role``, 64 hexadecimal digits; ``client``, ``server``: their random numbers."""
    message = f"draftglass {role} {client} {server}".encode("ascii", "replace")
    return hmac.new(token.encode("utf-8"), message, hashlib.sha256).hexdigest()


def is_proof(given: str, token: str, role: Role, client: str, server: str) -> bool:
    """Whether ``given`` is the proof of the one in ``role``; takes as long for any that is not."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), prove(token, role, client, server).encode())


def answer(token: str, ours: str, theirs: Sequence[str], proofs: Sequence[str]) -> str:
    """The client's proof, for a server whose headers had the numbers ``theirs`` and ``proofs``.

    "" where it has not shown that it knows the token: then nothing may be said to it.
    """
    if len(theirs) != 1 or len(proofs) != 1 or not is_number(theirs[0]):
        return ""
    return prove(token, "client", ours, theirs[0]) if is_proof(proofs[0], token, "server", ours, theirs[0]) else ""
