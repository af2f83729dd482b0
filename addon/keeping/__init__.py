"""Pictures kept as files that know how they were made, and recordings. Standard library and numpy only; no bpy."""

from ..untrusted.png import NotAPng, decode_size, read_chunks
from .files import free_path, slug, write_whole
from .folders import carry_over, pictures_home
from .png import encode, read_text
from .recipe import KeepError, Recipe, make_png, read_recipe, read_request
from .recording import Recording, timeline

__all__ = [
    "KeepError",
    "NotAPng",
    "Recipe",
    "Recording",
    "carry_over",
    "decode_size",
    "encode",
    "free_path",
    "make_png",
    "pictures_home",
    "read_chunks",
    "read_recipe",
    "read_request",
    "read_text",
    "slug",
    "timeline",
    "write_whole",
]
