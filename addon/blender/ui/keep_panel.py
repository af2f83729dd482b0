"""The sidebar panels for kept pictures: keep, record, the gallery. Imports bpy."""

from typing import ClassVar

import bpy

from ..capture.viewports import characters
from ..pictures import gallery
from ..pictures.record import recorder
from .setup_panel import draw_text


def draw_pictures(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Keep, record, and the gallery."""
    chosen = context.scene.draftglass_keep
    row = layout.row(align=True)
    row.operator("draftglass.keep", text="Keep", icon="IMAGE_DATA")
    if recorder.recording:
        row.operator("draftglass.record", text=f"Stop ({recorder.count})", icon="SNAP_FACE", depress=True)
    else:
        row.operator("draftglass.record", icon="REC")
    if recorder.sentence:
        width = characters(context)
        icon = "ERROR" if recorder.failed else "SORTTIME" if recorder.making else "CHECKMARK"
        draw_text(layout, recorder.sentence, width, icon)
    if gallery.entries():
        _draw_gallery(layout.column(), context)
    layout.operator("draftglass.restore_file", icon="FILE_IMAGE")
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.prop(chosen, "folder", text="Folder")
    column.prop(chosen, "record_as", text="Record As")
    column.prop(chosen, "record_fps")


def _draw_gallery(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
    manager = context.window_manager
    column.template_icon_view(manager, "draftglass_gallery", show_labels=True, scale=6.0, scale_popup=5.0)
    entry = gallery.selected()
    if entry is None:
        return
    draw_text(column, entry.title, characters(context))
    row = column.row(align=True)
    row.operator("draftglass.restore_picture", icon="LOOP_BACK").number = entry.number
    row.operator("draftglass.open_picture", icon="WINDOW").number = entry.number
    row = column.row(align=True)
    if not entry.kept:
        row.operator("draftglass.keep", text="Keep", icon="IMAGE_DATA").number = entry.number
    row.operator("draftglass.delete_picture", icon="TRASH").number = entry.number


class DRAFTGLASS_PT_pictures_view3d(bpy.types.Panel):
    """In the 3D View's sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_parent_id = "DRAFTGLASS_PT_view3d"
    bl_label = "Pictures"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        draw_pictures(self.layout, context)


class DRAFTGLASS_PT_pictures_image(bpy.types.Panel):
    """In the Image Editor's sidebar."""

    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_parent_id = "DRAFTGLASS_PT_image"
    bl_label = "Pictures"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        draw_pictures(self.layout, context)


CLASSES = (DRAFTGLASS_PT_pictures_view3d, DRAFTGLASS_PT_pictures_image)
