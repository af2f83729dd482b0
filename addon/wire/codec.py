"""Messages to bytes and back. Standard library and numpy only, no I/O.

A message is four bytes with the length of its header (unsigned, little-endian), the header as a JSON object in
UTF-8, then its planes, one behind the other as the header's ``planes`` lists them. Every length is checked
against the bytes that are really there before anything is allocated, and ``unpack`` never copies a plane:
its arrays are read-only views of the bytes that came in.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .checks import check_choice, check_whole, show
from .errors import ProtocolError
from .messages import (
    MAX_CONTROLS,
    MAX_ID,
    MAX_SIDE,
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

MAX_HEADER_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = 4 + MAX_HEADER_BYTES + MAX_SIDE * MAX_SIDE * 5
"""The longest message: a header and, at the largest size, an RGB image (3 bytes) and depth (2 bytes a pixel)."""

T = TypeVar("T")
_LENGTH = struct.Struct("<I")
# name in the header -> dtype on the wire, channels
_PLANES = {"image": ("u1", 3), "inverse_depth": ("<u2", 1)}
_ENCODING = {"image": "rgb8", "inverse_depth": "u16le"}
# message with planes -> the planes it may have
_CARRIES = {"request": frozenset(_PLANES), "picture": frozenset({"image"})}
# has a default for whoever builds the message here, but must be said in the bytes
_ALWAYS = ("protocol",)
_NOTHING: Mapping[str, Any] = {}
_PLAIN: dict[str, Callable[..., Message]] = {
    "hello": Hello,
    "welcome": Welcome,
    "status": Status,
    "progress": Progress,
    "dropped": Dropped,
    "failure": Failure,
}
_TYPE_OF = {kind: name for name, kind in _PLAIN.items()}


def pack(message: Message) -> bytes:
    """Return the bytes of ``message``, to be sent as one binary WebSocket message."""
    planes: dict[str, NDArray[Any]] = {}
    if isinstance(message, Request):
        header, planes = _request_header(message), {"image": message.frame.image}
        if message.frame.inverse_depth is not None:
            planes["inverse_depth"] = message.frame.inverse_depth
    elif isinstance(message, Picture):
        fields = {f.name: getattr(message, f.name) for f in dataclasses.fields(message) if f.name != "image"}
        header, planes = {"type": "picture", **fields}, {"image": message.image}
    else:
        header = {"type": _TYPE_OF[type(message)], **dataclasses.asdict(message)}
    parts = [np.ascontiguousarray(plane, _PLANES[name][0]) for name, plane in planes.items()]
    header["planes"] = [
        {"name": name, "encoding": _ENCODING[name], "height": plane.shape[0], "width": plane.shape[1]}
        for name, plane in planes.items()
    ]
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > MAX_HEADER_BYTES:
        raise ProtocolError(
            f"the header has {len(text)} bytes, but at most {MAX_HEADER_BYTES} are allowed", "too_large"
        )
    return b"".join([_LENGTH.pack(len(text)), text, *(part.data.cast("B") for part in parts)])


def unpack(data: bytes | bytearray | memoryview) -> Message:
    """Return the message in ``data``, or raise :class:`ProtocolError`, whatever the bytes are.

    The error has the message's ``id`` when the header has a valid one. Arrays are read-only views of ``data``.
    """
    header, rest = _split(memoryview(data))
    try:
        return _read(header, rest)
    except ProtocolError as error:
        frame = header.get("id")
        if isinstance(frame, int) and not isinstance(frame, bool) and 0 <= frame <= MAX_ID:
            error.id = frame
        raise


def _read(header: dict[str, Any], rest: memoryview) -> Message:
    kind = header.pop("type", None)
    check_choice("type of message", kind, [*_CARRIES, *_PLAIN])
    planes = _read_planes(header.pop("planes", []), rest)
    extra = sorted(planes.keys() - _CARRIES.get(kind, ()))
    if extra:
        raise ProtocolError(f"a {kind} message has the plane {extra[0]!r}, which belongs to no {kind}")
    if kind in _CARRIES and "image" not in planes:
        raise ProtocolError(f"a {kind} message has no plane 'image'")
    if kind == "request":
        return _read_request(header, planes)
    if kind == "picture":
        return _build(Picture, kind, header, planes)
    return _build(_PLAIN[kind], kind, header)


def _request_header(message: Request) -> dict[str, Any]:
    frame, style = message.frame, dataclasses.asdict(message.style)
    return {
        "type": "request",
        "id": frame.id,
        "captured": frame.captured,
        "settle": message.settle,
        "near": frame.near,
        "view": frame.view,
        "projection": frame.projection,
        "style": style,
    }


def _read_request(header: dict[str, Any], planes: dict[str, NDArray[Any]]) -> Request:
    style = header.pop("style", None)
    if not isinstance(style, dict):
        raise ProtocolError(f"style is {show(style)}, but must be an object")
    controls = style.pop("controls", [])
    if not isinstance(controls, list) or not all(isinstance(control, dict) for control in controls):
        raise ProtocolError(f"controls is {show(controls)}, but must be a list of objects")
    check_whole("number of controls", len(controls), 0, MAX_CONTROLS)
    settle = header.pop("settle", False)
    frame = _build(Frame, "request", header, planes)
    built = tuple(_build(Control, "control", control) for control in controls)
    return Request(frame, _build(Style, "style", style, {"controls": built}), settle)


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
    try:
        header = json.loads(bytes(data[4 : 4 + length]).decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # bad UTF-8 and bad JSON are both ValueErrors
        raise ProtocolError(f"the header is no JSON in UTF-8: {show(str(error))}") from None
    if not isinstance(header, dict):
        raise ProtocolError(f"the header is {show(header)}, but must be a JSON object")
    return header, data[4 + length :]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _read_planes(listed: object, rest: memoryview) -> dict[str, NDArray[Any]]:
    if not isinstance(listed, list) or len(listed) > len(_PLANES) or not all(isinstance(p, dict) for p in listed):
        raise ProtocolError(f"planes is {show(listed)}, but must be a list of at most {len(_PLANES)} objects")
    planes: dict[str, NDArray[Any]] = {}
    offset = 0
    for entry in listed:
        name = entry.get("name")
        check_choice("name of a plane", name, list(_PLANES))
        if name in planes:
            raise ProtocolError(f"the plane {name!r} is there twice")
        check_choice(f"encoding of plane {name!r}", entry.get("encoding"), [_ENCODING[name]])
        height, width = entry.get("height"), entry.get("width")
        check_whole(f"height of plane {name!r}", height, 8, MAX_SIDE)
        check_whole(f"width of plane {name!r}", width, 8, MAX_SIDE)
        dtype, channels = np.dtype(_PLANES[name][0]), _PLANES[name][1]
        count = height * width * channels
        if count * dtype.itemsize > len(rest) - offset:
            raise ProtocolError(
                f"plane {name!r} of {width} x {height} needs {count * dtype.itemsize} bytes, "
                f"but {len(rest) - offset} are left in the message"
            )
        plane = np.frombuffer(rest, dtype, count, offset)
        planes[name] = plane.reshape((height, width, 3) if channels == 3 else (height, width))
        planes[name].flags.writeable = False
        offset += count * dtype.itemsize
    if offset != len(rest):
        raise ProtocolError(f"{len(rest) - offset} bytes follow the planes, but nothing may")
    return planes


def _build(kind: Callable[..., T], name: str, values: dict[str, Any], given: Mapping[str, Any] = _NOTHING) -> T:
    """A ``kind`` of ``given`` and those of ``values`` that it has fields for: what newer peers add is skipped."""
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    known = {f.name: values[f.name] for f in fields if f.name in values and f.name not in _PLANES} | dict(given)
    for f in fields:
        needed = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if f.name not in known and (needed or f.name in _ALWAYS):
            raise ProtocolError(f"a {name} message has no {f.name!r}, but must have one")
    return kind(**known)
