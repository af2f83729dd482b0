"""What a person can do with a picture of the gallery: restore, open, delete. Shells; imports bpy."""

from typing import ClassVar

import bpy
from bpy.props import BoolProperty, IntProperty

from ..capture.viewports import image_editors
from ..pictures import gallery
from ..pictures.keep import image_of, is_picture, packed_image, recipe_of, restore


def _number() -> IntProperty:
    return IntProperty(
        name="Number",
        description="Number of the picture in the gallery; 0 is the selected one",
        default=0,
        options={"SKIP_SAVE"},  # whoever gives none means the one selected, not that of the last press
    )


class _OfEntry:
    """What the operators on one picture of the gallery have in common."""

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only where there are pictures."""
        return bool(gallery.entries())

    def entry(self, context: bpy.types.Context) -> gallery.Entry | None:
        """The picture meant; reports where there is none."""
        found = gallery.get(self.number) if self.number else gallery.selected()
        if found is None:
            self.report({"ERROR"}, "The picture is not in the gallery any more.")
        return found


class DRAFTGLASS_OT_restore_picture(_OfEntry, bpy.types.Operator):
    """Restore the settings and the view that this picture was made with"""

    bl_idname = "draftglass.restore_picture"
    bl_label = "Restore"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    number: _number()

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Restore."""
        entry = self.entry(context)
        if entry is None:
            return {"CANCELLED"}
        report_missed(self, restore(recipe_of(entry.shown), context))
        return {"FINISHED"}


class DRAFTGLASS_OT_open_picture(_OfEntry, bpy.types.Operator):
    """Show this picture in an Image Editor"""

    bl_idname = "draftglass.open_picture"
    bl_label = "Open"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    number: _number()

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Show its Image, which is made where it has none; the editor that live is seen in is left alone."""
        entry = self.entry(context)
        if entry is None:
            return {"CANCELLED"}
        _show(context, image_of(entry.shown) or packed_image(entry.shown, keep=entry.kept))
        return {"FINISHED"}


class DRAFTGLASS_OT_delete_picture(_OfEntry, bpy.types.Operator):
    """Remove this picture from the gallery, and its Image from this file"""

    bl_idname = "draftglass.delete_picture"
    bl_label = "Delete"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    number: _number()
    file: BoolProperty(
        name="Delete the PNG Too",
        description="Also delete the file on disk",
        default=False,
        options={"SKIP_SAVE"},  # what cannot be undone is chosen anew each time
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask about the file, where there is one."""
        entry = gallery.get(self.number) if self.number else gallery.selected()
        if entry is not None and entry.path is not None and entry.path.exists():
            return set(context.window_manager.invoke_props_dialog(self))
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Delete."""
        entry = self.entry(context)
        if entry is None:
            return {"CANCELLED"}
        if self.file and entry.path is not None:
            try:
                entry.path.unlink(missing_ok=True)
            except OSError as error:
                self.report({"ERROR"}, f"{entry.path.name} cannot be deleted: {error.strerror or error}.")
                return {"CANCELLED"}
        image = image_of(entry.shown)
        if image is not None:
            bpy.data.images.remove(image)
        gallery.remove(entry)
        return {"FINISHED"}


def report_missed(operator: bpy.types.Operator, missed: list[str]) -> None:
    """Name the settings that could not be restored."""
    if missed:
        operator.report({"WARNING"}, f"Not restored, because this version does not have it: {', '.join(missed)}.")


def _show(context: bpy.types.Context, image: bpy.types.Image) -> None:
    """Show ``image`` in an Image Editor that has none or another picture, the context's first, else in a new window.

    Neither the one that live is seen in is taken, nor one with an image of the user's.
    """
    areas = [area for _, area in image_editors()]
    for area in sorted(areas, key=lambda one: one != context.area):
        shown = area.spaces.active.image
        if area.ui_type == "IMAGE_EDITOR" and (shown is None or is_picture(shown)):
            area.spaces.active.image = image
            return
    if bpy.app.background:
        return
    bpy.ops.wm.window_new()
    area = max(context.window_manager.windows[-1].screen.areas, key=lambda one: one.width * one.height)
    area.type = "IMAGE_EDITOR"
    area.spaces.active.image = image


CLASSES = (DRAFTGLASS_OT_restore_picture, DRAFTGLASS_OT_open_picture, DRAFTGLASS_OT_delete_picture)
