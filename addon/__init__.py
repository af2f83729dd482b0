"""Draftglass, the Blender extension. No bpy here: the server imports this package without Blender."""


def register() -> None:
    """Register the add-on; Blender calls this when the extension is enabled."""
    from .blender import registration

    registration.register()


def unregister() -> None:
    """Undo :func:`register`; Blender calls this when the extension is disabled."""
    from .blender import registration

    registration.unregister()
