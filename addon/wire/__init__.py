"""The contract between add-on and server: messages and their bytes. Standard library and numpy only, no I/O.

``docs/protocol.md`` describes the same bytes for clients in other languages.
"""

from .codec import MAX_MESSAGE_BYTES, pack, unpack, unpack_in_steps
from .errors import ProtocolError
from .frame import Frame
from .greeting import MAX_SIDE, MEMORY_BYTES, MEMORY_NAME, PROTOCOL, Hello, Probe, Welcome
from .messages import (
    Dropped,
    Failure,
    Fields,
    Message,
    Picture,
    Progress,
    Request,
    Shown,
    Status,
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
from .planes import PLANES, Plane, Shelf, Squeeze, Stretch
from .style import CONTROLS, Control, Region, Style

__all__ = [
    "CONTROLS",
    "MAX_MESSAGE_BYTES",
    "MAX_SIDE",
    "MEMORY_BYTES",
    "MEMORY_NAME",
    "PLANES",
    "PROTOCOL",
    "CancelPull",
    "Control",
    "Dropped",
    "Entry",
    "Failure",
    "Fields",
    "Frame",
    "Hello",
    "ListModels",
    "LoadModel",
    "Lora",
    "Message",
    "ModelProgress",
    "Models",
    "Picture",
    "Plane",
    "Probe",
    "Progress",
    "ProtocolError",
    "PullModel",
    "Reference",
    "Region",
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
    "unpack_in_steps",
]
