"""The contract between add-on and server: messages and their bytes. Standard library and numpy only, no I/O.

``docs/protocol.md`` describes the same bytes for clients in other languages.
"""

from .codec import MAX_MESSAGE_BYTES, pack, unpack
from .errors import ProtocolError
from .greeting import MAX_SIDE, MEMORY_BYTES, MEMORY_NAME, PROTOCOL, Hello, Probe, Welcome
from .messages import (
    Control,
    Dropped,
    Failure,
    Frame,
    Message,
    Picture,
    Progress,
    Request,
    Shown,
    Status,
    Style,
)
from .models import (
    CancelPull,
    Entry,
    ListModels,
    LoadModel,
    Lora,
    ModelProgress,
    Models,
    PullModel,
    Reference,
    RemoveModel,
    Upload,
    VerifyModel,
)
from .planes import Shelf, Squeeze, Stretch

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_SIDE",
    "MEMORY_BYTES",
    "MEMORY_NAME",
    "PROTOCOL",
    "CancelPull",
    "Control",
    "Dropped",
    "Entry",
    "Failure",
    "Frame",
    "Hello",
    "ListModels",
    "LoadModel",
    "Lora",
    "Message",
    "ModelProgress",
    "Models",
    "Picture",
    "Probe",
    "Progress",
    "ProtocolError",
    "PullModel",
    "Reference",
    "RemoveModel",
    "Request",
    "Shelf",
    "Shown",
    "Status",
    "Style",
    "Upload",
    "VerifyModel",
    "Welcome",
    "pack",
    "unpack",
]
