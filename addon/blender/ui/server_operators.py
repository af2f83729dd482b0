"""The operators about the server, and those behind the buttons of problems. Imports bpy."""

import contextlib
from pathlib import Path
from typing import ClassVar

import bpy
from bpy.props import BoolProperty

from ...problems import SetUpPhase
from ...problems.errors import ProblemError
from ...problems.words import sentence
from ..live import switch as live
from ..preferences import PACKAGE, preferences
from ..server.process import log_file, user_folder
from ..server.setup import manager, remove_all, set_up_log

LINES_SHOWN, LINE_CHARACTERS, LOG_WIDTH = 30, 140, 900
"""Of the log's dialog: lines, characters of each, and units of Blender's interface."""
MOST_BYTES = 64 * 1024
"""Of the end of a log; it may be large."""
SMALLEST = 64


class DRAFTGLASS_OT_set_up(bpy.types.Operator):
    """Set up the server on this machine, in a Python environment of its own; asks before it downloads anything"""

    bl_idname = "draftglass.set_up"
    bl_label = "Set Up the Server"

    agreed: BoolProperty(
        name="Agreed", description="Download without asking again", default=False, options={"SKIP_SAVE"}
    )
    start_live: BoolProperty(
        name="Start Live", description="Start live once the server is set up", default=False, options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while none is under way."""
        return manager.phase in (SetUpPhase.IDLE, SetUpPhase.ASKING)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Begin; the panel tells the rest."""
        live.stop()
        manager.begin(self.agreed, self.start_live)
        if manager.problem is not None:
            self.report({"ERROR"}, sentence(manager.problem))
            return {"CANCELLED"}
        return {"FINISHED"}


class DRAFTGLASS_OT_cancel_set_up(bpy.types.Operator):
    """Cancel the setup and remove what it has made"""

    bl_idname = "draftglass.cancel_set_up"
    bl_label = "Cancel the Server's Setup"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while one is under way."""
        return manager.phase in (SetUpPhase.CHECKING, SetUpPhase.ASKING, SetUpPhase.RUNNING)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Cancel."""
        manager.cancel()
        return {"FINISHED"}


class DRAFTGLASS_OT_remove_set_up(bpy.types.Operator):
    """Remove the server's environment from the disk; models and kept pictures stay"""

    bl_idname = "draftglass.remove_set_up"
    bl_label = "Remove the Server"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Not while it is being made."""
        return manager.phase is SetUpPhase.IDLE

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first."""
        return set(context.window_manager.invoke_confirm(self, event))

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Remove it."""
        live.stop()
        try:
            remove_all()
        except OSError as error:
            self.report({"ERROR"}, f"{error.filename or user_folder()} cannot be removed: {error.strerror or error}.")
            return {"CANCELLED"}
        return {"FINISHED"}


class DRAFTGLASS_OT_open_log(bpy.types.Operator):
    """Show the end of what the server wrote into its log, or of what pip said in the last setup"""

    bl_idname = "draftglass.open_log"
    bl_label = "Open the Server's Log"

    @classmethod
    def newest(cls) -> Path | None:
        """The newer of both logs; None where there is none."""
        logs = [path for path in (log_file(), set_up_log()) if path.is_file()]
        return max(logs, key=lambda one: one.stat().st_mtime, default=None)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Show its end in a dialog: a text of the file's would be stored with it, and with it the user's name."""
        path = self.newest()
        if path is None:
            return self.execute(context)
        self.path, self.lines = str(path), last_lines(path)
        return set(context.window_manager.invoke_props_dialog(self, width=LOG_WIDTH))

    def draw(self, _context: bpy.types.Context) -> None:
        """The lines, the last one at the end."""
        column = self.layout.column(align=True)
        column.scale_y = 0.7
        for line in self.lines:
            column.label(text=line)
        self.layout.operator("wm.path_open", text="Open the Whole File", icon="TEXT").filepath = self.path

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Say where it is."""
        path = self.newest()
        self.report({"INFO"}, str(path) if path is not None else f"There is no log yet in {log_file().parent}.")
        return {"CANCELLED"} if path is None else {"FINISHED"}


def last_lines(path: Path) -> list[str]:
    """The end of a log, in lines that fit into the dialog."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MOST_BYTES))
        told = file.read().decode("utf-8", errors="replace").splitlines()
    pieces = [line[at : at + LINE_CHARACTERS] for line in told for at in range(0, max(1, len(line)), LINE_CHARACTERS)]
    return pieces[-LINES_SHOWN:]


class DRAFTGLASS_OT_open_folder(bpy.types.Operator):
    """Show the folder with the server's environment and logs"""

    bl_idname = "draftglass.open_folder"
    bl_label = "Open the Server's Folder"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Open it in the system's file browser."""
        with contextlib.suppress(RuntimeError):
            bpy.ops.wm.path_open(filepath=str(user_folder()))
        self.report({"INFO"}, str(user_folder()))
        return {"FINISHED"}


class DRAFTGLASS_OT_open_preferences(bpy.types.Operator):
    """Open the Draftglass preferences"""

    bl_idname = "draftglass.open_preferences"
    bl_label = "Server Preferences"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Open them."""
        if bpy.app.background or preferences() is None:
            return {"CANCELLED"}
        bpy.ops.preferences.addon_show(module=PACKAGE)
        return {"FINISHED"}


class DRAFTGLASS_OT_allow_online(bpy.types.Operator):
    """Allow Blender and its extensions to use the internet; the same switch as in the preferences under System"""

    bl_idname = "draftglass.allow_online"
    bl_label = "Allow Online Access"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Not where Blender was started with --offline-mode."""
        return bpy.app.online_access or not bpy.app.online_access_override

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Switch it on."""
        bpy.context.preferences.system.use_online_access = True
        manager.problem = None
        return {"FINISHED"}


class DRAFTGLASS_OT_reconnect(bpy.types.Operator):
    """Connect to the server again, now"""

    bl_idname = "draftglass.reconnect"
    bl_label = "Connect to the Server Again"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Start live anew."""
        try:
            live.start(context)
            manager.problem = None
        except ProblemError as error:
            manager.show(error)
            self.report({"ERROR"}, sentence(error.problem))
            return {"CANCELLED"}
        return {"FINISHED"}


class DRAFTGLASS_OT_restart_server(bpy.types.Operator):
    """Start the server again, now"""

    bl_idname = "draftglass.restart_server"
    bl_label = "Restart the Server"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Restart the process, or start live with a new one."""
        process = live.process()
        if process is None:
            return DRAFTGLASS_OT_reconnect.execute(self, context)
        process.restart()
        return {"FINISHED"}


class DRAFTGLASS_OT_smaller(bpy.types.Operator):
    """Halve the size of the pictures, which quarters the memory they need"""

    bl_idname = "draftglass.smaller"
    bl_label = "Halve the Size"
    bl_options: ClassVar = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Halve it."""
        settings = context.scene.draftglass
        settings.size = max(SMALLEST, settings.size // 2)
        return {"FINISHED"}


class DRAFTGLASS_OT_use_solid(bpy.types.Operator):
    """Switch the 3D View to Solid shading, which draws fast and takes little video memory"""

    bl_idname = "draftglass.use_solid"
    bl_label = "Use Solid Shading"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Switch all 3D Views of the window."""
        for area in context.screen.areas:
            if area.type == "VIEW_3D":
                area.spaces.active.shading.type = "SOLID"
        return {"FINISHED"}


class DRAFTGLASS_OT_use_own_server(bpy.types.Operator):
    """Use a server on this machine instead of the address that was given"""

    bl_idname = "draftglass.use_own_server"
    bl_label = "Use a Server on This Machine"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Forget the address."""
        chosen = preferences()
        if chosen is None:
            return {"CANCELLED"}
        live.stop()
        chosen.server_url = ""
        manager.problem = None
        return {"FINISHED"}


CLASSES = (
    DRAFTGLASS_OT_set_up,
    DRAFTGLASS_OT_cancel_set_up,
    DRAFTGLASS_OT_remove_set_up,
    DRAFTGLASS_OT_open_log,
    DRAFTGLASS_OT_open_folder,
    DRAFTGLASS_OT_open_preferences,
    DRAFTGLASS_OT_allow_online,
    DRAFTGLASS_OT_reconnect,
    DRAFTGLASS_OT_restart_server,
    DRAFTGLASS_OT_smaller,
    DRAFTGLASS_OT_use_solid,
    DRAFTGLASS_OT_use_own_server,
)
