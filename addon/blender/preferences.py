"""What the user sets once for all files: which server to use. Imports bpy."""

import bpy
from bpy.props import StringProperty

PACKAGE = ".".join(__package__.split(".")[:3]) if __package__.startswith("bl_ext.") else __package__.split(".")[0]
"""The extension's own package, which its preferences are filed under."""


class DraftglassPreferences(bpy.types.AddonPreferences):
    """Which server to use, for all files."""

    bl_idname = PACKAGE

    server_url: StringProperty(
        name="Server",
        description="Address of a running server, as ws://127.0.0.1:8765/live; empty starts one on this machine",
        default="",
    )
    token_file: StringProperty(
        name="Token File",
        description="The file into which that server wrote its token",
        default="",
        subtype="FILE_PATH",
    )
    server_python: StringProperty(
        name="Server's Python",
        description="A Python that has the server's requirements installed, to start a server with",
        default="",
        subtype="FILE_PATH",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        """Lay out the preferences."""
        column = self.layout.column()
        column.prop(self, "server_url", placeholder="start one on this machine")
        column.prop(self, "token_file")
        row = column.row()
        row.active = not self.server_url
        row.prop(self, "server_python")


CLASSES = (DraftglassPreferences,)


def preferences() -> DraftglassPreferences | None:
    """The preferences of the enabled add-on; None when it runs without having been enabled, as in tests."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return None if addon is None else addon.preferences
