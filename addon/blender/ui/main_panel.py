"""The main panel, in the sidebars of the 3D View and the Image Editor, and the menu. Imports bpy."""

import textwrap
from collections.abc import Callable
from typing import ClassVar

import bpy

from ...problems import LiveState
from ..capture.viewports import characters
from ..display.editors import is_seen
from ..live import models
from ..live import switch as live
from .overlay_tools import draw_progress
from .prompt_words import draw_words
from .setup_panel import draw_setup, draw_text

STATE_ICONS = {
    LiveState.LIVE: "CHECKMARK",
    LiveState.FAILED: "ERROR",
    LiveState.WAITING: "ERROR",
    LiveState.STOPPED: "RADIOBUT_OFF",
    LiveState.PAUSED: "PAUSE",
}
above_settings: list[Callable[[bpy.types.UILayout, bpy.types.Context], None]] = []
"""What other modules draw between the state and the settings."""


def draw_panel(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Play and pause, the state in words, and the settings."""
    draw_setup(layout, context)
    row = layout.row(align=True)
    row.scale_y = 1.4
    if live.is_running():
        row.operator("draftglass.stop", text="Stop Live", icon="SNAP_FACE")
        row.operator("draftglass.pause", text="", icon="PLAY" if live.paused else "PAUSE", depress=live.paused)
    else:
        row.operator("draftglass.start", text="Start Live", icon="PLAY")
    _draw_state(layout.column(align=True), context)
    draw_progress(layout)
    if live.is_running() and not is_seen():
        layout.operator("draftglass.show_picture", icon="IMAGE_BACKGROUND")
    for draw in above_settings:
        draw(layout, context)
    draw_settings(layout, context)


def draw_settings(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What the picture shows and how."""
    settings = context.scene.draftglass
    layout.use_property_split = True
    layout.use_property_decorate = False
    column = layout.column(align=True)
    column.use_property_split = False
    column.prop(settings, "prompt", text="", placeholder="Prompt")
    row = column.row(align=True)
    row.active = settings.guidance > 1
    row.prop(settings, "negative_prompt", text="", placeholder="Not in the picture (needs guidance)")
    draw_words(layout, context)
    column = layout.column(align=True)
    column.prop(settings, "strength")
    column.prop(settings, "depth_weight")
    column.prop(settings, "steady")
    column = layout.column(align=True)
    column.prop(settings, "steps")
    column.prop(settings, "guidance")
    column.prop(settings, "sampler")
    if settings.sampler == "TCD":
        column.prop(settings, "eta")
    row = layout.row(align=True)
    row.prop(settings, "seed")
    row.prop(settings, "seed_locked", text="", icon="LOCKED" if settings.seed_locked else "UNLOCKED")
    row.operator("draftglass.new_seed", text="", icon="RNDCURVE")
    column = layout.column(align=True)
    column.prop(settings, "size")
    column.prop(settings, "aspect")
    column = layout.column(align=True)
    column.prop(settings, "settle")
    sub = column.column(align=True)
    sub.active = settings.settle
    sub.prop(settings, "settle_steps")
    sub.prop(settings, "settle_size")


def _draw_state(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
    width = characters(context)
    if live.problem() is not None:
        return  # draw_setup has it, with what helps
    icon = STATE_ICONS.get(live.state(), "SORTTIME")
    for line in textwrap.wrap(live.sentence(), width) or [""]:
        column.label(text=line, icon=icon)
        icon = "BLANK1"
    if lacking := models.missing(context.scene):
        draw_text(column, lacking, width, "ERROR")


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


class DRAFTGLASS_MT_menu(bpy.types.Menu):
    """In the View menu of both editors, and so found by the search."""

    bl_label = "Draftglass"
    operators: ClassVar[list[str]] = [
        "draftglass.start",
        "draftglass.pause",
        "draftglass.stop",
        "",
        "draftglass.show_picture",
        "draftglass.new_seed",
        "draftglass.overlay",
        "draftglass.drag_split",
        "draftglass.hud",
        "draftglass.keep",
        "draftglass.record",
        "draftglass.restore_file",
        "",
        "draftglass.stick",
        "draftglass.stick_around",
        "draftglass.stick_refine",
        "draftglass.stick_back",
        "draftglass.stick_coverage",
    ]
    """By name, in their order; an empty one is a line."""
    menus: ClassVar[list[str]] = ["DRAFTGLASS_MT_styles", "DRAFTGLASS_MT_server"]

    def draw(self, _context: bpy.types.Context) -> None:
        """One line each."""
        for name in self.operators:
            if name:
                self.layout.operator(name)
            else:
                self.layout.separator()
        for name in self.menus:
            self.layout.menu(name)


class DRAFTGLASS_MT_server(bpy.types.Menu):
    """What is done to the server now and then; a menu deeper, so that the search lists it after all else"""

    bl_label = "Server"
    operators: ClassVar[list[str]] = [
        "draftglass.restart_server",
        "draftglass.reconnect",
        "draftglass.open_log",
        "draftglass.open_folder",
        "draftglass.set_up",
        "draftglass.cancel_set_up",
        "draftglass.remove_set_up",
    ]

    def draw(self, _context: bpy.types.Context) -> None:
        """One line each."""
        for name in self.operators:
            self.layout.operator(name)


CLASSES = (DRAFTGLASS_PT_view3d, DRAFTGLASS_PT_image, DRAFTGLASS_MT_menu, DRAFTGLASS_MT_server)


def _draw_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.menu("DRAFTGLASS_MT_menu")


def attach() -> None:
    """Put the menu into the editors' View menus."""
    bpy.types.VIEW3D_MT_view.append(_draw_menu)
    bpy.types.IMAGE_MT_view.append(_draw_menu)


def detach() -> None:
    """Take it out again."""
    bpy.types.IMAGE_MT_view.remove(_draw_menu)
    bpy.types.VIEW3D_MT_view.remove(_draw_menu)
