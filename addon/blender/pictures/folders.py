"""Where a person's work is kept, so that uninstalling the extension deletes none of it. Imports bpy.

Blender wipes an extension's own folder when the extension is uninstalled. Version 0.1.0 kept pictures of unsaved files
and styles there; they are copied to where they belong now.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy

from ...keeping import carry_over, pictures_home
from ..preferences import preferences
from ..server.process import user_folder

NAME = "Draftglass"
PAUSE_SECONDS = 0.02
"""Between two pieces of what is carried over."""

_carrying: Iterator[None] | None = None


def pictures_folder() -> Path:
    """Where pictures and videos of files go that are not saved: the preferences' choice, else in the user's Pictures.

    Need not exist yet.
    """
    chosen = preferences()
    folder = chosen.pictures_dir.strip() if chosen is not None else ""
    return Path(bpy.path.abspath(folder)) if folder else pictures_home(Path.home()) / NAME


def styles_folder() -> Path:
    """Where the user's own styles are: beside Blender's settings, those of version 0.1.0 with them."""
    folder = Path(bpy.utils.user_resource("CONFIG", path="draftglass/styles"))
    try:
        for _ in carry_over(user_folder() / "styles", folder):
            pass
    except OSError as error:  # they stay where they are, and the next start tries again
        print(f"Draftglass: styles could not be copied to {folder}: {error.strerror or error}")
    return folder


def _carry() -> float | None:
    global _carrying
    if _carrying is None:
        _carrying = carry_over(user_folder() / "pictures", pictures_folder())
    try:
        next(_carrying)
    except StopIteration:
        return None
    except OSError as error:
        print(f"Draftglass: pictures could not be copied to {pictures_folder()}: {error.strerror or error}")
        return None
    return PAUSE_SECONDS


def attach() -> None:
    """Begin to carry over what an older version kept."""
    bpy.app.timers.register(_carry, first_interval=1.0, persistent=True)


def detach() -> None:
    """Leave off; the next start goes on."""
    global _carrying
    _carrying = None
    if bpy.app.timers.is_registered(_carry):
        bpy.app.timers.unregister(_carry)
