"""The engine: a draft and a style in, a picture out. torch and diffusers, no sockets, no bpy.

Importing the package itself is cheap; torch is imported when :class:`StableDiffusionLcm` is first asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import EngineError
from .spec import LoraFile, ModelSpec

if TYPE_CHECKING:
    from .engine import StableDiffusionLcm
    from .rendered import Rendered

__all__ = ["EngineError", "LoraFile", "ModelSpec", "Rendered", "StableDiffusionLcm", "default_model"]


def default_model() -> Path:
    """The folder of the embedded model, which needs no download."""
    return Path(__file__).resolve().parents[1] / "models" / "embedded"


def __getattr__(name: str) -> Any:
    if name == "StableDiffusionLcm":
        from .engine import StableDiffusionLcm

        return StableDiffusionLcm
    if name == "Rendered":
        from .rendered import Rendered

        return Rendered
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
