"""*Render > Draftglass Animation*: the settings, and shells around ``film``. Imports bpy."""

import os
from pathlib import Path
from typing import ClassVar

import bpy
from bpy.props import StringProperty

from ...keeping import KeepError
from ...problems.errors import ProblemError
from ...problems.words import sentence
from ..capture.origin import restore_group, restore_view
from ..capture.viewports import Followed
from ..live import switch as live
from ..pictures.keep import LAST_FRAME, keep_folder
from ..ui.gallery_operators import report_missed
from .files import SETTINGS, read_settings
from .film import ENDED, Film, FilmState

BEAT_SECONDS = 0.01

newest: Film | None = None
"""The film that was begun last, for whoever asks how it stands."""


class DRAFTGLASS_OT_animation(bpy.types.Operator):
    """Paint every frame of the animation; surfaces keep their picture from one to the next. Esc cancels"""

    bl_idname = "draftglass.animation"
    bl_label = "Draftglass Animation"
    bl_options: ClassVar = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Where there is a window; python -m addon is for where there is none."""
        return not bpy.app.background

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Show the settings first."""
        answer: set[str] = context.window_manager.invoke_props_dialog(self, width=380)
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        """The film's settings; what the picture itself looks like is the sidebar's."""
        column, scene = self.layout.column(), context.scene
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("title", "view", "makes", "steady", "goes_on"):
            column.prop(scene.draftglass.film, name)
        column.prop(scene.draftglass, "settle_steps", text="Steps")
        column.label(text=f"Frames {scene.frame_start} to {scene.frame_end}, every {scene.frame_step}")
        column.operator("draftglass.animation_settings", icon="FILE_REFRESH")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Begin."""
        global newest
        try:
            newest = self._film = begin(context)
        except (ProblemError, KeepError) as error:
            self.report({"ERROR"}, sentence(error.problem) if isinstance(error, ProblemError) else str(error))
            return {"CANCELLED"}
        self._was_paused, live.paused = live.paused, True
        manager = context.window_manager
        manager.progress_begin(0, self._film.total)
        self._timer = manager.event_timer_add(BEAT_SECONDS, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """A heartbeat at each tick; nothing else reaches the scene meanwhile, as its frames come and go."""
        if event.type == "ESC" and event.value == "PRESS":
            self.cancel(context)
            self.report({"WARNING"}, self._film.sentence)
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}
        state = self._film.beat()
        if state in ENDED:
            self.cancel(context)
            self.report({"ERROR" if state is FilmState.FAILED else "INFO"}, self._film.sentence)
            return {"FINISHED"}
        context.window_manager.progress_update(self._film.done)
        context.workspace.status_text_set(f"Draftglass: {self._film.sentence} Esc cancels.")
        return {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Leave everything as it was; Blender calls this, too, when its window is closed."""
        self._film.cancel()
        live.paused = self._was_paused
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()
        context.workspace.status_text_set(None)


class DRAFTGLASS_OT_animation_settings(bpy.types.Operator):
    """Restore the settings, frame range and view that a film was made with, to make the same film again"""

    bl_idname = "draftglass.animation_settings"
    bl_label = "Settings from a Film"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default=SETTINGS, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask for the file."""
        try:
            self.filepath = str(keep_folder(context.scene)) + os.sep
        except KeepError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Restore."""
        try:
            told = read_settings(Path(bpy.path.abspath(self.filepath)))
        except KeepError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        scene = context.scene
        missed = restore_group(scene.draftglass, told["settings"])
        frames = told.get("frames")
        if isinstance(frames, list) and len(frames) == 3 and all(type(each) is int for each in frames):
            first, last, scene.frame_step = (max(-LAST_FRAME, min(LAST_FRAME, each)) for each in frames)
            scene.frame_start, scene.frame_end = max(0, first), max(0, last)
        else:
            missed.append("frames")
        viewport, view = Followed(context.area, context.region).find(), told.get("view")
        if viewport is not None and isinstance(view, dict) and "matrix" in view:
            restore_view(viewport.space, viewport.view, view)
        report_missed(self, missed)
        return {"FINISHED"}


def begin(context: bpy.types.Context) -> Film:
    """A film of what ``context`` shows, through live's server where live is on. Raises ProblemError, KeepError."""
    followed, session = Followed(context.area, context.region), live.session()
    if session is not None:
        return Film(followed, lambda: session.loop.address if session.loop is not None else None)
    address, process = live.server()
    if process is None:
        return Film(followed, lambda: address)
    try:
        return Film(followed, process.poll, process)
    except Exception:
        process.stop()
        raise


def _draw_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.operator(DRAFTGLASS_OT_animation.bl_idname, icon="RENDER_ANIMATION")


CLASSES = (DRAFTGLASS_OT_animation, DRAFTGLASS_OT_animation_settings)


def attach() -> None:
    """Add the entry to Blender's Render menu."""
    bpy.types.TOPBAR_MT_render.append(_draw_menu)


def detach() -> None:
    """Take it out again."""
    bpy.types.TOPBAR_MT_render.remove(_draw_menu)
