"""Which models there are, and how to get them: presets from the hub, and the user's own files. No torch, no sockets."""

from .catalogue import Catalogue, UnknownModel
from .presets import Part, Preset, read_presets

__all__ = ["Catalogue", "Part", "Preset", "UnknownModel", "read_presets"]
