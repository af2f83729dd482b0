"""The buttons that a failure may offer, by name. Standard library only; no bpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Button:
    """What a button in the panel does: ``operator`` with ``arguments``, under ``label``."""

    operator: str
    label: str
    icon: str
    arguments: tuple[tuple[str, object], ...] = ()


BUTTONS = {
    "set_up": Button("draftglass.set_up", "Set Up the Server", "IMPORT"),
    "again": Button("draftglass.set_up", "Try Again", "FILE_REFRESH"),
    "restart": Button("draftglass.restart_server", "Start the Server Again", "FILE_REFRESH"),
    "log": Button("draftglass.open_log", "Open the Log", "TEXT"),
    "preferences": Button("draftglass.open_preferences", "Open the Preferences", "PREFERENCES"),
    "online": Button("draftglass.allow_online", "Allow Online Access", "INTERNET"),
    "reconnect": Button("draftglass.reconnect", "Connect Now", "FILE_REFRESH"),
    "start": Button("draftglass.start", "Start Live", "PLAY"),
    "smaller": Button("draftglass.smaller", "Half the Size", "FULLSCREEN_EXIT"),
    "solid": Button("draftglass.use_solid", "Use Solid Shading", "SHADING_SOLID"),
    "own_server": Button("draftglass.use_own_server", "Use This Machine", "HOME"),
    "folder": Button("draftglass.open_folder", "Open the Folder", "FILE_FOLDER"),
}
