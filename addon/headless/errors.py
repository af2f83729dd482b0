"""What keeps a headless run from ending well. Standard library only."""


class HeadlessError(Exception):
    """The run cannot begin or go on; ``str(error)`` is one line for the user that says what to do."""
