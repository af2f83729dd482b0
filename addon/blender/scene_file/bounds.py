"""Where roughly the objects of a scene are, from the bounding boxes that Blender keeps. Imports bpy, numpy.

A first guess only: ``probe`` finds what is really drawn of it. So it need not look at each of 300,000 instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from .choice import Choice

UNSEEN = frozenset({"EMPTY", "CAMERA", "LIGHT", "LIGHT_PROBE", "SPEAKER", "ARMATURE", "LATTICE"})
"""Kinds of objects that are drawn, if at all, as overlays."""
OUTLINES = frozenset({"BOUNDS", "WIRE"})
"""Ways of display that are overlays, too."""
MANY, EVERY = 4000, 64
"""Beyond so many instances, one in so many is looked at."""


@dataclass(frozen=True, eq=False)
class Box:
    """The corners of a thing's box in the world, 8 x 3, all finite, and the name of its object."""

    name: str
    corners: NDArray[np.float64]


def boxes(choice: Choice) -> Iterator[Box]:
    """A box for each thing that may be drawn, instances included; for one in ``EVERY`` where they are ``MANY``."""
    depsgraph = choice.view_layer.depsgraph
    assert depsgraph is not None, "it is made when the choice is"
    visible: dict[int, bool] = {}
    for number, instance in enumerate(depsgraph.object_instances):
        if number > MANY and number % EVERY:
            continue
        shown = instance.object
        if shown is None or shown.type in UNSEEN or shown.display_type in OUTLINES or not instance.show_self:
            continue
        source = (instance.parent or shown).original
        if source.as_pointer() not in visible:
            visible[source.as_pointer()] = source.visible_get(view_layer=choice.view_layer, viewport=choice.space)
        if not visible[source.as_pointer()] or not has_surface(shown):
            continue
        corners = np.array([tuple(corner) for corner in shown.bound_box], np.float64)
        matrix = np.array(instance.matrix_world, np.float64)
        placed = corners @ matrix[:3, :3].T + matrix[:3, 3]
        if np.isfinite(placed).all():
            yield Box(shown.name, placed)


def has_surface(shown: bpy.types.Object) -> bool:
    """Whether an evaluated object has anything to fill pixels with: a mesh of edges alone has not."""
    if isinstance(shown.data, bpy.types.Mesh):
        return len(shown.data.polygons) > 0
    if isinstance(shown.data, bpy.types.Curve):  # texts and NURBS, too: what is filled of them is a mesh beside
        return False
    if isinstance(shown.data, bpy.types.Volume):
        shown.data.grids.load()
        return len(shown.data.grids) > 0
    return True
