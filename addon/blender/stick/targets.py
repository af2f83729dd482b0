"""What of a view a picture is laid on, and why not on the rest. Imports bpy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import bpy

from ...problems import Problem
from ...problems.sticking import BeingEdited, LinkedMesh, LinkedObject, NoFaces, NoMesh, OnlyInstances, Overridden
from .projection import Seen


@dataclass(frozen=True)
class Targets:
    """``things``: those that can be stuck to, in the order of their names. ``refusals``: why others can not."""

    things: tuple[bpy.types.Object, ...]
    refusals: tuple[Problem, ...]


def targets(seen: Seen, only: Collection[bpy.types.Object] | None) -> Targets:
    """Those of ``only``, or of all objects in the view layer, that the view shows.

    What was chosen and is not in sight is left out without a word: the picture does not show it.
    """
    shown = seen.pixels
    things, refusals = [], []
    chosen = seen.view.view_layer.objects if only is None else only
    for thing in sorted(chosen, key=lambda one: one.name):
        uid = thing.session_uid
        has_curves = thing.type in {"CURVE", "SURFACE", "FONT", "META"}
        if uid not in shown:
            hidden = only is None or not thing.visible_get(view_layer=seen.view.view_layer)
            if (uid in seen.instanced and not has_curves) or _shows_instances(thing, seen):
                refusals.append(OnlyInstances(thing.name))
            elif uid in seen.instanced or (not hidden and thing.type != "MESH"):
                refusals.append(NoMesh(thing.name, thing.type))
            elif not hidden and not len(thing.data.polygons):
                refusals.append(NoFaces(thing.name))
            continue
        refusal = refused(thing)
        if refusal is None:
            things.append(thing)
        else:
            refusals.append(refusal)
    return Targets(tuple(things), tuple(refusals))


def _shows_instances(thing: bpy.types.Object, seen: Seen) -> bool:
    """Whether it shows objects that are in no collection of the view layer's own, which speak for themselves."""
    kit = thing.instance_collection if thing.instance_type == "COLLECTION" else None
    if kit is None:
        return False
    own = {one.session_uid for one in seen.view.view_layer.objects}
    return any(one.session_uid in seen.instanced and one.session_uid not in own for one in kit.all_objects)


def refused(thing: bpy.types.Object) -> Problem | None:
    """Why nothing sticks to ``thing``, as far as it can be told without drawing it."""
    if thing.library is not None:
        return LinkedObject(thing.name, thing.library.filepath)
    if thing.override_library is not None:
        return Overridden(thing.name, thing.override_library.reference.library.filepath)
    if thing.type != "MESH":
        return NoMesh(thing.name, thing.type)
    mesh = thing.data
    if mesh.is_editmode:
        return BeingEdited(thing.name)
    if not len(mesh.polygons):
        return NoFaces(thing.name)
    if mesh.library is not None and (not len(mesh.uv_layers) or not len(thing.material_slots)):
        return LinkedMesh(thing.name, mesh.library.filepath)
    return None
