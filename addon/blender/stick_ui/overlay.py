"""Coverage over the 3D Views: what is empty, seen at a grazing angle, or stretched. Imports bpy, gpu, numpy."""

from __future__ import annotations

from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..capture.surfaces import depsgraph_edits
from ..stick.materials import NOTE, is_stuck
from ..stick.meshes import triangles
from ..stick.shaders import covering

_handle: Any = None
_shader: gpu.types.GPUShader | None = None
_drawn: dict[str, tuple[tuple[int, int], gpu.types.GPUBatch]] = {}
"""By the name of an object: the Image and the edit that its batch is of, and the batch, in the object's own space."""


def is_shown() -> bool:
    """Whether coverage is shown."""
    return _handle is not None


def switch() -> None:
    """Show it, or hide it."""
    global _handle
    if _handle is not None:
        hide()
        return
    _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")
    _redraw()


def hide() -> None:
    """Hide it, and let go of what it drew with."""
    global _handle, _shader
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None
        _redraw()
    _shader = None
    _drawn.clear()


def draw_over(context: bpy.types.Context, view: Any) -> None:
    """Draw it into what is bound; ``view``: world to clip space."""
    global _shader
    if _shader is None:
        _shader = covering()
    depsgraph_edits.listen()
    depsgraph = context.evaluated_depsgraph_get()
    _shader.bind()
    _shader.uniform_float("to_clip", view)
    gpu.state.blend_set("ALPHA")
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.depth_mask_set(False)
    try:
        for thing in context.view_layer.objects:
            if not is_stuck(thing) or not thing.visible_get(view_layer=context.view_layer):
                continue
            batch = _batch(thing, depsgraph, _shader)
            states = thing[NOTE].get("seen")
            if batch is not None and states is not None and states.size[0]:
                _shader.uniform_sampler("states", gpu.texture.from_image(states))
                batch.draw(_shader)
    finally:
        gpu.state.blend_set("NONE")
        gpu.state.depth_test_set("NONE")


def _draw() -> None:
    draw_over(bpy.context, gpu.matrix.get_projection_matrix() @ gpu.matrix.get_model_view_matrix())


def _batch(
    thing: bpy.types.Object, depsgraph: bpy.types.Depsgraph, shader: gpu.types.GPUShader
) -> gpu.types.GPUBatch | None:
    key = int(thing.session_uid), depsgraph_edits.edits()
    known = _drawn.get(thing.name)
    if known is None or known[0] != key:
        mesh = triangles(thing, depsgraph, thing[NOTE]["layer"])
        if mesh is None or not len(mesh.places):
            return None
        inputs: dict[str, Any] = {"place": mesh.places.astype(np.float32), "uv": mesh.uv}
        known = key, batch_for_shader(shader, "TRIS", inputs)
        _drawn[thing.name] = known
    return known[1]


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
