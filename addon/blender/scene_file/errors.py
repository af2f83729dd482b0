"""What keeps a .blend file from giving its views. Standard library only."""


class OfflineError(RuntimeError):
    """The file cannot give the views asked for; ``str(error)`` is one line for the user."""
