"""Draws what a 3D View shows as triangles once more: which instance, how far, at each pixel. Imports bpy, gpu, numpy.

Blender's own draw leaves colours and a depth buffer, and no word of what is what; and what is displayed In Front
writes no true depth. So the same instances are drawn with a shader of our own, one draw for each mesh.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import gpu
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from .instances import Group, InstanceList, Instances
from .view import View

ROW = 3072
"""Width of the texture that holds the matrices: three texels for each."""
_TYPES = "struct Camera { mat4 view; mat4 projection; };"
_VERTEX = """
void main()
{
  int number = first + gl_InstanceID;
  ivec2 at = ivec2((number * 3) % ROW, (number * 3) / ROW);
  vec4 local = vec4(pos, 1.0);
  vec4 world = vec4(dot(texelFetch(matrices, at, 0), local),
                    dot(texelFetch(matrices, at + ivec2(1, 0), 0), local),
                    dot(texelFetch(matrices, at + ivec2(2, 0), 0), local), 1.0);
  vec4 seen = camera.view * world;
  instance = number + 1;
  along = -seen.z;
  gl_Position = camera.projection * seen;
}
"""
_FRAGMENT = """
void main()
{
  found = vec2(float(instance), along);
}
"""


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What was drawn, the top row first. ``instances``: what the rows of ``number`` are.

    ``number``: int32, H x W, 1 + the index in ``instances``; 0 where there is no surface. ``distance``: float32,
    H x W, along the view axis in scene units; 0 where there is none.
    """

    instances: Instances
    number: NDArray[np.int32]
    distance: NDArray[np.float32]


class SurfaceDrawer:
    """Keeps shader, framebuffer, meshes and matrices between draws."""

    def __init__(self) -> None:
        self._list = InstanceList()
        self._shader: gpu.types.GPUShader | None = None
        self._target: tuple[tuple[int, int], gpu.types.GPUFrameBuffer, list[gpu.types.GPUTexture]] | None = None
        self._matrices: tuple[Instances, gpu.types.GPUTexture] | None = None

    def draw(self, view: View, projection: Matrix, width: int, height: int, in_front: bool) -> Surfaces:
        """Draw what ``view`` shows, through ``projection``.

        ``in_front``: whether objects displayed In Front lie over all others.
        """
        if self._shader is None:
            self._shader = _shader()
        shader = self._shader
        instances = self._list.get(view.view_layer, view.space, shader)
        frame = self._framebuffer(width, height)
        camera = np.zeros((8, 4), np.float32)
        camera[:4], camera[4:8] = np.array(view.view_matrix).T, np.array(projection).T
        with frame.bind():  # type: ignore[func-returns-value]
            frame.clear(color=(0.0, 0.0, 0.0, 0.0), depth=1.0)
            shader.bind()
            block = gpu.types.GPUUniformBuf(_buffer(camera))  # has to live until all is drawn
            shader.uniform_block("camera", block)
            shader.uniform_sampler("matrices", self._texture(instances))
            gpu.state.depth_test_set("LESS_EQUAL")
            gpu.state.depth_mask_set(True)
            try:
                if in_front:
                    _draw(shader, (group for group in instances.groups if not group.in_front))
                    frame.clear(depth=1.0)
                    _draw(shader, (group for group in instances.groups if group.in_front))
                else:
                    _draw(shader, instances.groups)
            finally:
                gpu.state.depth_test_set("NONE")
                gpu.state.depth_mask_set(False)
            found = np.empty((height, width, 2), np.float32)
            frame.read_color(0, 0, width, height, 2, 0, "FLOAT", data=gpu.types.Buffer("FLOAT", found.shape, found))
        found = found[::-1]
        return Surfaces(instances, found[..., 0].astype(np.int32), found[..., 1])

    def free(self) -> None:
        """Let go of everything; the next draw makes it again."""
        self._list.free()
        self._shader = self._target = self._matrices = None

    def _framebuffer(self, width: int, height: int) -> gpu.types.GPUFrameBuffer:
        if self._target is None or self._target[0] != (width, height):
            depth = gpu.types.GPUTexture((width, height), format="DEPTH_COMPONENT32F")
            found = gpu.types.GPUTexture((width, height), format="RG32F")
            frame = gpu.types.GPUFrameBuffer(depth_slot=depth, color_slots=[found])
            self._target = (width, height), frame, [depth, found]
        return self._target[1]

    def _texture(self, instances: Instances) -> gpu.types.GPUTexture:
        if self._matrices is None or self._matrices[0] is not instances:
            texels = instances.matrices[:, :3].reshape(-1, 4)
            height = max(1, -(-len(texels) // ROW))
            filled = np.zeros((height * ROW, 4), np.float32)
            filled[: len(texels)] = texels
            self._matrices = instances, gpu.types.GPUTexture((ROW, height), format="RGBA32F", data=_buffer(filled))
        return self._matrices[1]


def _draw(shader: gpu.types.GPUShader, groups: Iterable[Group]) -> None:
    for group in groups:
        shader.uniform_int("first", [group.first])
        group.batch.draw_instanced(shader, instance_start=0, instance_count=group.count)


def _shader() -> gpu.types.GPUShader:
    info, between = gpu.types.GPUShaderCreateInfo(), gpu.types.GPUStageInterfaceInfo("surface_between")
    info.define("ROW", str(ROW))
    info.typedef_source(_TYPES)
    info.uniform_buf(0, "Camera", "camera")
    info.push_constant("INT", "first")
    info.sampler(0, "FLOAT_2D", "matrices")
    info.vertex_in(0, "VEC3", "pos")
    between.smooth("FLOAT", "along")
    between.flat("INT", "instance")
    info.vertex_out(between)
    info.fragment_out(0, "VEC2", "found")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(info)


def _buffer(values: NDArray[np.float32]) -> gpu.types.Buffer:
    return gpu.types.Buffer("FLOAT", values.size, values.reshape(-1))
