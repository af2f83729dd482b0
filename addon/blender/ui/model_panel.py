"""The panels of models and LoRAs. Shells; imports bpy."""

from typing import ClassVar

import bpy

from ...problems.words import sentence
from ...wire import Entry
from ..capture.viewports import characters
from ..live import models
from ..live import switch as live
from .model_operators import GB, is_offline
from .setup_panel import draw_text

MOST_SHOWN = 16
"""Models in the panel; the rest are in a menu."""


class DRAFTGLASS_MT_add_lora(bpy.types.Menu):
    """The LoRAs of the server's list"""

    bl_label = "Add LoRA"

    def draw(self, context: bpy.types.Context) -> None:
        """One line each; those of another family than the model's would not fit it."""
        settings, loop = context.scene.draftglass.models, live.loop()
        model = models.entry_of(loop.model) if loop is not None else None
        found = [entry for entry in models.entries("lora") if entry.name not in settings.loras]
        for entry in found:
            fits = model is None or not entry.family or not model.family or entry.family == model.family
            row = self.layout.row()
            row.enabled = fits and entry.installed
            words = entry.title or entry.name
            if not entry.installed:
                words = f"{words}: {entry.sentence}"
            elif not fits:
                words = f"{words} (for {entry.family})"
            row.operator("draftglass.add_lora", text=words).name = entry.name
        if not found:
            self.layout.label(text="The server has no other LoRA: put files into its folder, then refresh")


class DRAFTGLASS_MT_more_models(bpy.types.Menu):
    """The models of the server's list that the panel has no room for"""

    bl_label = "More Models"

    def draw(self, context: bpy.types.Context) -> None:
        """One line each."""
        loop, wanted = live.loop(), context.scene.draftglass.models.model
        known = models.entries("model")
        some = shown_of(known, {loop.model if loop is not None else "", wanted})
        for entry in known:
            if entry not in some:
                row = self.layout.row()
                row.enabled = entry.installed
                words = entry.title or entry.name
                words = words if entry.installed else f"{words}: {entry.sentence}"
                row.operator("draftglass.use_model", text=words).name = entry.name


class DRAFTGLASS_MT_other_files(bpy.types.Menu):
    """The controls and VAEs of the server's list, and what else is there: what each is for, or why it is not used"""

    bl_label = "Controls and Other Files"

    def draw(self, context: bpy.types.Context) -> None:
        """One line each; there is nothing to choose, as the server takes what fits the model."""
        found = [entry for entry in models.entries() if entry.kind not in ("model", "lora")]
        for entry in found:
            icon = "CHECKMARK" if entry.installed else "X"
            self.layout.label(text=f"{entry.title or entry.name}: {entry.sentence}", icon=icon)
        if not found:
            self.layout.label(text="The server has none: put files into its folder, then refresh")


def shown_of(known: tuple[Entry, ...], wanted: set[str]) -> list[Entry]:
    """Those of the models ``known`` that the panel shows: what can be downloaded, what is in use, and the first."""
    first = set(list(known)[:MOST_SHOWN])
    return [entry for entry in known if entry in first or entry.name in wanted or entry.download_bytes]


