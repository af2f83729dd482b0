"""What a person can do with models and LoRAs: choose, download, check, remove. Shells; imports bpy."""

from typing import Any, ClassVar

import bpy
from bpy.props import IntProperty, StringProperty

from ...wire import CancelPull, ListModels, PullModel, RemoveModel, VerifyModel
from ...wire.models import MAX_LORAS, ModelMessage
from ..live import models
from ..live import switch as live
from .setup_panel import draw_text

GB = 1e9


def is_offline() -> bool:
    """Whether a download would be one of this machine's, and Blender may not go online."""
    loop = live.loop()
    return loop is not None and loop.address.is_loopback and not bpy.app.online_access


class OfModel:
    """What is asked of the server about one model."""

    name: StringProperty(name="Name", description="The model's name in the server's list", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While there is a server to be asked."""
        if live.loop() is None:
            cls.poll_message_set("Live is off: start it first")
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
        models.ask_again()
        entry = models.entry_of(self.name)
        if entry is not None and entry.installed:
            models.suit(settings, entry)
        return {"FINISHED"}


class DRAFTGLASS_OT_pull_model(OfModel, bpy.types.Operator):
    """Have the server download this model"""

    bl_idname = "draftglass.pull_model"
    bl_label = "Download Model"

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask first: it may be gigabytes."""
        if is_offline():
            return self.execute(context)
        return set(context.window_manager.invoke_props_dialog(self, width=420))

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
        if is_offline():
            self.report({"ERROR"}, "Online access is off: allow it in Preferences, System, Network")
            return {"CANCELLED"}
        return self.ask(PullModel(self.name))


class DRAFTGLASS_OT_cancel_pull(OfModel, bpy.types.Operator):
    """Stop downloading this model; no partial file is kept"""

    bl_idname = "draftglass.cancel_pull"
    bl_label = "Cancel Download"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Ask for it."""
        return self.ask(CancelPull(self.name))


class DRAFTGLASS_OT_verify_model(OfModel, bpy.types.Operator):
    """Compare the model's files with their publisher's checksums"""

    bl_idname = "draftglass.verify_model"
    bl_label = "Check Model's Files"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Ask for it."""
        return self.ask(VerifyModel(self.name))


class DRAFTGLASS_OT_remove_model(OfModel, bpy.types.Operator):
    """Delete what was downloaded for this model, except files that other models share"""

    bl_idname = "draftglass.remove_model"
    bl_label = "Delete Downloaded Model"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first."""
        return set(context.window_manager.invoke_confirm(self, event))

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
    """Apply this LoRA to the pictures, in addition to the model's own"""

    bl_idname = "draftglass.add_lora"
    bl_label = "Add LoRA"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="The LoRA's name in the server's list")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add it once."""
        loras = context.scene.draftglass.models.loras
        if not self.name or self.name in loras:
            self.report({"ERROR"}, f"{self.name} is already in use" if self.name else "Which LoRA? Give its name")
            return {"CANCELLED"}
        if len(loras) >= MAX_LORAS:
            self.report({"ERROR"}, f"At most {MAX_LORAS} LoRAs can be used at once")
            return {"CANCELLED"}
        loras.add().name = self.name
        return {"FINISHED"}


class DRAFTGLASS_OT_remove_lora(bpy.types.Operator):
    """Stop using this LoRA; its file stays"""

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


CLASSES = (
    DRAFTGLASS_OT_use_model,
    DRAFTGLASS_OT_pull_model,
    DRAFTGLASS_OT_cancel_pull,
    DRAFTGLASS_OT_verify_model,
    DRAFTGLASS_OT_remove_model,
    DRAFTGLASS_OT_refresh_models,
    DRAFTGLASS_OT_add_lora,
    DRAFTGLASS_OT_remove_lora,
)
