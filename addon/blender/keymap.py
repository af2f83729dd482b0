"""The keys, in the add-ons' key configuration, so that people can change them and keep what they chose. Imports bpy."""

from __future__ import annotations

import bpy

EDITORS = (("3D View", "VIEW_3D"), ("Image", "IMAGE_EDITOR"))
KEYS: list[tuple[str, dict[str, object]]] = [
    ("draftglass.play", {"type": "D", "value": "PRESS", "ctrl": True, "shift": True}),
    ("draftglass.overlay", {"type": "D", "value": "PRESS", "ctrl": True, "shift": True, "alt": True}),
]
"""Operators and the keys that they have at first, in both editors."""

_items: list[tuple[bpy.types.KeyMap, bpy.types.KeyMapItem]] = []


def attach() -> None:
    """Add the keys. In background mode there is no key configuration."""
    configuration = bpy.context.window_manager.keyconfigs.addon
    if configuration is None:
        return
    for editor, space in EDITORS:
        keymap = configuration.keymaps.new(name=editor, space_type=space)
        for name, key in KEYS:
            _items.append((keymap, keymap.keymap_items.new(name, **key)))


def detach() -> None:
    """Take them out again."""
    for keymap, item in _items:
        keymap.keymap_items.remove(item)
    _items.clear()


def draw_keys(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The keys as Blender's own preferences show them, to be changed there."""
    import rna_keymap_ui  # a module of Blender's own scripts

    configuration = context.window_manager.keyconfigs.user
    if configuration is None:
        return
    column = layout.column()
    for editor, words in (("3D View", "Keys in the 3D View"), ("Image", "Keys in the Image Editor")):
        keymap = configuration.keymaps.get(editor)
        column.label(text=words)
        for item in keymap.keymap_items if keymap is not None else ():
            if item.idname.startswith("draftglass."):
                column.context_pointer_set("keymap", keymap)
                rna_keymap_ui.draw_kmi([], configuration, keymap, item, column, 0)
