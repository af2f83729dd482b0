"""What a person can do with pictures: keep, restore from a file, record. Shells; imports bpy."""

import contextlib
import os
from pathlib import Path
from typing import ClassVar

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, StringProperty

from ...keeping import KeepError
from ..live import switch as live
from ..pictures import gallery
from ..pictures.keep import Bomb, image_of, keep, keep_folder, packed_image, read_file, restore
from ..pictures.record import recorder
from . import gallery_operators
from .gallery_operators import report_missed

# Blender 5 wants to be told that "//" is meant to be understood; before it knew no such option.
_RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (5, 0, 0) else set()


class DraftglassKeep(bpy.types.PropertyGroup):
    """Where and how pictures are kept; ``bpy.context.scene.draftglass_keep``."""

    folder: StringProperty(
        name="Folder",
        description="Where pictures and recordings are kept; empty is a folder beside the .blend file",
        default="",
        subtype="DIR_PATH",
        options=_RELATIVE,
    )
    record_as: EnumProperty(
        name="Record As",
        description="The format of a recording",
        items=(
            ("VIDEO", "Video", "An MPEG-4 file, by Blender's own FFmpeg"),
            ("SEQUENCE", "Image Sequence", "A folder with one PNG per frame"),
        ),
        default="VIDEO",
    )
    record_fps: FloatProperty(
        name="Frame Rate",
        description="Frames per second of a recording; each picture stays for as long as it did on screen",
        default=30.0,
        min=1.0,
        max=120.0,
        precision=2,
    )


class DRAFTGLASS_OT_keep(bpy.types.Operator):
    """Keep the picture as an Image in this file, and as a PNG that records how it was made"""

    bl_idname = "draftglass.keep"
    bl_label = "Keep Picture"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    number: IntProperty(
        name="Number",
        description="Number of the picture in the gallery; 0 is the newest one",
        default=0,
        options={"HIDDEN", "SKIP_SAVE"},  # else the button for the newest one would take that of the last press
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only where there is a picture."""
        return live.picture() is not None or bool(gallery.entries())

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Keep it, and say where."""
        found = gallery.get(self.number) if self.number else None
        if self.number and found is None:
            self.report({"ERROR"}, "That picture is not in the gallery any more")
            return {"CANCELLED"}
        shown = found.shown if found is not None else live.picture() or gallery.entries()[0].shown
        entry = found or gallery.find(shown) or gallery.add(shown)
        if entry.kept and entry.path is not None and entry.path.exists():
            return self._keep_again(entry)
        try:
            _, entry.path = keep(shown, context.scene)
        except KeepError as error:
            self.report({"ERROR"}, str(error))
            return {"FINISHED"}  # the Image is there
        self.report({"INFO"}, f"Kept as {entry.path}")
        entry.kept = True
        gallery.changed()
        return {"FINISHED"}

    def _keep_again(self, entry: gallery.Entry) -> set[str]:
        """Its PNG is there; its Image may have gone with an undo, or another file may be open now."""
        assert entry.path is not None
        self.report({"INFO"}, f"Already kept as {entry.path.name}")
        if image_of(entry.shown) is not None:
            return {"CANCELLED"}
        packed_image(entry.shown).filepath_raw = str(entry.path)
        return {"FINISHED"}


class DRAFTGLASS_OT_restore_file(bpy.types.Operator):
    """Restore the settings and the view that a picture kept as a PNG was made with"""

    bl_idname = "draftglass.restore_file"
    bl_label = "Restore from Picture"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.png", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask for the file; one that was dropped is there already."""
        if not self.filepath:
            with contextlib.suppress(KeepError):  # said when something is kept
                self.filepath = str(keep_folder(context.scene)) + os.sep
            context.window_manager.fileselect_add(self)
            return {"RUNNING_MODAL"}
        try:
            read_file(Path(self.filepath))
        except KeepError as error:
            if not isinstance(error, Bomb) and _drop_as_blender_does(context, self.filepath):
                return {"FINISHED"}
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Restore."""
        path = Path(bpy.path.abspath(self.filepath))
        try:
            recipe = read_file(path)
        except KeepError as error:
            editing = "" if context.mode == "OBJECT" else " In Object Mode, Blender itself handles dropped pictures."
            self.report({"ERROR"}, f"{error}{editing}")
            return {"CANCELLED"}
        report_missed(self, restore(recipe, context))
        return {"FINISHED"}


class DRAFTGLASS_FH_picture(bpy.types.FileHandler):
    """PNGs dropped on the sidebar of a 3D View or an Image Editor

    Blender does not say what a dropped file holds before it asks; so over the editors themselves, where people drop
    references, it is not asked at all.
    """

    bl_idname = "DRAFTGLASS_FH_picture"
    bl_label = "Restore from Picture (Draftglass)"
    bl_import_operator = "draftglass.restore_file"
    bl_file_extensions = ".png"

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        """Over the sidebar of a 3D View or an Image Editor."""
        area, region = context.area, context.region
        is_there = area is not None and area.type in {"VIEW_3D", "IMAGE_EDITOR"}
        return is_there and region is not None and region.type == "UI"


class DRAFTGLASS_OT_record(bpy.types.Operator):
    """Record every picture from now on; run it again to stop and make the file"""

    bl_idname = "draftglass.record"
    bl_label = "Record"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While live is on, or to end a recording."""
        return recorder.recording or (live.is_running() and not recorder.making)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Begin or end."""
        try:
            if recorder.recording:
                recorder.stop()
            else:
                recorder.start(context.scene)
        except KeepError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


def _drop_as_blender_does(context: bpy.types.Context, path: str) -> bool:
    """A PNG that is none of ours: what Blender itself does with it. False where it does nothing."""
    kind = context.area.type if context.area is not None else ""
    try:
        if kind == "VIEW_3D" and context.region_data.view_perspective == "CAMERA":
            return "FINISHED" in bpy.ops.view3d.camera_background_image_add(filepath=path)
        if kind == "VIEW_3D":
            return "FINISHED" in bpy.ops.object.empty_image_add("INVOKE_DEFAULT", filepath=path, align="VIEW")
        if kind == "IMAGE_EDITOR":
            return "FINISHED" in bpy.ops.image.open(filepath=path)
    except RuntimeError:
        pass
    return False


CLASSES = (
    DraftglassKeep,
    DRAFTGLASS_OT_keep,
    *gallery_operators.CLASSES,
    DRAFTGLASS_OT_restore_file,
    DRAFTGLASS_FH_picture,
    DRAFTGLASS_OT_record,
)


def attach() -> None:
    """Add the settings to scenes, and begin to collect pictures."""
    bpy.types.Scene.draftglass_keep = bpy.props.PointerProperty(type=DraftglassKeep)
    gallery.attach()


def detach() -> None:
    """Take them away again."""
    recorder.close()
    gallery.detach()
    del bpy.types.Scene.draftglass_keep
