"""A style and its file: JSON with the thumbnail in it, so that one file is all there is to share. Stdlib only; no bpy.

::

    {"draftglass_style": 1, "name": "Snow keep", "prompt": "{prompt}, on snow", "strength": 0.9, "thumbnail": "..."}

``{prompt}`` stands for what the user typed; a style without it comes after that. ``alone`` is the prompt where nobody
typed anything.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, fields
from typing import Any

from ..untrusted.jpeg import NotBaseline, baseline_size
from ..untrusted.png import NotAPng, decode_size, drawn_only
from ..untrusted.values import has_more_values
from .errors import PresetError

FORMAT = 1
MARK = "draftglass_style"
MAX_NAME = 60
MAX_TEXT = 1000
MAX_BYTES = 1024 * 1024
"""Of a file."""
MAX_VALUES = 1000
"""In a file: to read a megabyte of brackets takes a fifth of a second."""
MAX_THUMBNAIL = 512 * 1024
MAX_SIDE = 512
"""Of a thumbnail, in pixels: few bytes may unpack to gigabytes."""
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
SUBJECT = "{prompt}"
"""In a style's prompt: the user's own words."""
LIMITS: dict[str, tuple[float, float]] = {
    "strength": (0.05, 1.0),
    "steps": (1, 20),
    "settle_steps": (1, 50),
    "guidance": (1.0, 15.0),
    "depth_weight": (0.0, 2.0),
    "steady": (0.0, 1.0),
    "eta": (0.0, 1.0),
    "seed": (0, 2**31 - 1),
}
"""Least and greatest of each number: those of the settings in Blender."""
SAMPLERS = ("AUTO", "LCM", "TCD")
"""Those of the settings in Blender."""
_WHOLE = {"steps", "settle_steps", "seed"}
_TEXTS = {"prompt", "negative_prompt", "alone"}


@dataclass(frozen=True)
class Preset:
    """A name, and values of the settings; None leaves a setting as it is. ``thumbnail``: a PNG or JPEG, or empty.

    Raises PresetError for what no setting can be.
    """

    name: str
    prompt: str | None = None
    negative_prompt: str | None = None
    strength: float | None = None
    steps: int | None = None
    settle_steps: int | None = None
    guidance: float | None = None
    depth_weight: float | None = None
    seed: int | None = None
    thumbnail: bytes = b""
    steady: float | None = None
    sampler: str | None = None
    eta: float | None = None
    alone: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _checked_name(self.name))
        for name in _TEXTS:
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or len(value) > MAX_TEXT):
                raise PresetError(f"{name} is {_show(value)}, but must be a text of at most {MAX_TEXT} characters")
            if value is not None and any("\ud800" <= letter <= "\udfff" for letter in value):
                raise PresetError(f"{name} is {_show(value)}, but contains half a character")  # JSON can say that
        if self.sampler is not None and self.sampler not in SAMPLERS:
            raise PresetError(f"sampler is {_show(self.sampler)}, but must be one of {', '.join(SAMPLERS)}")
        for name, (least, greatest) in LIMITS.items():
            value = getattr(self, name)
            if value is None:
                continue
            kind = "a whole number" if name in _WHOLE else "a number"
            fits = isinstance(value, int if name in _WHOLE else (int, float)) and not isinstance(value, bool)
            if not fits or not least <= value <= greatest:  # NaN fails too; isfinite takes no integer of 400 digits
                raise PresetError(f"{name} is {_show(value)}, but must be {kind} from {least:g} to {greatest:g}")
        if not isinstance(self.thumbnail, bytes) or (self.thumbnail and not self.thumbnail.startswith((PNG, JPEG))):
            raise PresetError("thumbnail is neither a PNG nor a JPEG picture")
        if len(self.thumbnail) > MAX_THUMBNAIL:
            raise PresetError(f"thumbnail has {len(self.thumbnail)} bytes, but may have {MAX_THUMBNAIL} at most")
        if self.thumbnail:
            object.__setattr__(self, "thumbnail", _small(self.thumbnail))

    def around(self, subject: str) -> str:
        """Its prompt around the user's own words; where there are none, without a gap for them."""
        before, after = self._ends()
        if subject.strip():
            return before + subject + after
        if self.alone is not None:
            return self.alone
        joined = re.sub(r"^[\s,;]+", "", after) if not before.strip() else after
        return (before + joined).strip(" ,;")

    def subject_in(self, prompt: str) -> str | None:
        """The user's own words in ``prompt``, made by :meth:`around`; None where it was changed otherwise since."""
        before, after = self._ends()
        if prompt == self.around(""):
            return ""
        if len(prompt) > len(before + after) and prompt.startswith(before) and prompt.endswith(after):
            return prompt[len(before) : len(prompt) - len(after)]
        return None

    def _ends(self) -> tuple[str, str]:
        """What comes before and after the user's words."""
        prompt = self.prompt or ""
        if SUBJECT not in prompt:
            return "", f", {prompt}" if prompt else ""
        before, _, after = prompt.partition(SUBJECT)
        return before, after

    @property
    def values(self) -> dict[str, Any]:
        """The settings that it sets, by name."""
        return {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}


