"""Registers the add-on with Blender, in order, and takes it out again in reverse. Imports bpy."""

import bpy

from . import keymap, properties
from .display import hud, overlay
from .export import operator as export_operator
from .film import operators as film_operators
from .live import models
from .live import switch as live
from .pictures import folders
from .server import setup
from .stick_ui import operators as stick_operators
from .stick_ui import panel as stick_panel
from .stick_ui import properties as stick_properties
from .ui import (
    keep_operators,
    keep_panel,
    live_operators,
    main_panel,
    model_operators,
    model_panel,
    overlay_tools,
    preferences,
    prompt_words,
    server_operators,
    server_panel,
    style_operators,
    styles,
)

CLASSES = (
    *properties.CLASSES,
    *stick_properties.CLASSES,
    *preferences.CLASSES,
    *live_operators.CLASSES,
    *prompt_words.CLASSES,
    *styles.CLASSES,
    *style_operators.CLASSES,
    *server_operators.CLASSES,
    *keep_operators.CLASSES,
    *main_panel.CLASSES,
    *model_operators.CLASSES,
    *model_panel.CLASSES,
    *server_panel.CLASSES,
    *overlay.CLASSES,
    *overlay_tools.CLASSES,
    *keep_panel.CLASSES,
    *film_operators.CLASSES,
    *stick_operators.CLASSES,
    *stick_panel.CLASSES,
    *export_operator.CLASSES,
)


def register() -> None:
    """Add classes and settings. An error is Blender's to show."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.attach()
    stick_properties.attach()
    main_panel.attach()
    styles.attach()
    models.attach()
    style_operators.attach()
    overlay.attach()
    hud.attach()
    keymap.attach()
    keep_operators.attach()
    folders.attach()
    film_operators.attach()
    export_operator.attach()


def unregister() -> None:
    """Stop live and take everything back."""
    live.stop()
    film_operators.detach()
    stick_operators.detach()
    export_operator.detach()
    folders.detach()
    keep_operators.detach()
    setup.detach()
    keymap.detach()
    hud.detach()
    overlay.detach()
    style_operators.detach()
    models.detach()
    styles.detach()
    main_panel.detach()
    stick_properties.detach()
    properties.detach()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
