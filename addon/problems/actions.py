"""What a person can do about a problem at the press of a button. Standard library only; no bpy."""

from enum import Enum, auto


class Action(Enum):
    """A remedy; which operator carries it out, Blender's part of the add-on knows."""

    SET_UP = auto()
    TRY_SET_UP_AGAIN = auto()
    RESTART_SERVER = auto()
    OPEN_LOG = auto()
    OPEN_PREFERENCES = auto()
    OPEN_FOLDER = auto()
    ALLOW_ONLINE_ACCESS = auto()
    CONNECT_NOW = auto()
    START_LIVE = auto()
    HALVE_SIZE = auto()
    USE_SOLID_SHADING = auto()
    USE_THIS_MACHINE = auto()
