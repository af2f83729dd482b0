"""What a person can do with styles: choose, save, rename, delete, share. Shells; imports bpy."""

from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ...presets import MAX_NAME, Listed, PresetError
from ..capture.viewports import characters, redraw_panels
from ..live import switch as live
from . import main_panel, styles
from .setup_panel import draw_text

TILE, POPUP = 5.0, 5.0
"""The sizes of the chosen thumbnail and of those to choose from, in heights of a button."""


def _current(context: bpy.types.Context) -> Listed | None:
    return styles.applied(context.scene) if context.scene is not None else None


def _done(operator: bpy.types.Operator, sentence: str) -> Any:
    styles.changed()
    redraw_panels()
    operator.report({"INFO"}, sentence)
    return {"FINISHED"}


def _failed(operator: bpy.types.Operator, error: PresetError) -> Any:
    operator.report({"ERROR"}, f"{str(error)[:1].upper()}{str(error)[1:]}.")
    return {"CANCELLED"}


class OfOwnStyle:
    """What can be done with the user's own styles only."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Where the chosen style is one of these."""
        listed = _current(context)
        if listed is None or not listed.own:
            cls.poll_message_set("Choose a style of your own first")
            return False
        return True


class DRAFTGLASS_OT_apply_style(bpy.types.Operator):
    """Set the prompt and the settings that go with it to the style's"""

    bl_idname = "draftglass.apply_style"
    bl_label = "Apply Style"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="The style's name")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Apply it."""
        try:
            styles.apply(context.scene, styles.library().named(self.name))
        except PresetError as error:
            return _failed(self, error)
        redraw_panels()
        return {"FINISHED"}


class DRAFTGLASS_OT_save_style(bpy.types.Operator):
    """Keep prompt and settings as a style of your own; the newest picture becomes its thumbnail"""

    bl_idname = "draftglass.save_style"
    bl_label = "Save Style"
    bl_options: ClassVar = {"REGISTER"}

    name: StringProperty(name="Name", description="The style's name", maxlen=MAX_NAME)
    with_seed: BoolProperty(name="With the Seed", description="The style sets the seed too", default=False)
    replace: BoolProperty(name="Replace", description="Replace your style of that name", options={"SKIP_SAVE"})
    offered: StringProperty(name="Offered", description="Replace", options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask for the name; who leaves it as it is saves the chosen style anew."""
        listed = _current(context)
        self.name = self.offered = listed.preset.name if listed is not None and listed.own else ""
        return set(context.window_manager.invoke_props_dialog(self))

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Save it, and let it be the chosen one."""
        try:
            preset = styles.preset_of(context.scene, self.name, self.with_seed, live.picture())
            over = self.replace or preset.name == self.offered
            listed = styles.library().save(preset, over=over)
        except PresetError as error:
            return _failed(self, error)
        context.scene.draftglass_styles.applied = listed.key
        return _done(self, f"Saved the style {preset.name!r}")


class DRAFTGLASS_OT_rename_style(OfOwnStyle, bpy.types.Operator):
    """Give the chosen style another name"""

    bl_idname = "draftglass.rename_style"
    bl_label = "Rename Style"
    bl_options: ClassVar = {"REGISTER"}

    name: StringProperty(name="Name", description="The style's new name", maxlen=MAX_NAME)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask for the name."""
        listed = _current(context)
        self.name = listed.preset.name if listed is not None else ""
        return set(context.window_manager.invoke_props_dialog(self))

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Rename it."""
        listed = _current(context)
        assert listed is not None, "poll has looked"
        try:
            renamed = styles.library().rename(listed.key, self.name)
        except PresetError as error:
            return _failed(self, error)
        context.scene.draftglass_styles.applied = renamed.key
        return _done(self, f"The style is called {renamed.preset.name!r} now")


class DRAFTGLASS_OT_delete_style(OfOwnStyle, bpy.types.Operator):
    """Delete the chosen style with its file; the settings stay as they are"""

    bl_idname = "draftglass.delete_style"
    bl_label = "Delete Style"
    bl_options: ClassVar = {"REGISTER"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first: a file can't be had back."""
        return set(context.window_manager.invoke_confirm(self, event))

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Delete it."""
        listed = _current(context)
        assert listed is not None, "poll has looked"
        try:
            styles.library().delete(listed.key)
        except PresetError as error:
            return _failed(self, error)
        context.scene.draftglass_styles.applied = ""
        return _done(self, f"Deleted the style {listed.preset.name!r}")


class DRAFTGLASS_OT_import_styles(bpy.types.Operator):
    """Add styles that somebody shared as files to your own"""

    bl_idname = "draftglass.import_styles"
    bl_label = "Import Styles"
    bl_options: ClassVar = {"REGISTER"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask for the files."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Take those that are styles; the others are named."""
        names = [file.name for file in self.files if file.name]
        chosen = [Path(self.directory) / name for name in names] or [Path(bpy.path.abspath(self.filepath))]
        taken, trouble = [], None
        for path in chosen:
            try:
                taken.append(styles.library().import_file(path))
            except PresetError as error:
                trouble = error
                self.report({"ERROR"}, str(error))
        if not taken:
            return {"CANCELLED"} if trouble is not None else {"FINISHED"}
        styles.apply(context.scene, taken[-1])
        return _done(self, f"Imported {', '.join(repr(one.preset.name) for one in taken)}")


