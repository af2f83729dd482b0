"""The contract between add-on and server: messages and their bytes. Standard library and numpy only, no I/O.

``docs/protocol.md`` describes the same bytes for clients in other languages.
"""

from .codec import MAX_MESSAGE_BYTES, pack, unpack
from .errors import ProtocolError
from .messages import (
    MAX_SIDE,
    MEMORY_BYTES,
    MEMORY_NAME,
    PROTOCOL,
    Control,
    Dropped,
    Failure,
    Frame,
    Hello,
    Message,
    Picture,
    Progress,
    Request,
    Status,
    Style,
    Welcome,
)
from .planes import Shelf

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_SIDE",
    "MEMORY_BYTES",
    "MEMORY_NAME",
    "PROTOCOL",
    "Control",
    "Dropped",
    "Failure",
    "Frame",
    "Hello",
    "Message",
    "Picture",
    "Progress",
    "ProtocolError",
    "Request",
    "Shelf",
    "Status",
    "Style",
    "Welcome",
    "pack",
    "unpack",
]
