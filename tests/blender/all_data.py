"""All that a file holds, as plain values by path, so that two moments can be compared. Imports bpy only.

Imported by tests of the bpy wheel, and run as it is inside a Blender with a window.
"""

from typing import Any

import bpy

MOST_DEPTH = 12
"""Of structs within structs; nothing of Blender's is deeper, and what links back ends somewhere."""
LEFT_OUT = frozenset({
    "rna_type", "bl_rna", "original", "id_data", "bl_system_properties_get", "is_evaluated", "session_uid", "users",
    "use_extra_user", "tag", "is_runtime_data", "asset_data", "preview", "library_weak_reference", "override_library",
    # of the mouse, the drawing and what is loaded at the moment: nothing of the file's
    "windows", "keyconfigs", "event_x", "event_y", "bindcode", "has_data", "is_loaded", "reports", "operators",
    "tracking", "scopes", "point_cache", "x", "y", "clipboard", "texture_cache", "selected_studio_light",
    "uv_sculpt", "regions",  # to read all of these ends 4.3
})  # fmt: skip
NOT_COMPARED = frozenset({"window_managers", "all_ids", "brushes", "fonts", "texts", "linestyles"})
"""Collections of ``bpy.data``: Blender's own, which no capture can reach; one of a window's is the mouse's place.

``all_ids``, new in 5.2, has what the others have.
"""


def all_data(ours: str = "Draftglass") -> dict[str, Any]:
    """Every property of every datablock of the file, by its path. Images whose name begins with ``ours`` are left out.

    Values are numbers, texts, tuples, and for references the other's full name.
    """
    found: dict[str, Any] = {}
    for prop in bpy.data.bl_rna.properties:
        if prop.type != "COLLECTION" or prop.identifier in NOT_COMPARED:
            continue
        for block in getattr(bpy.data, prop.identifier):
            if not (prop.identifier == "images" and block.name.startswith(ours)):
                _walk(found, f"{prop.identifier}[{block.name_full!r}]", block, (), 0)
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A line for each path whose value is another, is gone or is new."""
    return [
        f"{path}: {before.get(path, 'nothing')!r:.200} became {after.get(path, 'nothing')!r:.200}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path, "nothing") != after.get(path, "nothing")
    ]


def _walk(found: dict[str, Any], path: str, struct: Any, above: tuple[int, ...], depth: int) -> None:
    if isinstance(struct, bpy.types.Space) and not isinstance(struct, bpy.types.SpaceView3D):
        return  # no capture can reach other editors, and to read all of theirs ends 4.3
    mark = hash((struct.as_pointer(), struct.bl_rna.identifier))
    if mark in above or depth > MOST_DEPTH:
        return
    above = (*above, mark)
    for prop in struct.bl_rna.properties:
        name = prop.identifier
        if name in LEFT_OUT:
            continue
        try:
            value = getattr(struct, name)
        except (AttributeError, RuntimeError, TypeError, ValueError):  # what this kind of struct does not have now
            continue
        here = f"{path}.{name}"
        if prop.type == "POINTER":
            _follow(found, here, value, above, depth)
        elif prop.type == "COLLECTION":
            found[f"{here}.length"] = len(value)
            for index, item in enumerate(value):
                _follow(found, f"{here}[{index}]", item, above, depth)
        else:
            found[here] = _plain(value)
    if hasattr(struct, "keys"):
        try:
            found[f"{path}[]"] = repr({key: _custom(struct[key]) for key in sorted(struct.keys())})
        except (TypeError, RuntimeError):  # a struct that can have no properties of one's own
            return


def _follow(found: dict[str, Any], path: str, value: Any, above: tuple[int, ...], depth: int) -> None:
    """A datablock is walked in its own place; one that belongs to another, as a node tree does, in that."""
    if value is None:
        found[path] = None
    elif isinstance(value, bpy.types.ID) and not getattr(value, "is_embedded_data", False):
        found[path] = f"{value.bl_rna.identifier} {value.name_full}"
    else:
        _walk(found, path, value, above, depth + 1)


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int, float, bool, bytes, type(None))):
        return value if value == value else "NaN"
    if isinstance(value, (set, frozenset)):
        return tuple(sorted(value))
    return tuple(_plain(one) for one in value)


def _custom(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return value.to_list() if hasattr(value, "to_list") else value
