"""A 3D View without light, to tell shading from colour. Imports bpy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy

from .spaces import borrow, copy_looks, hidden_spaces, hide_overlays, is_local, rank, set_value


@contextmanager
def flat_space(space: bpy.types.SpaceView3D) -> Iterator[bpy.types.SpaceView3D]:
    """A space that shows what ``space`` shows in its own colours, without light, shadow or outlines.

    It is a twin; where none can be had, the user's own, switched for as long as this lasts.
    """
    hidden = [] if is_local(space) else [one for one in hidden_spaces() if one != space]
    flat = hidden[0] if hidden else space
    if hidden:
        borrow(flat)
        copy_looks(space, flat)
        hide_overlays(flat)
    shading = flat.shading
    wanted: dict[str, Any] = {"type": "SOLID", "light": "FLAT", "show_shadows": False, "show_cavity": False}
    wanted |= {"show_object_outline": False, "show_xray": False, "show_specular_highlight": False}
    if space.shading.type != "SOLID":
        wanted["color_type"] = "MATERIAL"
    before = {name: getattr(shading, name) for name in wanted}
    try:
        for name, value in wanted.items():
            set_value(shading, name, value)
        yield flat
    finally:
        for name, value in sorted(before.items(), key=lambda item: rank(item[0])):
            set_value(shading, name, value)
