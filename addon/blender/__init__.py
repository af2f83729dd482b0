"""Draftglass inside Blender: the only part of the add-on that imports bpy. Nothing is imported here."""
