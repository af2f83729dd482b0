"""Stick: pictures become the scene's own textures. Imports bpy; works without a window: see ``sticking``."""
