"""Draws a 3D View's surfaces a second time: each pixel's instance, distance, normal. Imports gpu, mathutils, numpy.

Blender's own draw leaves colours and a depth buffer, and no word of what is what; and what is displayed In Front
writes no true depth. So the same instances are drawn with a shader of our own, one draw for each mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import gpu
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ..view import View
from .instances import InstanceList, Instances
from .shader import ROW, compiled


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What was drawn, the top row first. ``instances``: what ``rows`` counts.

    ``number``: int32, H x W, the index in ``rows``; 0 where there is no surface. ``rows``: intp, the row in
    ``instances`` by number; -1 for number 0. ``distance``: float32, H x W, along the view axis in scene units; 0 where
    there is none. ``normals``: uint8, H x W x 3, see ``wire.Frame``, or None.
    """

    instances: Instances
    number: NDArray[np.int32]
    rows: NDArray[np.intp]
    distance: NDArray[np.float32]
    normals: NDArray[np.uint8] | None


class SurfaceDrawer:
    """Keeps shader, framebuffer and meshes between draws. ``patient``: see :class:`InstanceList`."""

    def __init__(self, patient: bool = False) -> None:
        self._list = InstanceList(patient)
        self._shaders: dict[bool, gpu.types.GPUShader] = {}
        self._target: tuple[tuple[int, int, bool], gpu.types.GPUFrameBuffer, list[gpu.types.GPUTexture]] | None = None

    def draw(
        self, view: View, projection: Matrix, width: int, height: int, in_front: bool, normals: bool = False
    ) -> Surfaces | None:
        """Draw what ``view`` shows, through ``projection``; None while the scene is too large to be listed anew.

        ``in_front``: whether objects displayed In Front lie over all others.
        """
        if normals not in self._shaders:
            self._shaders[normals] = compiled(normals)
        shader = self._shaders[normals]
        instances = self._list.get(view.view_layer, view.space, shader, normals)
        if instances is None:
            return None
        seen = in_sight(instances, np.array(projection @ view.view_matrix))
        camera = np.concatenate([np.array(view.view_matrix).T, np.array(projection).T]).astype(np.float32)
        frame = self._framebuffer(width, height, normals)
        matrices, block = _texture(instances.matrices[seen]), gpu.types.GPUUniformBuf(_buffer(camera))
        with frame.bind():  # type: ignore[func-returns-value]
            frame.clear(color=(0.0, 0.0, 0.0, 0.0), depth=1.0)
            shader.bind()
            shader.uniform_block("camera", block)
            shader.uniform_sampler("matrices", matrices)
            shader.uniform_bool("culling", [culls(view)])
            gpu.state.depth_test_set("LESS_EQUAL")
            gpu.state.depth_mask_set(True)
            try:
                covered = False
                for batch, first, count, over in _groups(instances, seen):
                    if over and in_front and not covered:
                        frame.clear(depth=1.0)
                        covered = True
                    shader.uniform_int("first", [first])
                    batch.draw_instanced(shader, instance_start=0, instance_count=count)
            finally:
                gpu.state.depth_test_set("NONE")
                gpu.state.depth_mask_set(False)
            found = np.empty((height, width, 2), np.float32)
            frame.read_color(0, 0, width, height, 2, 0, "FLOAT", data=gpu.types.Buffer("FLOAT", found.shape, found))
            facing = np.empty((height, width, 3), np.uint8) if normals else None
            if facing is not None:
                data = gpu.types.Buffer("UBYTE", facing.shape, facing)
                frame.read_color(0, 0, width, height, 3, 1, "UBYTE", data=data)
        found, facing = found[::-1], None if facing is None else facing[::-1]
        return Surfaces(instances, found[..., 0].astype(np.int32), np.append(-1, seen), found[..., 1], facing)

    def free(self) -> None:
        """Let go of everything; the next draw makes it again."""
        self._list.free()
        self._shaders.clear()
        self._target = None

    def _framebuffer(self, width: int, height: int, normals: bool) -> gpu.types.GPUFrameBuffer:
        wanted = width, height, normals
        if self._target is None or self._target[0] != wanted:
            formats = ["DEPTH_COMPONENT32F", "RG32F", *(["RGBA8"] if normals else [])]
            textures = [gpu.types.GPUTexture((width, height), format=name) for name in formats]
            self._target = wanted, gpu.types.GPUFrameBuffer(depth_slot=textures[0], color_slots=textures[1:]), textures
        return self._target[1]


def in_sight(instances: Instances, to_clip: NDArray[np.float64]) -> NDArray[np.intp]:
    """The rows with triangles whose ball reaches into the view. ``to_clip``: world to clip space, 4 x 4."""
    inside = np.ones(len(instances.middles), bool)
    for axis in (0, 1, 2):
        for side in (1, -1):
            plane = (to_clip[3] + side * to_clip[axis]).astype(np.float32)
            distance = instances.middles @ plane[:3] + plane[3]
            # not "at least": what is no number is left to the GPU
            inside &= ~(distance < -instances.radii * np.linalg.norm(plane[:3]))
    return np.flatnonzero(inside)


def culls(view: View) -> bool:
    """Whether the draft leaves out faces that are turned away."""
    shading = view.space.shading
    if shading.type == "RENDERED" and str(view.scene.render.engine) == "BLENDER_WORKBENCH":
        shading = view.scene.display.shading
    return shading.type == "SOLID" and shading.show_backface_culling


def _groups(instances: Instances, seen: NDArray[np.intp]) -> list[tuple[gpu.types.GPUBatch, int, int, bool]]:
    """Runs of one mesh among the rows ``seen``: batch, first, how many, whether In Front."""
    if not len(seen):
        return []
    mesh, over = instances.mesh[seen], instances.in_front[seen]
    starts = np.flatnonzero(np.append(True, (mesh[1:] != mesh[:-1]) | (over[1:] != over[:-1])))
    ends = np.append(starts[1:], len(seen))
    return [
        (instances.meshes[mesh[start]].batch, int(start), int(end - start), bool(over[start]))
        for start, end in zip(starts, ends, strict=True)
    ]


def _texture(matrices: NDArray[np.float32]) -> gpu.types.GPUTexture:
    texels = matrices[:, :3].reshape(-1, 4)
    height = max(1, -(-len(texels) // ROW))
    filled = np.zeros((height * ROW, 4), np.float32)
    filled[: len(texels)] = texels
    return gpu.types.GPUTexture((ROW, height), format="RGBA32F", data=_buffer(filled))


def _buffer(values: NDArray[np.float32]) -> gpu.types.Buffer:
    return gpu.types.Buffer("FLOAT", values.size, values.reshape(-1))
