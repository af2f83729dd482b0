"""What a person can do with the overlay: the line dragged with the mouse, switches, the panel. Imports bpy."""

from typing import ClassVar

import bpy

from ...live.hud_words import BAD, status, table
from ..display import hud, overlay
from ..live import switch as live

REACH = 8.0
"""How near to the line the mouse takes hold of it, in units of Blender's interface."""


def _move(context: bpy.types.Context, event: bpy.types.Event) -> None:
    overlay.dragged = overlay.part_at(context, event.mouse_region_x)
    context.region.tag_redraw()


def _end(context: bpy.types.Context, cancel: bool) -> None:
    """Give the scene the line's place, as one step of the undo."""
    at, overlay.dragged = overlay.dragged, None
    settings = overlay.settings_of(context.window)
    if at is not None and not cancel and settings is not None:
        settings.split = at
        bpy.ops.ed.undo_push(message="Split the Overlay")
    overlay.redraw()


class DRAFTGLASS_GT_split(bpy.types.Gizmo):
    """The split line of the overlay: drag it"""

    bl_idname = "DRAFTGLASS_GT_split"

    def draw(self, context: bpy.types.Context) -> None:
        """Only while the mouse is on it: the overlay draws the line itself, also where gizmos are off."""
        if self.is_highlight:
            overlay.draw_line(context, True)

    def test_select(self, context: bpy.types.Context, location: tuple[int, int]) -> int:
        """Whether the mouse is on the line, or on its handle."""
        x, place, handle = overlay.line_in(context), overlay.place_in(context), overlay.handle_in(context)
        if x is None or place is None or handle is None:
            return -1
        reach = REACH * context.preferences.system.ui_scale
        on_line = abs(location[0] - x) <= reach and place[1] <= location[1] <= place[3]
        on_handle = abs(location[0] - handle[0]) <= reach and abs(location[1] - handle[1]) <= reach
        return 0 if on_line or on_handle else -1

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Take hold of it."""
        _move(context, event)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event, _tweak: set[str]) -> set[str]:
        """Follow the mouse."""
        if event.type == "MOUSEMOVE":
            _move(context, event)
        return {"RUNNING_MODAL"}

    def exit(self, context: bpy.types.Context, cancel: bool) -> None:
        """Let go."""
        _end(context, cancel)


class DRAFTGLASS_GGT_split(bpy.types.GizmoGroup):
    """The split line in the viewport that live follows."""

    bl_idname = "DRAFTGLASS_GGT_split"
    bl_label = "Overlay's Split"
    bl_space_type = "VIEW_3D"
    bl_region_type = "WINDOW"
    bl_options: ClassVar = {"PERSISTENT", "SHOW_MODAL_ALL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Where the overlay is shown."""
        return overlay.place_in(context) is not None

    def setup(self, _context: bpy.types.Context) -> None:
        """One line."""
        line = self.gizmos.new(DRAFTGLASS_GT_split.bl_idname)
        line.use_draw_modal = True


class DRAFTGLASS_OT_drag_split(bpy.types.Operator):
    """Move the line between scene and picture with the mouse; click to leave it there"""

    bl_idname = "draftglass.drag_split"
    bl_label = "Move the Overlay's Split"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In the viewport that shows the overlay."""
        if overlay.place_in(context) is None:
            cls.poll_message_set("The mouse is not over the viewport that shows the overlay")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Begin."""
        _move(context, event)
        context.window.cursor_modal_set("MOVE_X")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Follow the mouse until a click or Escape."""
        if event.type == "MOUSEMOVE":
            _move(context, event)
        elif event.type in {"ESC", "RIGHTMOUSE"} or overlay.place_in(context) is None:
            return self._ended(context, True)
        elif event.type in {"LEFTMOUSE", "RET"} and event.value == "PRESS":
            return self._ended(context, False)
        return {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends it."""
        self._ended(context, True)

    def _ended(self, context: bpy.types.Context, cancel: bool) -> set[str]:
        context.window.cursor_modal_restore()
        _end(context, cancel)
        return {"CANCELLED"} if cancel else {"FINISHED"}


class DRAFTGLASS_OT_overlay(bpy.types.Operator):
    """Show the picture in the 3D View itself, or the Image Editor only"""

    bl_idname = "draftglass.overlay"
    bl_label = "Overlay On or Off"
    bl_options: ClassVar = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Change over."""
        settings = context.scene.draftglass_overlay
        settings.show = not settings.show
        return {"FINISHED"}


class DRAFTGLASS_OT_hud(bpy.types.Operator):
    """Show rate, stage times and progress over the picture, or the picture alone"""

    bl_idname = "draftglass.hud"
    bl_label = "Numbers on the Picture On or Off"
    bl_options: ClassVar = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Change over."""
        settings = context.scene.draftglass_overlay
        settings.hud = not settings.hud
        return {"FINISHED"}


def draw_progress(layout: bpy.types.UILayout) -> None:
    """What goes on with the picture, as a bar; there as long as live runs, so that nothing below it ever jumps."""
    if live.is_running():
        said = status(hud.facts())
        told = said.tone == BAD or live.problem() is not None  # in whole sentences, above
        layout.progress(factor=said.part or 0.0, text="" if told else said.words)


def draw_overlay(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Overlay and numbers."""
    settings = context.scene.draftglass_overlay
    layout.use_property_split = True
    layout.use_property_decorate = False
    column = layout.column()
    column.use_property_split = False  # whose labels have half of a narrow sidebar
    column.prop(settings, "hud")
    column.prop(settings, "show", text="Overlay in the 3D View")
    sub = layout.column(align=True)
    sub.active = settings.show
    sub.prop(settings, "opacity")
    sub.prop(settings, "split")
    known = hud.facts()
    if live.is_running() and known.stages:
        column = layout.column(align=True)
        for names in (("Milliseconds", "half", "95 %"), *table(known.stages)):
            row = column.split(factor=0.5)
            row.label(text=names[0])
            row.label(text=names[1])
            row.label(text=names[2])
        column.label(text=f"{known.dropped} frames dropped")


class DRAFTGLASS_PT_overlay_view3d(bpy.types.Panel):
    """In the 3D View's sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_parent_id = "DRAFTGLASS_PT_view3d"
    bl_label = "Overlay and Numbers"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        draw_overlay(self.layout, context)


class DRAFTGLASS_PT_overlay_image(bpy.types.Panel):
    """In the Image Editor's sidebar."""

    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_parent_id = "DRAFTGLASS_PT_image"
    bl_label = "Overlay and Numbers"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        draw_overlay(self.layout, context)


CLASSES = (
    DRAFTGLASS_GT_split,
    DRAFTGLASS_GGT_split,
    DRAFTGLASS_OT_drag_split,
    DRAFTGLASS_OT_overlay,
    DRAFTGLASS_OT_hud,
    DRAFTGLASS_PT_overlay_view3d,
    DRAFTGLASS_PT_overlay_image,
)