def draw_models(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The models to choose from, and the scene's LoRAs."""
    settings, loop = context.scene.draftglass.models, live.loop()
    width = characters(context)
    known = models.entries("model")
    column = layout.column(align=True)
    if not known:
        words = "Live is off." if loop is None else "The server has not listed its models yet."
        chosen = settings.model or "the server's choice"
        draw_text(column, f"{words} Model: {chosen}", width)
    loaded = loop.model if loop is not None else ""
    some = shown_of(known, {loaded, settings.model})
    for entry in some:
        _draw_entry(column, entry, loaded, settings.model, width)
    if loop is not None and loop.control:
        draw_text(column, f"Depth by {loop.control}", width)
    if len(known) > len(some):
        column.menu("DRAFTGLASS_MT_more_models", text=f"{len(known) - len(some)} More Models", icon="DOWNARROW_HLT")
    if is_offline() and any(entry.download_bytes and not entry.installed for entry in known):
        draw_text(column, "Online access is off, so nothing can be downloaded.", width, "INFO")
        column.operator("draftglass.allow_online", icon="URL")
    if loop is not None and loop.model_failure is not None:
        draw_text(column, sentence(loop.model_failure), width, "ERROR")
    row = layout.row(align=True)
    row.menu("DRAFTGLASS_MT_add_lora", icon="ADD")
    row.menu("DRAFTGLASS_MT_other_files", text="", icon="FILE_FOLDER")
    row.operator("draftglass.refresh_models", text="", icon="FILE_REFRESH")
    column = layout.column(align=True)
    for index, lora in enumerate(settings.loras):
        row = column.row(align=True)
        row.prop(lora, "use", text="")
        sub = row.row(align=True)
        sub.active = lora.use
        sub.prop(lora, "weight", text=lora.name)
        row.operator("draftglass.remove_lora", text="", icon="X").index = index
    left_out = loop.models.left_out if loop is not None and loop.models is not None else 0
    if left_out:
        words = f"{left_out} more files are not listed: keep fewer in the server's folder, or use another one."
        draw_text(layout.column(align=True), words, width, "INFO")
    folder = loop.models.folder if loop is not None and loop.models is not None else ""
    if folder:
        draw_text(layout.column(align=True), f"Your own files: {folder}", width)


def _draw_entry(column: bpy.types.UILayout, entry: Entry, loaded: str, wanted: str, width: int) -> None:
    row = column.row(align=True)
    title, going = entry.title or entry.name, models.progress_of(entry.name)
    is_on = entry.name == loaded
    icon = "RADIOBUT_ON" if is_on else "SORTTIME" if entry.name == wanted else "RADIOBUT_OFF"
    if going is not None and going.state in {"pulling", "verifying"}:
        part = going.done / going.total if going.total else 0.0
        row.progress(factor=part, text=f"{title}: {going.done / GB:.2f} of {going.total / GB:.2f} GB")
        if going.state == "pulling":
            row.operator("draftglass.cancel_pull", text="", icon="X").name = entry.name
        return
    if entry.installed:
        row.operator("draftglass.use_model", text=title, icon=icon, depress=is_on).name = entry.name
        if entry.removable:
            row.operator("draftglass.verify_model", text="", icon="CHECKMARK").name = entry.name
            sub = row.row(align=True)
            sub.enabled = not is_on
            sub.operator("draftglass.remove_model", text="", icon="TRASH").name = entry.name
    elif entry.download_bytes:
        sub = row.row(align=True)
        sub.active = not is_offline()
        size = f"{title} ({entry.download_bytes / GB:.1f} GB)"
        sub.operator("draftglass.pull_model", text=size, icon="IMPORT").name = entry.name
    else:  # a file of the user's that can't be used
        row.label(text=title, icon="ERROR")
        draw_text(column, entry.sentence, width)
    if going is not None and going.state == "failed":
        draw_text(column, going.sentence, width, "ERROR")


class DRAFTGLASS_PT_models_view3d(bpy.types.Panel):
    """In the 3D View's sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_parent_id = "DRAFTGLASS_PT_view3d"
    bl_label = "Model and LoRAs"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        draw_models(self.layout, context)


class DRAFTGLASS_PT_models_image(bpy.types.Panel):
    """In the Image Editor's sidebar."""

    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Draftglass"
    bl_parent_id = "DRAFTGLASS_PT_image"
    bl_label = "Model and LoRAs"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Lay it out."""
        draw_models(self.layout, context)


CLASSES = (
    DRAFTGLASS_MT_add_lora,
    DRAFTGLASS_MT_more_models,
    DRAFTGLASS_MT_other_files,
    DRAFTGLASS_PT_models_view3d,
    DRAFTGLASS_PT_models_image,
)
