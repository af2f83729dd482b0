"""A message of every type, and packed ones taken apart. Standard library, numpy and addon.wire only."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np

from addon.wire import (
    CancelPull,
    Control,
    Dropped,
    Entry,
    Failure,
    Frame,
    Hello,
    ListModels,
    LoadModel,
    Lora,
    Message,
    ModelProgress,
    Models,
    Picture,
    Probe,
    Progress,
    PullModel,
    Reference,
    Region,
    RemoveModel,
    Request,
    Shown,
    Status,
    Style,
    Upload,
    VerifyModel,
    Welcome,
)


def one_of_each() -> dict[str, Message]:
    """A message of every type, small, each with every field said."""
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    depth = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    style = Style("a castle 🏰", "blur", 0.6, 4, 1.5, 7, 512, 256, (Control("depth", 0.5),))
    style = replace(
        style, loras=(Lora("ink", 0.5),), reference=Reference("0" * 64, 0.5), steady=0.5, sampler="tcd", eta=0.5
    )
    frame = Frame(3, image, depth, near=2.0, captured=1.5, ids=depth, strength=image[..., 0], normals=image)
    frame = replace(frame, objects=[(1000, np.eye(4)), (2000, 2 * np.eye(4))])
    return {
        "hello": Hello(client="test"),
        "welcome": Welcome(server="test"),
        "status": Status("loading", 12.5, "embedded", "reading", {"part": "unet", "of": 3}, "reading", "depth"),
        "request": Request(frame, style, True, after=2, regions=(Region(1000, "a door", 0.5),)),
        "picture": Picture(3, image, 1.5, True, "embedded", {"engine": 20.5}, after=2),
        "progress": Progress(3, 1, 4),
        "shown": Shown({"display": 2.5}),
        "probe": Probe(image, 2.5),
        "dropped": Dropped(3),
        "failure": Failure("internal", {"what": "it broke"}, 3, "it broke"),
        "upload": Upload("0" * 64, image),
        "list_models": ListModels(),
        "models": Models((Entry("sd15", "SD 1.5", download_bytes=5),), "models"),
        "load_model": LoadModel("sd15"),
        "pull_model": PullModel("sd15"),
        "cancel_pull": CancelPull("sd15"),
        "remove_model": RemoveModel("sd15"),
        "verify_model": VerifyModel("sd15"),
        "model_progress": ModelProgress("sd15", "pulling", 1, 5, "downloading"),
    }


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the planes' bytes of a packed message."""
    length = struct.unpack_from("<I", data)[0]
    return json.loads(data[4 : 4 + length]), data[4 + length :]


def join(header: Any, planes: bytes = b"") -> bytes:
    """The bytes of any header, valid or not, and any planes. ``header``: bytes stay as they are."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + planes
