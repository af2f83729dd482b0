"""The sidebar panels of the 3D View and the Image Editor. Imports bpy."""

import textwrap

import bpy

from . import live
from .setup import draw_setup

CHARACTER_PIXELS = 7


def draw_panel(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Start or stop, the style, and the state in words."""
    settings = context.scene.draftglass
    running = live.is_running()
    draw_setup(layout, context)
    row = layout.row()
    row.scale_y = 1.4
    if running:
        row.operator("draftglass.stop", icon="PAUSE")
    else:
        row.operator("draftglass.start", icon="PLAY")
    layout.use_property_split = True
    layout.use_property_decorate = False
    column = layout.column()
    column.use_property_split = False
    column.prop(settings, "prompt", text="")
    column = layout.column(align=True)
    column.prop(settings, "strength")
    column.prop(settings, "steps")
    column.prop(settings, "depth_weight")
    row = layout.row(align=True)
    row.prop(settings, "seed")
    row.operator("draftglass.new_seed", text="", icon="FILE_REFRESH")
    column = layout.column(align=True)
    column.prop(settings, "size")
    column.prop(settings, "guidance")
    if settings.guidance > 1:
        column.prop(settings, "negative_prompt", text="Negative")
    column = layout.column(align=True)
    column.prop(settings, "settle")
    if settings.settle:
        column.prop(settings, "settle_steps")
    _draw_state(layout.column(align=True), context)


def _draw_state(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
    stats = live.stats()
    width = max(24, context.region.width // CHARACTER_PIXELS - 4)
    if live.problem() is not None:
        return  # draw_setup has it, with what helps
    icon = {"live": "CHECKMARK", "failed": "ERROR", "waiting": "ERROR", "stopped": "RADIOBUT_OFF"}.get(
        stats["state"], "SORTTIME"
    )
    for line in textwrap.wrap(stats["sentence"], width) or [""]:
        column.label(text=line, icon=icon)
        icon = "BLANK1"
    if live.is_running():
        column.label(text=f"{stats['fps']:.1f} frames a second", icon="BLANK1")


class DRAFTGLASS_PT_view3d(bpy.types.Panel):
    """In the 3D View's sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_label = "Draftglass"

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        draw_panel(self.layout, context)


class DRAFTGLASS_PT_image(bpy.types.Panel):
    """In the Image Editor's sidebar."""

    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_label = "Draftglass"

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        draw_panel(self.layout, context)


CLASSES = (DRAFTGLASS_PT_view3d, DRAFTGLASS_PT_image)
