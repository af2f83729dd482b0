"""All that a kept picture was made from, as texts in its PNG. Standard library, numpy and the wire's bytes; no bpy.

Three chunks: ``draftglass``, JSON, for us; ``parameters``, in the words that other tools read (prompt, negative
prompt, then "Steps: 4, Sampler: LCM, ..."); and ``dgRq``, the request as it went over the wire, deflated: sent again
to the same model it gives the same picture, without the scene.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..untrusted.png import MOST_TEXT, NotAPng, inflate, read_chunks
from ..untrusted.values import has_more_values
from ..wire import MAX_MESSAGE_BYTES, ProtocolError, Request, pack, unpack
from .png import encode, read_text

FORMAT = 1
MAX_VALUES = 20_000
KEYWORD = "draftglass"
REQUEST = b"dgRq"
"""Ancillary, private, safe to copy, by the case of its letters."""


class KeepError(ValueError):
    """A picture that cannot be restored; ``str(error)`` is one sentence for the user."""


@dataclass(frozen=True)
class Recipe:
    """What a picture was made from, as plain values.

    ``style``: of ``wire.Style``, by its fields' names. ``settings``: the scene's, by theirs. ``view``: ``matrix``
    (world to view) and ``projection`` (view to clip space), 4 x 4, row-major, as Blender names them, and how the
    viewport was set. ``made``: versions of ``draftglass``, ``blender`` and ``server``. ``shown``: local time, ISO 8601.
    """

    style: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    view: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    made: dict[str, str] = field(default_factory=dict)
    scene: str = ""
    frame: int = 0
    shown: str = ""
    settled: bool = False
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def parameters(self) -> str:
        """In the words that picture viewers and other tools know."""
        style = self.style
        lines = [str(style.get("prompt", ""))]
        if style.get("negative_prompt"):
            lines.append(f"Negative prompt: {style['negative_prompt']}")
        pairs = {
            "Steps": style.get("steps"),
            "Sampler": str(style.get("sampler") or "LCM").upper(),
            "CFG scale": style.get("guidance"),
            "Seed": style.get("seed"),
            "Size": f"{style.get('width')}x{style.get('height')}",
            "Model": (self.model or "unknown").replace(",", " "),
            "Denoising strength": style.get("strength"),
            "Version": f"Draftglass {self.made.get('draftglass', '')}".strip(),
        }
        lines.append(", ".join(f"{name}: {value}" for name, value in pairs.items()))
        return "\n".join(lines)


def make_png(image: NDArray[np.uint8], recipe: Recipe, request: Request | None = None) -> bytes:
    """The bytes of a PNG of ``image`` (uint8, H x W x 3, sRGB) that knows how it was made."""
    told = {"format": FORMAT, **dataclasses.asdict(recipe)}
    texts = {
        "Software": f"Draftglass {recipe.made.get('draftglass', '')}".strip(),
        "parameters": recipe.parameters,
        KEYWORD: json.dumps(told, ensure_ascii=False, default=str),
    }
    chunks = [] if request is None else [(REQUEST, zlib.compress(pack(request), 6))]
    return encode(image, texts, chunks)


def read_recipe(data: bytes) -> Recipe:
    """How the picture in the PNG ``data`` was made. Raises KeepError."""
    try:
        text = read_text(data, KEYWORD)
    except NotAPng as error:
        raise KeepError(f"The picture cannot be restored: {error}.") from None
    if text is None:
        raise KeepError("The picture cannot be restored: it does not say how it was made, as those that are kept do.")
    try:
        is_short = len(text) <= MOST_TEXT and not has_more_values(text.encode("utf-8", "replace"), MAX_VALUES)
        told = json.loads(text) if is_short else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("style"), dict):
        raise KeepError("The picture cannot be restored: what it says about how it was made is damaged.")
    if not isinstance(told.get("format"), int) or told["format"] > FORMAT:
        raise KeepError("The picture cannot be restored: a newer version of Draftglass made it; update the extension.")
    return Recipe(**{name: told[name] for name, kind in _KINDS.items() if isinstance(told.get(name), kind)})


def read_request(data: bytes) -> Request | None:
    """The request that the picture in the PNG ``data`` was the answer to; None where it has none. Raises KeepError."""
    try:
        packed = next((body for kind, body in read_chunks(data) if kind == REQUEST), None)
    except NotAPng as error:
        raise KeepError(f"The picture cannot be restored: {error}.") from None
    if packed is None:
        return None
    plain = inflate(packed, MAX_MESSAGE_BYTES + 1)
    try:
        request = unpack(plain) if plain is not None else None
    except ProtocolError as error:
        raise KeepError(f"The picture cannot be restored: the request in it is damaged: {error}.") from None
    if not isinstance(request, Request):
        raise KeepError("The picture cannot be restored: the request in it is damaged.")
    return request


_KINDS: dict[str, type] = {
    "style": dict,
    "settings": dict,
    "view": dict,
    "model": str,
    "made": dict,
    "scene": str,
    "frame": int,
    "shown": str,
    "settled": bool,
    "timings": dict,
}