class DRAFTGLASS_OT_export_style(bpy.types.Operator, ExportHelper):
    """Write the chosen style and its thumbnail to a file, to share it"""

    bl_idname = "draftglass.export_style"
    bl_label = "Export Style"
    bl_options: ClassVar = {"REGISTER"}

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Where a style is chosen."""
        if _current(context) is None:
            cls.poll_message_set("Choose a style first")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask for the file."""
        listed = _current(context)
        assert listed is not None, "poll has looked"
        self.filepath = str(Path.home() / f"{listed.path.stem}.json")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write it."""
        listed = _current(context)
        assert listed is not None, "poll has looked"
        path = Path(bpy.path.ensure_ext(bpy.path.abspath(self.filepath), self.filename_ext))
        try:
            styles.library().export(listed.key, path)
        except PresetError as error:
            return _failed(self, error)
        self.report({"INFO"}, f"Wrote the style to {path}")
        return {"FINISHED"}


class DRAFTGLASS_OT_refresh_styles(bpy.types.Operator):
    """Look through the folder of your styles again"""

    bl_idname = "draftglass.refresh_styles"
    bl_label = "Refresh Styles"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Look."""
        styles.library().refresh()
        return _done(self, f"{len(styles.library().styles)} styles")


class DRAFTGLASS_MT_style_tools(bpy.types.Menu):
    """What can be done with the chosen style"""

    bl_label = "Style"

    def draw(self, _context: bpy.types.Context) -> None:
        """One line each."""
        for name, icon in (
            ("save_style", "ADD"),
            ("rename_style", "GREASEPENCIL"),
            ("delete_style", "TRASH"),
            ("import_styles", "IMPORT"),
            ("export_style", "EXPORT"),
            ("refresh_styles", "FILE_REFRESH"),
        ):
            self.layout.operator(f"draftglass.{name}", icon=icon)


class DRAFTGLASS_MT_styles(bpy.types.Menu):
    """Every style by its name, so that the search finds it"""

    bl_label = "Styles"

    def draw(self, _context: bpy.types.Context) -> None:
        """One line each."""
        for listed in styles.library().styles:
            self.layout.operator("draftglass.apply_style", text=listed.preset.name).name = listed.preset.name
        self.layout.separator()
        self.layout.menu("DRAFTGLASS_MT_style_tools")


def draw_styles(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The chosen style's thumbnail, a click from all others, and what can be done with it."""
    scene = context.scene
    row = layout.row(align=True)
    row.template_icon_view(scene.draftglass_styles, "chosen", show_labels=True, scale=TILE, scale_popup=POPUP)
    column = row.column(align=True)
    column.operator("draftglass.save_style", text="", icon="ADD")
    column.menu("DRAFTGLASS_MT_style_tools", text="", icon="DOWNARROW_HLT")
    width = characters(context)
    draw_text(layout, styles.name_of(scene), width, "BRUSH_DATA")
    for problem in styles.library().problems[:3]:
        draw_text(layout, problem, width, "ERROR")


CLASSES = (
    DRAFTGLASS_OT_apply_style,
    DRAFTGLASS_OT_save_style,
    DRAFTGLASS_OT_rename_style,
    DRAFTGLASS_OT_delete_style,
    DRAFTGLASS_OT_import_styles,
    DRAFTGLASS_OT_export_style,
    DRAFTGLASS_OT_refresh_styles,
    DRAFTGLASS_MT_style_tools,
    DRAFTGLASS_MT_styles,
)


def attach() -> None:
    """Into the main panel."""
    main_panel.above_settings.append(draw_styles)


def detach() -> None:
    """Out of it."""
    if draw_styles in main_panel.above_settings:
        main_panel.above_settings.remove(draw_styles)
