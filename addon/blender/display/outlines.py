"""Finds the selection's outlines, so that a picture does not cover Blender's own. Imports bpy and gpu.

Blender draws them before any handler of an add-on's, into the very buffer that handlers draw to. So the picture is not
drawn where they run: along the edge of what is selected, which is drawn once more into a mask.
"""

from __future__ import annotations

import bpy
import gpu

from ..capture.surfaces import depsgraph_edits
from ..capture.surfaces.meshes import mesh_of

MOST = 64
"""Objects that outlines are left free of; of a larger selection the first ones."""
WIDTH = 2.0
"""Pixels at either side of an edge, at a line width of 1."""
_FACES = {"MESH", "CURVE", "SURFACE", "META", "FONT"}


class Outlines:
    """Keeps the mask, and a batch for each object, until its geometry is evaluated anew."""

    def __init__(self) -> None:
        self._target: tuple[tuple[int, int], gpu.types.GPUFrameBuffer, gpu.types.GPUTexture] | None = None
        self._batches: dict[int, tuple[int, gpu.types.GPUBatch | None]] = {}  # by session_uid: edit, and itself

    def mask(self, context: bpy.types.Context) -> gpu.types.GPUTexture | None:
        """As large as the region, 1 where something selected is; None where nothing is selected that has faces."""
        chosen = [one for one in context.selected_objects if one.type in _FACES and one.mode == "OBJECT"][:MOST]
        space = context.space_data
        if not chosen or not (space.overlay.show_overlays and space.overlay.show_outline_selected):
            return None
        depsgraph_edits.listen()
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        depsgraph, view = context.view_layer.depsgraph, context.region_data
        frame, texture = self._framebuffer(context.region.width, context.region.height)
        with frame.bind(), gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():  # type: ignore[func-returns-value]
            frame.clear(color=(0.0, 0.0, 0.0, 0.0))
            gpu.matrix.load_projection_matrix(view.window_matrix)
            for one in chosen:
                batch = self._batch(one, depsgraph, shader)
                if batch is not None:
                    gpu.matrix.load_matrix(view.view_matrix @ one.evaluated_get(depsgraph).matrix_world)
                    shader.bind()
                    shader.uniform_float("color", (1.0, 1.0, 1.0, 1.0))
                    batch.draw(shader)
        return texture

    def free(self) -> None:
        """Let go of all, and stop listening to the depsgraph."""
        if self._batches:
            depsgraph_edits.unlisten()
        self._target = None
        self._batches.clear()

    def _framebuffer(self, width: int, height: int) -> tuple[gpu.types.GPUFrameBuffer, gpu.types.GPUTexture]:
        if self._target is None or self._target[0] != (width, height):
            texture = gpu.types.GPUTexture((width, height), format="RGBA8")
            self._target = (width, height), gpu.types.GPUFrameBuffer(color_slots=[texture]), texture
        return self._target[1:]

    def _batch(
        self, thing: bpy.types.Object, depsgraph: bpy.types.Depsgraph, shader: gpu.types.GPUShader
    ) -> gpu.types.GPUBatch | None:
        number = thing.session_uid
        edit, batch = self._batches.get(number, (-1, None))
        stale = edit < 0 or depsgraph_edits.everything_since(edit) or number in depsgraph_edits.geometry_since(edit)
        if stale:
            batch = _faces(thing.evaluated_get(depsgraph), shader)
            self._batches[number] = depsgraph_edits.edits(), batch
        return batch


def _faces(evaluated: bpy.types.Object, shader: gpu.types.GPUShader) -> gpu.types.GPUBatch | None:
    try:
        mesh = evaluated.to_mesh()
    except RuntimeError:  # a curve without any face
        return None
    found = mesh_of(mesh, shader, normals=False)
    evaluated.to_mesh_clear()
    return found.batch if found is not None else None
