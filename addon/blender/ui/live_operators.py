"""The operators of live and its settings: shells around ``live``. Imports bpy."""

import random
from typing import ClassVar

import bpy

from ...problems.errors import ProblemError
from ...problems.words import sentence
from ..capture.viewports import redraw_panels
from ..display.editors import is_seen
from ..live import switch as live
from ..properties import LARGEST_SEED
from ..server import setup


class DRAFTGLASS_OT_start(bpy.types.Operator):
    """Follow this 3D View and show it finished in an Image Editor, with every change"""

    bl_idname = "draftglass.start"
    bl_label = "Start Draftglass Live"

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
        except ProblemError as error:
            setup.manager.show(error)
            self.report({"ERROR"}, sentence(error.problem))
            return {"CANCELLED"}
        except Exception as error:
            setup.manager.show(error)
            raise  # Blender shows it too, with its place
        return {"FINISHED"}


class DRAFTGLASS_OT_stop(bpy.types.Operator):
    """Stop following at once; the last picture stays"""

    bl_idname = "draftglass.stop"
    bl_label = "Stop Draftglass Live"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while live is on."""
        return live.is_running()

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Stop."""
        live.stop()
        return {"FINISHED"}


class DRAFTGLASS_OT_pause(bpy.types.Operator):
    """Freeze the picture, or follow the view again; the server stays ready"""

    bl_idname = "draftglass.pause"
    bl_label = "Pause or Resume Draftglass Live"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while live is on."""
        return live.is_running()

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Change over."""
        live.paused = not live.paused
        redraw_panels()
        return {"FINISHED"}


class DRAFTGLASS_OT_play(bpy.types.Operator):
    """Start live; while it is on, pause or resume it"""

    bl_idname = "draftglass.play"
    bl_label = "Play or Pause Draftglass Live"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Where there is a screen."""
        return not bpy.app.background

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Do the one or the other."""
        # as functions: of an operator called within another, an error comes to the user as a traceback
        other = DRAFTGLASS_OT_pause if live.is_running() else DRAFTGLASS_OT_start
        return other.execute(self, context)


class DRAFTGLASS_OT_show_picture(bpy.types.Operator):
    """Open an Image Editor for the picture beside this 3D View, as in a workspace that has none"""

    bl_idname = "draftglass.show_picture"
    bl_label = "Show the Picture Here"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While live is on and its picture is not on the screen."""
        return live.is_running() and not is_seen()

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Have it opened."""
        session = live.session()
        assert session is not None, "poll has looked"
        session.show_picture()
        return {"FINISHED"}


class DRAFTGLASS_OT_new_seed(bpy.types.Operator):
    """Roll the dice: another picture of the same view"""

    bl_idname = "draftglass.new_seed"
    bl_label = "New Seed"
    bl_options: ClassVar = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Not while the seed is locked."""
        if context.scene is not None and context.scene.draftglass.seed_locked:
            cls.poll_message_set("The seed is locked")
            return False
        return context.scene is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Set a random seed."""
        context.scene.draftglass.seed = random.randrange(LARGEST_SEED + 1)
        return {"FINISHED"}


CLASSES = (
    DRAFTGLASS_OT_start,
    DRAFTGLASS_OT_stop,
    DRAFTGLASS_OT_pause,
    DRAFTGLASS_OT_play,
    DRAFTGLASS_OT_show_picture,
    DRAFTGLASS_OT_new_seed,
)
