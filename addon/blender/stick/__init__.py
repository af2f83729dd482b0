"""Stick: pictures become the scene's own textures. Works without a window: see ``sticking`` and ``around``."""
