"""Styles: looks with a name and a thumbnail, kept as files that can be shared. Standard library only; no bpy."""

from .errors import PresetError
from .library import Library, Listed
from .preset import LIMITS, MAX_NAME, Preset, read, write

__all__ = ["LIMITS", "MAX_NAME", "Library", "Listed", "Preset", "PresetError", "read", "write"]
