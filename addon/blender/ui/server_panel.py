"""The sub-panel about the server, in both sidebars. Imports bpy."""

from typing import ClassVar

import bpy

from ...problems import EnvironmentState, SetUpPhase
from ..capture.viewports import characters
from ..live import switch as live
from ..preferences import preferences
from ..server.process import environment, is_own, log_file
from ..server.setup import manager, set_up_log
from .preferences import draw_address
from .setup_panel import draw_text


def draw_server(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Which server is used, what it is, and what can be done about it."""
    width = characters(context)
    chosen = preferences()
    layout.use_property_split = True
    if chosen is not None:
        draw_address(layout, chosen)
    found = environment() if is_own() else None
    column = layout.column(align=True)
    if found is not None and found.state is EnvironmentState.COMPLETE:
        draw_text(column, f"{found.about.get('found', '')}.", width, "CHECKMARK")
    process = live.process()
    if process is not None and process.pid is not None:
        draw_text(column, f"The server runs as process {process.pid}.", width, "BLANK1")
    column = layout.column(align=True)
    if log_file().is_file() or set_up_log().is_file():
        column.operator("draftglass.open_log", text="Open the Log", icon="TEXT")
        column.operator("draftglass.open_folder", text="Open the Folder", icon="FILE_FOLDER")
    if found is not None and found.state is EnvironmentState.COMPLETE and manager.phase is SetUpPhase.IDLE:
        column.operator("draftglass.set_up", text="Set Up Again", icon="FILE_REFRESH")
        column.operator("draftglass.remove_set_up", text="Remove the Server", icon="TRASH")
    column.operator("draftglass.open_preferences", text="Preferences", icon="PREFERENCES")


class DRAFTGLASS_PT_server_view3d(bpy.types.Panel):
    """In the 3D View's sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_parent_id = "DRAFTGLASS_PT_view3d"
    bl_label = "Server"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        draw_server(self.layout, context)


class DRAFTGLASS_PT_server_image(bpy.types.Panel):
    """In the Image Editor's sidebar."""

    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_parent_id = "DRAFTGLASS_PT_image"
    bl_label = "Server"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        draw_server(self.layout, context)


CLASSES = (DRAFTGLASS_PT_server_view3d, DRAFTGLASS_PT_server_image)
