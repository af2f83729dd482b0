"""The button in the panel for each action that helps against a problem. No bpy; standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from ...problems import Action


@dataclass(frozen=True)
class Button:
    """What a button does: ``operator``, under ``label``."""

    operator: str
    label: str
    icon: str


BUTTONS = {
    Action.SET_UP: Button("draftglass.set_up", "Set Up the Server", "IMPORT"),
    Action.TRY_SET_UP_AGAIN: Button("draftglass.set_up", "Try Again", "FILE_REFRESH"),
    Action.RESTART_SERVER: Button("draftglass.restart_server", "Restart the Server", "FILE_REFRESH"),
    Action.OPEN_LOG: Button("draftglass.open_log", "Open the Log", "TEXT"),
    Action.OPEN_PREFERENCES: Button("draftglass.open_preferences", "Open the Preferences", "PREFERENCES"),
    Action.OPEN_FOLDER: Button("draftglass.open_folder", "Open the Folder", "FILE_FOLDER"),
    Action.ALLOW_ONLINE_ACCESS: Button("draftglass.allow_online", "Allow Online Access", "INTERNET"),
    Action.CONNECT_NOW: Button("draftglass.reconnect", "Connect Now", "FILE_REFRESH"),
    Action.START_LIVE: Button("draftglass.start", "Start Live", "PLAY"),
    Action.HALVE_SIZE: Button("draftglass.smaller", "Halve the Size", "FULLSCREEN_EXIT"),
    Action.USE_SOLID_SHADING: Button("draftglass.use_solid", "Use Solid Shading", "SHADING_SOLID"),
    Action.USE_THIS_MACHINE: Button("draftglass.use_own_server", "Use This Machine", "HOME"),
}