SETTINGS = tuple(field.name for field in fields(Preset) if field.name not in {"name", "thumbnail", "alone"})
"""The names of what a style can set."""


def read(data: bytes, where: str = "the file") -> Preset:
    """The style in a file's bytes. ``where`` names it in errors. Raises PresetError."""
    if len(data) > MAX_BYTES:
        raise PresetError(f"{where} has {len(data)} bytes, but a style has {MAX_BYTES} at most")
    if has_more_values(data, MAX_VALUES):
        raise PresetError(f"{where} is no style: it is not JSON of {MAX_VALUES} values at most")
    try:
        told = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise PresetError(f"{where} is no style: it is not JSON in UTF-8") from None
    if not isinstance(told, dict) or MARK not in told:
        raise PresetError(f"{where} is no style: it has no {MARK!r}")
    version = told.pop(MARK)
    if version != FORMAT or isinstance(version, bool):
        raise PresetError(f"{where} is a style of format {_show(version)}, but this version reads format {FORMAT}")
    if "name" not in told:
        raise PresetError(f"{where} is a style without a name")
    unknown = sorted(told.keys() - {"name", "thumbnail", "alone", *SETTINGS})
    if unknown:
        raise PresetError(f"{where} sets {_show(unknown[0])}, but a style can set {', '.join(SETTINGS)} only")
    try:
        thumbnail = _thumbnail(told.pop("thumbnail", ""))
        return Preset(thumbnail=thumbnail, **told)
    except PresetError as error:
        raise PresetError(f"{where} is no style that can be used: {error}") from None


def write(preset: Preset) -> bytes:
    """The bytes of the file of ``preset``; :func:`read` gives it back."""
    told: dict[str, Any] = {MARK: FORMAT, "name": preset.name, **preset.values}
    if preset.alone is not None:
        told["alone"] = preset.alone
    if preset.thumbnail:
        told["thumbnail"] = base64.b64encode(preset.thumbnail).decode("ascii")
    return (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def _checked_name(value: object) -> str:
    name = " ".join(value.split()) if isinstance(value, str) else ""
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise PresetError(f"name is {_show(value)}, but must be a text of 1 to {MAX_NAME} characters")
    return name


def _thumbnail(value: object) -> bytes:
    if not isinstance(value, str):
        raise PresetError(f"thumbnail is {_show(value)}, but must be a picture in base64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise PresetError("thumbnail is not base64") from None


def _small(data: bytes) -> bytes:
    """The picture ``data`` with nothing in it but what is drawn. Raises PresetError where it would unpack to much."""
    try:
        if data.startswith(PNG):
            data = drawn_only(data)
            width, height = decode_size(data)
        else:
            height, width = baseline_size(data)
    except NotAPng as error:
        raise PresetError(f"thumbnail cannot be read: {error}") from None
    except NotBaseline as error:
        raise PresetError(f"thumbnail is {error}") from None
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise PresetError(f"thumbnail is {width} x {height} pixels, but may have {MAX_SIDE} x {MAX_SIDE} at most")
    return data


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
