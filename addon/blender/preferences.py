"""The add-on's preferences, as the rest of it reads them; ``ui.preferences`` defines and draws them. Imports bpy."""

from __future__ import annotations

from typing import Any

import bpy

PACKAGE = ".".join(__package__.split(".")[:3]) if __package__.startswith("bl_ext.") else __package__.split(".")[0]
"""The extension's own package, which its preferences are filed under."""


def server_arguments(chosen: Any) -> tuple[str, ...]:
    """What a server on this machine is started with."""
    if chosen is None:
        return ()
    words = ["--idle-release", f"{60 * getattr(chosen, 'idle_minutes', 0.0):g}"]
    if folder := getattr(chosen, "models_dir", ""):
        words += ["--models-dir", bpy.path.abspath(folder)]
    return tuple(words)


def preferences() -> Any:
    """The preferences of the enabled add-on; None when it runs without having been enabled, as in tests."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return None if addon is None else addon.preferences
