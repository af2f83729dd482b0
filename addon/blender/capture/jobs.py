"""Blender's background jobs, during which nothing may be drawn or followed. Imports bpy."""

from __future__ import annotations

import bpy

ONE_AT_A_TIME = bpy.app.version < (4, 5, 0)
"""Whether all of Blender draws through one state, which a draw off the screen takes without asking who has it.

Until 4.4 the draw manager's state is a single one. A 3D View's own redraw waits for its lock, and so do the threads
that render the previews of materials, compile shaders and composite; ``GPUOffScreen.draw_view3d`` does not wait, and
crashes where it meets one of them. They are started from the main loop only, so that a look before the draw is enough.
"""
_RENDERS = ("RENDER", "OBJECT_BAKE")
_DRAWS = ("RENDER_PREVIEW", "SHADER_COMPILATION", "COMPOSITE")


def is_rendering() -> bool:
    """Whether Blender renders or bakes in the background of its window."""
    return any(map(bpy.app.is_job_running, _RENDERS))


def is_drawing() -> bool:
    """Whether a thread of Blender's draws now, so that a draw off the screen would crash it."""
    return ONE_AT_A_TIME and any(map(bpy.app.is_job_running, _DRAWS))
