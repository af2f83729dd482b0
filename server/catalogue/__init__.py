"""Which models there are, and how to get them: presets from the hub, and the user's own files. No torch, no sockets."""

from .catalogue import Catalogue, UnknownModel
from .presets import ModelPreset, Part, read_presets

__all__ = ["Catalogue", "ModelPreset", "Part", "UnknownModel", "read_presets"]
