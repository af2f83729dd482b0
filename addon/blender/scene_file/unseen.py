"""Why a view shows nothing: reasons as types, and their words. Imports bpy, numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import bpy
import numpy as np

from ..capture.view import View
from .bounds import OUTLINES, UNSEEN, Box, boxes
from .choice import Choice
from .opening import missing, named
from .probe import Probe
from .views import clip_distances, clipped, length

FARTHER = 1e4
"""How many times beyond its clipping planes a view is searched."""
TYPE_PROPERTIES = {"SURFACE": "surf", "GREASEPENCIL": "grease_pencil", "GPENCIL": "grease_pencil"}
"""What the 3D View's choice of types calls a kind of object, where not by its name."""


class Reason(Enum):
    """Why things are not seen; each value says it of them."""

    BEYOND = "beyond its clip end"
    BEFORE = "nearer than its clip start"
    OUTSIDE = "outside its frame"
    SEE_THROUGH = "in its frame, but see-through or seen from a side that is not drawn"
    MISSING = "missing from the library"
    KIND = "drawn as an overlay only, like every empty, light and camera"
    EXCLUDED = "in collections that the view layer leaves out"
    DISABLED = "disabled in viewports"
    TYPE_OFF = "of a type that the 3D View leaves out"
    HIDDEN = "hidden"
    OUTLINE = "displayed as wire or bounds, which is not drawn"
    NO_SURFACE = "without any faces"


@dataclass(frozen=True)
class Unseen:
    """What a view does not show, and why. ``names`` of objects; ``limit`` and ``distance``: of clipping only."""

    reason: Reason
    names: tuple[str, ...] = ()
    limit: float = 0.0
    distance: float = 0.0


def why(choice: Choice, view: View, probe: Probe) -> list[Unseen]:
    """Why ``view``, which shows nothing, does so: the one reason of the view, or those of its objects."""
    near, far = clip_distances(view)
    beyond = probe.look(clipped(view, far, far * FARTHER))
    if len(beyond.seen):
        return [Unseen(Reason.BEYOND, limit=far, distance=float(-beyond.seen[:, 2].max()))]
    before = probe.look(clipped(view, near / FARTHER if near > 0 else near - far * FARTHER, near))
    if len(before.seen):
        return [Unseen(Reason.BEFORE, limit=near, distance=float(-before.seen[:, 2].min()))]
    found = list(boxes(choice))
    inside = [box.name for box in found if _meets(box, view)]
    if inside:
        return [Unseen(Reason.SEE_THROUGH, _distinct(inside))]
    if found:
        return [Unseen(Reason.OUTSIDE, _distinct([box.name for box in found]))]
    return unseen_objects(choice)


def unseen_objects(choice: Choice) -> list[Unseen]:
    """Why no object of the scene is drawn, whatever the view; none for a scene without objects."""
    grouped: dict[Reason, list[str]] = {}
    in_layer = {shown.as_pointer() for shown in choice.view_layer.objects}
    for shown in choice.scene.objects:
        grouped.setdefault(_reason(shown, choice, in_layer), []).append(shown.name)
    return [Unseen(reason, tuple(grouped[reason])) for reason in Reason if reason in grouped]


def words(unseen: Sequence[Unseen], choice: Choice, camera: str | None, goes_on: bool = False) -> str:
    """A sentence's end of ``unseen``; ``camera``: the name of the camera that looks, None for a view of our own.

    ``goes_on``: the sentence has said already that nothing is seen.
    """
    who, scene = f"the camera {camera!r}" if camera is not None else "the view", choice.scene
    if unseen and unseen[0].reason in (Reason.BEYOND, Reason.BEFORE):
        limit, distance = length(scene, unseen[0].limit), length(scene, unseen[0].distance)
        if unseen[0].reason is Reason.BEYOND:
            return f"the clip end of {who} is {limit}, the nearest thing is at {distance}"
        return f"the clip start of {who} is {limit}, the farthest thing is at {distance}"
    if unseen and unseen[0].reason in (Reason.OUTSIDE, Reason.SEE_THROUGH):
        return f"{who} has {named(list(unseen[0].names))} {unseen[0].reason.value}"
    telling = [one for one in unseen if one.reason is not Reason.KIND] or unseen
    parts = [f"{_are(one.names)} {one.reason.value}" for one in telling]
    lacks = missing()
    if all(one.reason in (Reason.KIND, Reason.NO_SURFACE) for one in unseen):
        sentence = f"the scene {scene.name!r} is empty: there is nothing in it to be seen"
        sentence += f", as {'; '.join(parts)}" if parts else ""
    else:
        sentence = "" if goes_on else f"nothing of the scene {scene.name!r} can be seen: "
        sentence += "; ".join(parts)
    sentence += f" ({lacks})" if lacks else ""
    others = [other.name for other in bpy.data.scenes if other != scene and len(other.objects)]
    return sentence + (f"; there is something in {named(others)}: choose by --scene" if others else "")


def _are(names: Sequence[str]) -> str:
    return f"{named(list(names))} {'is' if len(names) == 1 else 'are'}"


def _reason(shown: bpy.types.Object, choice: Choice, in_layer: set[int]) -> Reason:
    collection = shown.instance_collection if shown.instance_type == "COLLECTION" else None
    if shown.is_missing or (collection is not None and collection.is_missing):
        return Reason.MISSING
    if shown.data is not None and shown.data.is_missing:
        return Reason.MISSING
    if shown.type in UNSEEN and shown.instance_type == "NONE":
        return Reason.KIND
    if shown.as_pointer() not in in_layer:
        return Reason.EXCLUDED
    if shown.hide_viewport:
        return Reason.DISABLED
    kind = TYPE_PROPERTIES.get(shown.type, shown.type.lower())
    if not getattr(choice.space, f"show_object_viewport_{kind}", True):
        return Reason.TYPE_OFF
    if not shown.visible_get(view_layer=choice.view_layer, viewport=choice.space):
        return Reason.HIDDEN
    return Reason.OUTLINE if shown.display_type in OUTLINES else Reason.NO_SURFACE


def _meets(box: Box, view: View) -> bool:
    """Whether the box meets the view's frame between its clipping planes, as far as its corners tell."""
    matrix = np.array(view.projection_matrix, np.float64) @ np.array(view.view_matrix, np.float64)
    ends = np.concatenate([box.corners, np.ones((8, 1))], 1) @ matrix.T
    below, above = ends[:, :3] < -ends[:, 3:], ends[:, :3] > ends[:, 3:]
    return not (below.all(0).any() or above.all(0).any())


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
