"""Messages to bytes and back. Standard library and numpy only, no I/O.

A message is four bytes with the length of its header (unsigned, little-endian), the header as a JSON object in
UTF-8, then its planes, one behind the other as the header's ``planes`` lists them. Every length is checked
against the bytes that are really there before anything is allocated, and ``unpack`` never copies a plane:
its arrays are read-only views of the bytes that came in.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import struct
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from typing import Any, Literal, TypeVar

from numpy.typing import NDArray

from ..untrusted.values import has_more_values
from .checks import check_choice, check_whole, show
from .errors import ProtocolError
from .frame import MAX_ID, Frame
from .greeting import MAX_SIDE, Hello, Probe, Welcome
from .messages import (
    MAX_REGIONS,
    Dropped,
    Failure,
    Message,
    Picture,
    Progress,
    Request,
    Shown,
    Status,
)
from .models import (
    MAX_ENTRIES,
    MAX_LORAS,
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
from .planes import PIXEL_PLANES, PLANES, Shelf, Squeeze, Stretch, lay, read
from .style import MAX_CONTROLS, Control, Region, Style

MAX_HEADER_BYTES = 1024 * 1024
MAX_VALUES = 20_000
"""In a header: to read one of 1 MiB that is nothing but brackets would keep Blender for a quarter of a second."""
STEP = 100
"""Models of a list that are read at once: one or two milliseconds."""
_PIXEL_BYTES = sum(PLANES[name].pixel_bytes for name in PIXEL_PLANES)
_ROW_BYTES = sum(plane.rows * plane.pixel_bytes for plane in PLANES.values())
MAX_MESSAGE_BYTES = 4 + MAX_HEADER_BYTES + MAX_SIDE * MAX_SIDE * _PIXEL_BYTES + _ROW_BYTES
"""The longest message: a header and, at the largest size, every plane of the table."""

T = TypeVar("T")
_LENGTH = struct.Struct("<I")
# messages with planes: all have an image
_CARRIERS: dict[str, Callable[..., Message]] = {
    "request": Request,
    "picture": Picture,
    "upload": Upload,
    "probe": Probe,
}
# has a default for whoever builds the message here, but must be said in the bytes
_ALWAYS = ("protocol",)
_NOTHING: Mapping[str, Any] = {}
_PLAIN: dict[str, Callable[..., Message]] = {
    "hello": Hello,
    "welcome": Welcome,
    "status": Status,
    "progress": Progress,
    "shown": Shown,
    "dropped": Dropped,
    "failure": Failure,
    "list_models": ListModels,
    "models": Models,
    "load_model": LoadModel,
    "pull_model": PullModel,
    "cancel_pull": CancelPull,
    "remove_model": RemoveModel,
    "verify_model": VerifyModel,
    "model_progress": ModelProgress,
}
_OF_MODELS = ("pull_model", "cancel_pull", "remove_model", "verify_model")
Sender = Literal["client", "server"]
_OTHER: Mapping[Sender, Sender] = {"client": "server", "server": "client"}
_SENT_BY: Mapping[Sender, frozenset[str]] = {
    "client": frozenset({*"hello request shown probe upload list_models load_model".split(), *_OF_MODELS}),
    "server": frozenset("welcome status picture progress dropped failure probe models model_progress".split()),
}
"""The planes of a message that does not belong here are not unpacked."""
_TYPE_OF = {kind: name for name, kind in (_CARRIERS | _PLAIN).items()}


def pack(message: Message, shelf: Shelf | None = None, at: int = 0, squeeze: Squeeze | None = None) -> bytes:
    """Return the bytes of ``message``, to be sent as one binary WebSocket message.

    Its planes are put on the ``shelf`` from ``at`` on, if there is one and it can hold them; else they go along,
    made small by ``squeeze``, if given.
    """
    planes: dict[str, NDArray[Any]] = {}
    if isinstance(message, Request):
        header, planes = _request_header(message), message.frame.planes
    elif isinstance(message, Picture | Upload | Probe):
        fields = {f.name: getattr(message, f.name) for f in dataclasses.fields(message) if f.name != "image"}
        header, planes = {"type": _TYPE_OF[type(message)], **fields}, {"image": message.image}
    else:
        header = {"type": _TYPE_OF[type(message)], **dataclasses.asdict(message)}
    header["planes"], parts = lay(planes, shelf, at, squeeze)
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > MAX_HEADER_BYTES:
        raise ProtocolError(
            f"the header has {len(text)} bytes, but at most {MAX_HEADER_BYTES} are allowed", "too_large"
        )
    return b"".join([_LENGTH.pack(len(text)), text, *parts])


def unpack(
    data: bytes | bytearray | memoryview,
    shelf: Shelf | None = None,
    stretch: Stretch | None = None,
    sender: Sender | None = None,
) -> Message:
    """Return the message in ``data``, or raise :class:`ProtocolError`, whatever the bytes are.

    ``sender``: who it comes from; what only the other side sends is then refused, its planes not unpacked.
    The error has the message's ``id`` when the header has a valid one. Arrays are read-only views of ``data``, or
    of what was read from the ``shelf``, or what ``stretch`` made of small ones.
    """
    steps = unpack_in_steps(data, shelf, stretch, sender)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            message: Message = end.value
            return message


def unpack_in_steps(
    data: bytes | bytearray | memoryview,
    shelf: Shelf | None = None,
    stretch: Stretch | None = None,
    sender: Sender | None = None,
) -> Generator[None, None, Message]:
    """As :func:`unpack`, for who may not be kept for long: a long list of models takes some steps, all else one."""
    header, rest = _split(memoryview(data))
    try:
        return (yield from _read(header, lambda kind, listed: read(kind, listed, rest, shelf, stretch), sender))
    except ProtocolError as error:
        frame = header.get("id")
        if isinstance(frame, int) and not isinstance(frame, bool) and 0 <= frame <= MAX_ID:
            error.id = frame
        raise


def _read(
    header: dict[str, Any], read_planes: Callable[[str, object], dict[str, NDArray[Any]]], sender: Sender | None
) -> Generator[None, None, Message]:
    kind = header.pop("type", None)
    check_choice("type of message", kind, [*_CARRIERS, *_PLAIN])
    if sender is not None and kind in _SENT_BY[_OTHER[sender]] - _SENT_BY[sender]:
        raise ProtocolError(f"a {kind} message came from the {sender}, but only the {_OTHER[sender]} sends such")
    planes = read_planes(kind, header.pop("planes", []))
    if kind in _CARRIERS and "image" not in planes:
        raise ProtocolError(f"a {kind} message has no plane 'image'")
    if kind == "request":
        return _read_request(header, planes)
    if kind in _CARRIERS:
        return _build(_CARRIERS[kind], kind, header, planes)
    if kind == "models":
        listed = _checked_list("entries", header.pop("entries", []), MAX_ENTRIES)
        entries: list[Entry] = []
        for at in range(0, len(listed), STEP):
            yield
            entries += (_build(Entry, "model", one) for one in listed[at : at + STEP])
        return _build(Models, kind, header, {"entries": entries})
    return _build(_PLAIN[kind], kind, header)


def _request_header(message: Request) -> dict[str, Any]:
    frame = message.frame
    return {
        "type": "request",
        "id": frame.id,
        "captured": frame.captured,
        "settle": message.settle,
        "near": frame.near,
        "view": frame.view,
        "projection": frame.projection,
        "style": dataclasses.asdict(message.style),
        "after": message.after,
        "regions": [dataclasses.asdict(region) for region in message.regions],
        "panorama": message.panorama,
        **({} if message.picture_at is None else {"picture_at": message.picture_at}),
        **({} if message.picture_as == "rgb8" else {"picture_as": message.picture_as}),
    }


def _read_request(header: dict[str, Any], planes: dict[str, NDArray[Any]]) -> Request:
    style = header.pop("style", None)
    if not isinstance(style, dict):
        raise ProtocolError(f"style is {show(style)}, but must be an object")
    built: dict[str, Any] = {
        "controls": _build_each(Control, "control", "controls", style.pop("controls", []), MAX_CONTROLS),
        "loras": _build_each(Lora, "LoRA", "loras", style.pop("loras", []), MAX_LORAS),
    }
    reference = style.pop("reference", None)
    if reference is not None:
        if not isinstance(reference, dict):
            raise ProtocolError(f"reference is {show(reference)}, but must be an object")
        built["reference"] = _build(Reference, "reference", reference)
    regions = _build_each(Region, "region", "regions", header.pop("regions", []), MAX_REGIONS)
    of_view = {name: value for name, value in header.items() if name not in PLANES}
    of_request = {f.name: header[f.name] for f in dataclasses.fields(Request) if f.name in header}
    frame = _build(Frame, "request", of_view, planes)
    return Request(**(of_request | {"frame": frame, "style": _build(Style, "style", style, built), "regions": regions}))


def _split(data: memoryview) -> tuple[dict[str, Any], memoryview]:
    if len(data) > MAX_MESSAGE_BYTES:
        raise ProtocolError(
            f"the message has {len(data)} bytes, but at most {MAX_MESSAGE_BYTES} are allowed", "too_large"
        )
    if len(data) < 4:
        raise ProtocolError(f"the message has {len(data)} bytes, but needs at least 4 for the header's length")
    length = _LENGTH.unpack_from(data)[0]
    if length > MAX_HEADER_BYTES:
        raise ProtocolError(f"the header's length is {length}, but at most {MAX_HEADER_BYTES} are allowed", "too_large")
    if length > len(data) - 4:
        raise ProtocolError(f"the header's length is {length}, but only {len(data) - 4} bytes follow it")
    text = bytes(data[4 : 4 + length])
    if has_more_values(text, MAX_VALUES):
        raise ProtocolError(f"the header has more than {MAX_VALUES} values, but no message needs so many", "too_large")
    try:
        header = json.loads(text.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_name_twice)
    except (ValueError, RecursionError) as error:  # bad UTF-8 and bad JSON are both ValueErrors
        raise ProtocolError(f"the header is not JSON in UTF-8: {show(str(error))}") from None
    if not isinstance(header, dict):
        raise ProtocolError(f"the header is {show(header)}, but must be a JSON object")
    return header, data[4 + length :]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the name {twice!r} is there twice in an object")
    return found


def _checked_list(field: str, listed: Any, most: int) -> list[dict[str, Any]]:
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ProtocolError(f"{field} is {show(listed)}, but must be a list of objects")
    check_whole(f"number of {field}", len(listed), 0, most)
    return listed


def _build_each(kind: Callable[..., T], name: str, field: str, listed: Any, most: int) -> tuple[T, ...]:
    return tuple(_build(kind, name, one) for one in _checked_list(field, listed, most))


def _build(kind: Callable[..., T], name: str, values: dict[str, Any], given: Mapping[str, Any] = _NOTHING) -> T:
    """A ``kind`` of ``given`` and those of ``values`` that it has fields for: what newer peers add is skipped."""
    fields, needed = _fields_of(kind)
    known = {name: values[name] for name in fields if name in values} | dict(given)
    for name_of in needed:
        if name_of not in known:
            raise ProtocolError(f"a {name} message has no {name_of!r}, but must have one")
    return kind(**known)


@functools.cache
def _fields_of(kind: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of all fields of a ``kind``, and of those that a message must say."""
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    needed = [f for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    return tuple(f.name for f in fields), tuple(f.name for f in fields if f in needed or f.name in _ALWAYS)
