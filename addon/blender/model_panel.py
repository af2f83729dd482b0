"""Models and LoRAs: choose, download, remove; the panels. Shells; imports bpy."""

from typing import Any, ClassVar

import bpy
from bpy.props import IntProperty, StringProperty

from ..wire import CancelPull, Entry, ListModels, PullModel, RemoveModel, VerifyModel
from ..wire.models import MAX_LORAS, ModelMessage
from . import live, models
from .setup import CHARACTER_PIXELS, draw_text

GB = 1e9


class OfModel:
    """What is asked of the server about one model."""

    name: StringProperty(name="Name", description="The model's name in the server's list", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While there is a server to be asked."""
        if live.loop() is None:
            cls.poll_message_set("Live is off: start it first")  # type: ignore[attr-defined]
            return False
        return True

    def ask(self, message: ModelMessage) -> Any:
        """Tell the server; what comes of it is seen in the panel."""
        loop = live.loop()
        assert loop is not None, "poll has looked"
        loop.tell(message)
        return {"FINISHED"}


class DRAFTGLASS_OT_use_model(bpy.types.Operator):
    """Make the pictures with this model, with the steps, guidance and strength that suit it"""

    bl_idname = "draftglass.use_model"
    bl_label = "Use Model"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="The model's name in the server's list")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write it into the scene; live asks the server for it."""
        settings = context.scene.draftglass
        settings.models.model = self.name
        entry = models.entry_of(self.name)
        if entry is not None:
            models.suit(settings, entry)
        return {"FINISHED"}


class DRAFTGLASS_OT_pull_model(OfModel, bpy.types.Operator):
    """Let the server download this model"""

    bl_idname = "draftglass.pull_model"
    bl_label = "Download Model"

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask first: it may be gigabytes."""
        return context.window_manager.invoke_props_dialog(self, width=420)

    def draw(self, _context: bpy.types.Context) -> None:
        """What it is, how large, and under which licence."""
        entry = models.entry_of(self.name)
        if entry is not None:
            column = self.layout.column(align=True)
            column.label(text=entry.title or entry.name)
            column.label(text=f"Download: {entry.download_bytes / GB:.1f} GB. Licence: {entry.licence or 'unknown'}.")
            draw_text(column, entry.sentence, 60)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Ask for it, where Blender may go online."""
        loop = live.loop()
        if loop is not None and loop.address.is_loopback and not bpy.app.online_access:
            self.report({"ERROR"}, "Online access is off: allow it in Preferences, System, Network")
            return {"CANCELLED"}
        return self.ask(PullModel(self.name))


class DRAFTGLASS_OT_cancel_pull(OfModel, bpy.types.Operator):
    """Stop downloading this model; no half file stays"""

    bl_idname = "draftglass.cancel_pull"
    bl_label = "Cancel Download"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Ask for it."""
        return self.ask(CancelPull(self.name))


class DRAFTGLASS_OT_verify_model(OfModel, bpy.types.Operator):
    """Compare the model's files with the checksums that their publisher gives"""

    bl_idname = "draftglass.verify_model"
    bl_label = "Check Model's Files"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Ask for it."""
        return self.ask(VerifyModel(self.name))


class DRAFTGLASS_OT_remove_model(OfModel, bpy.types.Operator):
    """Delete what was downloaded for this model and belongs to no other"""

    bl_idname = "draftglass.remove_model"
    bl_label = "Delete Downloaded Model"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first."""
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Ask for it."""
        return self.ask(RemoveModel(self.name))


class DRAFTGLASS_OT_refresh_models(OfModel, bpy.types.Operator):
    """Ask the server again which models and LoRAs it has"""

    bl_idname = "draftglass.refresh_models"
    bl_label = "Refresh Models"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Ask."""
        return self.ask(ListModels())


class DRAFTGLASS_OT_add_lora(bpy.types.Operator):
    """Let this LoRA act on the pictures, beside the model's own"""

    bl_idname = "draftglass.add_lora"
    bl_label = "Add LoRA"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="The LoRA's name in the server's list")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add it once."""
        loras = context.scene.draftglass.models.loras
        if not self.name or self.name in loras:
            self.report({"ERROR"}, f"{self.name} is there already" if self.name else "Which LoRA? Give its name")
            return {"CANCELLED"}
        if len(loras) >= MAX_LORAS:
            self.report({"ERROR"}, f"{MAX_LORAS} LoRAs at most can act at once")
            return {"CANCELLED"}
        loras.add().name = self.name
        return {"FINISHED"}


class DRAFTGLASS_OT_remove_lora(bpy.types.Operator):
    """Let this LoRA act no more; its file stays"""

    bl_idname = "draftglass.remove_lora"
    bl_label = "Remove LoRA"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    index: IntProperty(name="Index", description="Its place among the scene's LoRAs", min=0)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Take it out."""
        loras = context.scene.draftglass.models.loras
        if self.index >= len(loras):
            self.report({"ERROR"}, f"There is no LoRA {self.index}: the scene has {len(loras)}")
            return {"CANCELLED"}
        loras.remove(self.index)
        return {"FINISHED"}


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
            row.enabled = fits
            words = entry.title or entry.name
            row.operator(
                "draftglass.add_lora", text=words if fits else f"{words} (for {entry.family})"
            ).name = entry.name
        if not found:
            self.layout.label(text="The server has no other LoRA: put files into its folder, then refresh")


def draw_models(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The models to choose from, and the scene's LoRAs."""
    settings, loop = context.scene.draftglass.models, live.loop()
    width = max(24, context.region.width // CHARACTER_PIXELS - 6)
    known = models.entries("model")
    column = layout.column(align=True)
    if not known:
        words = "Live is off." if loop is None else "The server has not told its models yet."
        draw_text(column, f"{words} Model: {settings.model or 'as the server has it'}", width)
    for entry in known:
        _draw_entry(column, entry, loop.model if loop is not None else "", settings.model)
    if loop is not None and loop.model_failure:
        draw_text(column, loop.model_failure, width, "ERROR")
    row = layout.row(align=True)
    row.menu("DRAFTGLASS_MT_add_lora", icon="ADD")
    row.operator("draftglass.refresh_models", text="", icon="FILE_REFRESH")
    column = layout.column(align=True)
    for index, lora in enumerate(settings.loras):
        row = column.row(align=True)
        row.prop(lora, "use", text="")
        sub = row.row(align=True)
        sub.active = lora.use
        sub.prop(lora, "weight", text=lora.name)
        row.operator("draftglass.remove_lora", text="", icon="X").index = index
    folder = loop.models.folder if loop is not None and loop.models is not None else ""
    if folder:
        draw_text(layout.column(align=True), f"Your own files: {folder}", width)


def _draw_entry(column: bpy.types.UILayout, entry: Entry, loaded: str, wanted: str) -> None:
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
    else:
        size = f"{title} ({entry.download_bytes / GB:.1f} GB)"
        row.operator("draftglass.pull_model", text=size, icon="IMPORT").name = entry.name
    if going is not None and going.state == "failed":
        draw_text(column, going.sentence, 50, "ERROR")


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
    DRAFTGLASS_OT_use_model,
    DRAFTGLASS_OT_pull_model,
    DRAFTGLASS_OT_cancel_pull,
    DRAFTGLASS_OT_verify_model,
    DRAFTGLASS_OT_remove_model,
    DRAFTGLASS_OT_refresh_models,
    DRAFTGLASS_OT_add_lora,
    DRAFTGLASS_OT_remove_lora,
    DRAFTGLASS_MT_add_lora,
    DRAFTGLASS_PT_models_view3d,
    DRAFTGLASS_PT_models_image,
)
