"""The operators: shells around ``live``. Imports bpy."""

import random
from typing import ClassVar

import bpy

from ..live import LiveError
from . import live, setup


class DRAFTGLASS_OT_start(bpy.types.Operator):
    """Follow this 3D View: show it finished in an Image Editor, on each change"""

    bl_idname = "draftglass.start"
    bl_label = "Start Live"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while live is off, and where there is a screen."""
        return not live.is_running() and not bpy.app.background

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Start, or report why not; where the server is not set up yet, begin with that."""
        if setup.is_needed():
            setup.manager.begin(agreed=False, start_live=True)
            return {"FINISHED"}
        try:
            live.start(context)
            setup.manager.problem = None
        except LiveError as error:
            setup.manager.show(error)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except Exception as error:
            setup.manager.show(error)
            raise  # Blender shows it too, with its place
        return {"FINISHED"}


class DRAFTGLASS_OT_stop(bpy.types.Operator):
    """Stop following at once; the last picture stays"""

    bl_idname = "draftglass.stop"
    bl_label = "Stop Live"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while live is on."""
        return live.is_running()

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Stop."""
        live.stop()
        return {"FINISHED"}


class DRAFTGLASS_OT_new_seed(bpy.types.Operator):
    """Try another picture of the same view"""

    bl_idname = "draftglass.new_seed"
    bl_label = "New Seed"
    bl_options: ClassVar = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Set a random seed."""
        context.scene.draftglass.seed = random.randrange(2**31)
        return {"FINISHED"}


CLASSES = (DRAFTGLASS_OT_start, DRAFTGLASS_OT_stop, DRAFTGLASS_OT_new_seed)
