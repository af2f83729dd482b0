"""Registers the add-on with Blender, in order, and takes it out again in reverse. Imports bpy."""

import bpy

from . import (
    folders,
    hud,
    keep_operators,
    keep_panel,
    keymap,
    live,
    model_operators,
    model_panel,
    models,
    operators,
    overlay,
    overlay_tools,
    panel,
    preferences,
    properties,
    server_buttons,
    server_panel,
    setup,
    style_operators,
    styles,
)

CLASSES = (
    *properties.CLASSES,
    *preferences.CLASSES,
    *operators.CLASSES,
    *styles.CLASSES,
    *style_operators.CLASSES,
    *server_buttons.CLASSES,
    *keep_operators.CLASSES,
    *panel.CLASSES,
    *model_operators.CLASSES,
    *model_panel.CLASSES,
    *server_panel.CLASSES,
    *overlay.CLASSES,
    *overlay_tools.CLASSES,
    *keep_panel.CLASSES,
)


def register() -> None:
    """Add classes and settings. An error is Blender's to show."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.attach()
    panel.attach()
    styles.attach()
    models.attach()
    style_operators.attach()
    overlay.attach()
    hud.attach()
    keymap.attach()
    keep_operators.attach()
    folders.attach()


def unregister() -> None:
    """Stop live and take everything back."""
    live.stop()
    folders.detach()
    keep_operators.detach()
    setup.detach()
    keymap.detach()
    hud.detach()
    overlay.detach()
    style_operators.detach()
    models.detach()
    styles.detach()
    panel.detach()
    properties.detach()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
