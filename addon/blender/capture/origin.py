"""Records the settings and the view that a draft was made with, and restores them. Imports bpy."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import bpy
from mathutils import Matrix, Vector

from ...live.shown import Origin
from .viewports import Viewport

SENSOR = 36.0
"""Millimetres: the width that a viewport's lens is given for (RegionView3D's window_matrix is made so)."""
_PLAIN = {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"}
_DEEPEST = 3
SHADINGS = ("WIREFRAME", "SOLID", "MATERIAL", "RENDERED")
LONGEST = 1e9
"""In Blender's units: a view's distance beyond that is damage."""


def origin_of(viewport: Viewport) -> Origin:
    """The settings of the viewport's scene and its view, as they are now."""
    view, space = viewport.view, viewport.space
    told: dict[str, Any] = {
        "perspective": view.view_perspective,
        "lens": space.lens,
        "distance": view.view_distance,
        "clip": [space.clip_start, space.clip_end],
        "shading": space.shading.type,
    }
    scene = viewport.scene
    return Origin(scene.name, scene.frame_current, dump(scene.draftglass), told)


def dump(group: Any, depth: int = 0) -> dict[str, Any]:
    """The values of a group of properties by name, as JSON can hold them; lists of groups and datablocks' names too."""
    values: dict[str, Any] = {}
    for prop in group.bl_rna.properties:
        name = prop.identifier
        if name in {"rna_type", "name"} or "SKIP_SAVE" in getattr(prop, "tags", ()):
            continue
        value = getattr(group, name)
        if prop.type in _PLAIN and not prop.is_readonly:
            if isinstance(value, set):
                values[name] = sorted(value)
            else:
                values[name] = list(value) if getattr(prop, "is_array", False) else value
        elif prop.type == "COLLECTION" and depth < _DEEPEST:
            values[name] = [{"name": item.name, **dump(item, depth + 1)} for item in value]
        elif prop.type == "POINTER" and isinstance(value, bpy.types.PropertyGroup) and depth < _DEEPEST:
            values[name] = dump(value, depth + 1)
    return values


def restore_group(group: Any, values: dict[str, Any]) -> list[str]:
    """Set what :func:`dump` gave. Returns the names that this version does not know, or whose values it won't take."""
    missed = []
    for name, value in values.items():
        prop = group.bl_rna.properties.get(name)
        try:
            if prop is None:
                if name != "name":
                    missed.append(name)
            elif prop.type == "COLLECTION":
                if not isinstance(value, list) or not all(map(_is_item, value)):
                    raise TypeError(name)  # before anything is lost
                items = getattr(group, name)
                items.clear()
                for told in value:
                    item = items.add()
                    item.name = told.get("name", "")
                    missed += restore_group(item, told)
            elif prop.type == "POINTER":
                if not isinstance(value, dict):
                    raise TypeError(name)
                missed += restore_group(getattr(group, name), value)
            elif not prop.is_readonly and prop.type in _PLAIN:
                setattr(group, name, _fitting(prop, value))
        except (TypeError, ValueError, AttributeError, OverflowError):
            missed.append(name)
    return missed


def _is_item(told: object) -> bool:
    """Whether a group of a list can be made of ``told``."""
    name = told.get("name", "") if isinstance(told, dict) else None
    return isinstance(name, str) and not any("\ud800" <= letter <= "\udfff" for letter in name)


def _fitting(prop: bpy.types.Property, value: Any) -> Any:
    """``value`` as ``prop`` takes it. Raises ValueError for a number that is none."""
    if prop.type == "ENUM" and prop.is_enum_flag:
        return set(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(prop.identifier)
    return (
        cut(value, prop.length_max) if prop.type == "STRING" and isinstance(value, str) and prop.length_max else value
    )


def cut(text: str, size: int) -> str:
    """The beginning of ``text`` that fits into ``size`` bytes, one for the zero at the end.

    Blender itself cuts within a letter, and then cannot read the text any more.
    """
    return text.encode("utf-8", "ignore")[: size - 1].decode("utf-8", "ignore")


def restore_view(space: bpy.types.SpaceView3D, view: bpy.types.RegionView3D, told: dict[str, Any]) -> bool:
    """Let a 3D View look as it did. ``told``: of ``Recipe.view``. False where that has no view matrix.

    What is damaged in it is left as it is in the view.
    """
    matrix, projection = _matrix(told.get("matrix")), _matrix(told.get("projection"))
    if matrix is None or abs(matrix.to_3x3().determinant()) < 1e-9:
        return False
    if projection is not None and min(abs(projection[axis][axis]) for axis in (0, 1)) < 1e-9:
        projection = None  # no determinant tells: that of a view of a whole landscape from above is tiny
    flat = projection is not None and abs(projection[3][3]) > 0.5
    camera = space.camera if space.use_local_camera else None
    clip = told.get("clip")
    if isinstance(clip, list) and len(clip) == 2 and all(map(_is_length, clip)) and clip[0] < clip[1]:
        space.clip_start, space.clip_end = clip
    if (shading := told.get("shading")) in SHADINGS:
        with contextlib.suppress(TypeError):  # not every render engine has each of them
            space.shading.type = shading
    perspective = told.get("perspective")
    if perspective == "CAMERA" and _is_there(camera, matrix):
        view.view_perspective = "CAMERA"
        return True
    view.view_perspective = "ORTHO" if flat else "PERSP"
    if _is_length(told.get("distance")):
        view.view_distance = told["distance"]
    lens, own = told.get("lens"), perspective in ("PERSP", "ORTHO")
    if own and _is_length(lens):
        space.lens = lens
    elif projection is not None and not flat:
        space.lens = SENSOR * min(abs(projection[0][0]), abs(projection[1][1]))
    if projection is not None and flat and not own:
        # a camera's: an orthographic view is as wide as its lens and its distance say
        view.view_distance = space.lens / SENSOR / min(abs(projection[0][0]), abs(projection[1][1]))
    # Blender's view matrix turns about the view's location, then steps back: by the distance in perspective,
    # not at all in an orthographic view. (Setting view_matrix steps back in both.)
    turn, back = matrix.to_3x3(), Vector((0.0, 0.0, 0.0 if flat else view.view_distance))
    view.view_rotation = turn.inverted().to_quaternion()
    view.view_location = -(turn.inverted() @ (matrix.translation + back))
    view.update()
    return True


def _is_length(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < LONGEST


def _is_there(camera: bpy.types.Object | None, matrix: Matrix) -> bool:
    scene = bpy.context.scene
    camera = camera or (scene.camera if scene is not None else None)
    there = camera.matrix_world.normalized().inverted(None) if camera is not None else None
    if there is None:  # no camera, or one of no size
        return False
    # float32 holds less of a place that is far from the world's middle
    room = [1e-3] * 3 + [1e-3 * max(1.0, there.translation.length / 1000)]
    return all(abs(there[row][column] - matrix[row][column]) < room[column] for row in range(4) for column in range(4))


def _matrix(told: object) -> Matrix | None:
    """A 4 x 4 matrix of finite numbers, or None."""
    if not isinstance(told, Sequence) or len(told) != 4:
        return None
    try:
        matrix = Matrix([[float(value) for value in row] for row in told])
    except (TypeError, ValueError, OverflowError):
        return None
    if len(matrix.row) != 4 or len(matrix.col) != 4 or not all(abs(value) < 1e12 for row in matrix for value in row):
        return None
    return matrix
