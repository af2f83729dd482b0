"""The states of live and of the processes behind it. Standard library only; no bpy."""

from enum import StrEnum


class LiveState(StrEnum):
    """What live is doing, from the connection up. The values are what statistics and the panel's icons go by."""

    STOPPED = "stopped"
    """Ended, or not begun."""
    STARTING = "starting"
    """The server that the add-on starts itself is coming up."""
    CONNECTING = "connecting"
    """Reaching for the server: TCP, WebSocket handshake, hello."""
    LOADING = "loading"
    """Connected; the server is still loading its model."""
    LIVE = "live"
    """Connected and ready: views are sent, pictures come back."""
    PAUSED = "paused"
    """Connected and ready, but a person has paused it."""
    WAITING = "waiting"
    """Not connected; tries again by itself after a pause."""
    FAILED = "failed"
    """A person has to do something first. Where trying again is harmless it goes on, at the longest pause."""


class ServerState(StrEnum):
    """A server process that the add-on starts itself."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    """It has crashed, and is started again after a pause."""
    FAILED = "failed"
    """It is not started again before a person asks for it."""
    STOPPED = "stopped"


class SetUpState(StrEnum):
    """One setup of the server's environment."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class SetUpPhase(StrEnum):
    """What the setup wants of a person."""

    IDLE = "idle"
    CHECKING = "checking"
    """Looking at the machine."""
    ASKING = "asking"
    """Waiting for a person's consent to the download."""
    RUNNING = "running"


class EnvironmentState(StrEnum):
    """The server's Python environment on the disk."""

    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    OUTDATED = "outdated"
    """It was made by another plan."""
    BROKEN = "broken"
    """Its Python no longer runs, as that of a Blender that was moved."""
    COMPLETE = "complete"
