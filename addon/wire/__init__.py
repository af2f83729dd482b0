"""The contract between add-on and server: messages and their bytes. Standard library and numpy only, no I/O.

``docs/protocol.md`` describes the same bytes for clients in other languages.
"""

from .codec import MAX_MESSAGE_BYTES, pack, unpack
from .errors import ProtocolError
from .messages import (
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

__all__ = [
    "MAX_MESSAGE_BYTES",
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
    "Status",
    "Style",
    "Welcome",
    "pack",
    "unpack",
]
