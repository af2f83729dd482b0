"""The sidebar panel of Stick. Imports bpy."""

from typing import ClassVar

import bpy

from ..stick.materials import is_stuck
from . import jobs, overlay


class DRAFTGLASS_PT_stick(bpy.types.Panel):
    """In the 3D View's sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_parent_id = "DRAFTGLASS_PT_view3d"
    bl_label = "Stick to the Scene"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        layout, chosen = self.layout, context.scene.draftglass_stick
        row = layout.row(align=True)
        row.operator("draftglass.stick", icon="TEXTURE")
        row.operator("draftglass.stick_around", text="Around", icon="ORIENTATION_GIMBAL")
        layout.operator("draftglass.stick_refine", icon="MOD_SMOOTH")
        job = jobs.finished()
        for done in job.done if job is not None else ():
            row = layout.row(align=True)
            row.label(text=f"View {done.number + 1}: {done.new:.0%} new")
            row.operator("draftglass.stick_take_back", text="", icon="X").number = done.number
        things = jobs.textured(context)
        if things:
            shown = any(is_stuck(thing) for thing in things)
            row = layout.row(align=True)
            row.operator(
                "draftglass.stick_back",
                text="Back to My Materials" if shown else "Show Textures",
                icon="LOOP_BACK" if shown else "TEXTURE",
            )
            row.operator("draftglass.stick_coverage", text="", icon="OVERLAY", depress=overlay.is_shown())
            layout.operator("draftglass.stick_export", icon="EXPORT")
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(chosen, "size")
        column.prop(chosen, "texture_size")
        column.prop(chosen, "layout")
        column.prop(chosen, "emission")
        column.prop(chosen, "flatten")
        column.prop(chosen, "as_files")
        if chosen.as_files:
            column.prop(chosen, "folder", text="Folder")
        column.prop(chosen, "way")
        column.prop(chosen, "views")


CLASSES = (DRAFTGLASS_PT_stick,)
