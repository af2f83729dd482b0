"""How a conversation begins: who speaks, what both can do, how fast the link is. Standard library and numpy, no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .checks import check_flag, check_image, check_number, check_text, check_whole, check_words, show
from .errors import ProtocolError

PROTOCOL = 3
"""The version of the protocol that this package speaks."""

MAX_SIDE = 2048
"""The longest side of a plane, in pixels."""

MEMORY_BYTES = 128 * 1024 * 1024
"""Size of the memory that a client and a server on one machine may share for planes."""

MEMORY_NAME = "[0-9a-f]{32}"
"""What such a memory may be called: a regular expression for the whole name."""

MAX_PROBE_SIDE = 256


@dataclass(frozen=True)
class Hello:
    """Client to server, first: who speaks, and which version of the protocol."""

    protocol: int = PROTOCOL
    client: str = "unknown"
    memory: str = ""
    """Name of the memory that the client offers to share; "" for none."""
    encodings: tuple[str, ...] = ()
    """Of planes, beside the plain ones: what the client can write and read."""
    proof: str = ""
    """That the client knows the token, where it has not sent it."""

    def __post_init__(self) -> None:
        check_whole("protocol", self.protocol, 0, 2**31)
        check_text("client", self.client, 200)
        check_text("proof", self.proof, 64)
        object.__setattr__(self, "encodings", check_words("encodings", self.encodings))
        check_text("memory", self.memory, 32)
        if self.memory and re.fullmatch(MEMORY_NAME, self.memory) is None:
            raise ProtocolError(f"memory is {show(self.memory)}, but must be 32 of the digits 0 to 9 and a to f")


@dataclass(frozen=True)
class Welcome:
    """Server to client, the answer to :class:`Hello`: what this server is and what it accepts."""

    protocol: int = PROTOCOL
    server: str = "unknown"
    max_side: int = MAX_SIDE
    credits: int = 2
    """Frames that a client may have under way: sent, and not yet answered by picture, dropped or failure."""
    memory: bool = False
    """Whether the server shares the memory that the client offered."""
    encodings: tuple[str, ...] = ()
    """Those of the hello's that the server can write and read too. With any it also answers a Probe."""

    def __post_init__(self) -> None:
        check_whole("protocol", self.protocol, 0, 2**31)
        check_text("server", self.server, 200)
        check_whole("max_side", self.max_side, 8, 2**16)
        check_whole("credits", self.credits, 1, 64)
        check_flag("memory", self.memory)
        object.__setattr__(self, "encodings", check_words("encodings", self.encodings))


@dataclass(frozen=True, eq=False)
class Probe:
    """Client to server, and back with the same ``image``: from how long it takes the client tells how fast the link is.

    ``image``: uint8, H x W x 3, any; only its size matters.
    """

    image: NDArray[np.uint8]
    arrived: float = 0.0
    """In the answer: when the server had read it, in seconds by its own clock."""

    def __post_init__(self) -> None:
        check_image("probe", self.image, MAX_PROBE_SIDE)
        check_number("arrived", self.arrived, -1e15, 1e15)
