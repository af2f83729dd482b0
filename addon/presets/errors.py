"""What can be wrong with a style. Standard library only; no bpy."""


class PresetError(ValueError):
    """A style that can't be read, made or stored; ``str(error)`` says why in one sentence."""
