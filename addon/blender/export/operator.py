"""*Export Textured Scene*: a shell. Imports bpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ...problems.words import sentence
from ..capture.spaces import any_space
from .write import FORMATS, ExportError, export


class DRAFTGLASS_OT_stick_export(bpy.types.Operator):
    """Write what this view shows, with its textures, as a file for games, the web or AR"""

    bl_idname = "draftglass.stick_export"
    bl_label = "Export Textured Scene"
    bl_options: ClassVar = {"REGISTER"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default=";".join(f"*{suffix}" for suffix in FORMATS), options={"HIDDEN"})
    check_existing: BoolProperty(default=True, options={"HIDDEN"})
    format: EnumProperty(
        name="Format",
        description="What the file is for",
        items=(
            (".glb", "GLB", "glTF: Godot, Unreal, Unity, three.js, model-viewer"),
            (".usdz", "USDZ", "Quick Look on iPhone, iPad and Mac"),
            (".blend", "Blender", "A copy of the whole file"),
        ),
        default=".glb",
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask for the file."""
        if not self.filepath:
            own = Path(bpy.data.filepath) if bpy.data.filepath else Path("untitled.blend")
            self.filepath = str(own.with_name(f"{own.stem} textured{self.format}"))
        self._shown = self.format
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, _context: bpy.types.Context) -> bool:
        """Keep ending and format the same: the one that was changed last wins."""
        path = Path(self.filepath)
        suffix = path.suffix.lower()
        if self.format == self._shown and suffix in FORMATS:
            self.format = self._shown = suffix
            return True
        self._shown = self.format
        self.filepath = str(path.with_suffix(self.format) if suffix in FORMATS else Path(f"{path}{self.format}"))
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write it, and say where."""
        space: Any = context.space_data
        path = Path(bpy.path.abspath(self.filepath))
        try:
            if space is None or space.type != "VIEW_3D":
                space, _ = any_space()
            export(path, context.view_layer, space)
        except ExportError as error:
            self.report({"ERROR"}, sentence(error.problem))
            return {"CANCELLED"}
        except RuntimeError as error:  # no 3D View in any workspace
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Exported as {path}")
        return {"FINISHED"}


CLASSES = (DRAFTGLASS_OT_stick_export,)


def attach() -> None:
    """Add it to *File > Export*."""
    bpy.types.TOPBAR_MT_file_export.append(_draw_menu)


def detach() -> None:
    """Take it away again."""
    bpy.types.TOPBAR_MT_file_export.remove(_draw_menu)


def _draw_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    menu.layout.operator_context = "INVOKE_DEFAULT"
    menu.layout.operator(DRAFTGLASS_OT_stick_export.bl_idname, text="Textured Scene (.glb, .usdz)")
