"""Lays a picture on meshes in UV space, on the GPU. Imports bpy, gpu, mathutils, numpy.

What hides a surface from the view is known exactly: all that the 3D View shows is drawn from the picture's own view,
and a texel takes a colour only where that drawing shows its own object at its own distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix
from numpy.typing import NDArray

from ...geometry.surfaces import beside_edges
from ..capture.surfaces.drawing import SurfaceDrawer
from ..capture.surfaces.in_front import shows_in_front
from ..capture.view import View
from .meshes import Triangles
from .shaders import colouring, counting, projecting

FINER = 2
"""Pixels that visibility is tested with, to one of the picture, along a line: silhouettes are so much sharper."""
MOST = 4096
COUNTED = 256
"""Side of the drawing in which overlaps of a UV map are counted, in texels."""
OVERLAP = 0.002
"""Share of a UV map that may be covered twice: rims of charts meet in a texel."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a view shows. ``number``: int32, H x W, see ``surfaces.drawing.Surfaces``; ``distance``: float32, H x W.

    The top row first. ``numbers``: by ``session_uid`` of an object that is shown as itself, its number.
    ``instanced``: of those that are shown by an instancer.
    """

    view: View
    number: NDArray[np.int32]
    distance: NDArray[np.float32]
    numbers: dict[int, int]
    instanced: frozenset[int]

    @cached_property
    def shown(self) -> frozenset[int]:
        """The numbers that any pixel has."""
        return frozenset(np.unique(self.number).tolist())

    @cached_property
    def pixels(self) -> dict[int, int]:
        """By ``session_uid`` of each object that is shown as itself: some of the pixels that show it, counted."""
        some = self.number[:: 2 if self.number.size > 2**20 else 1]
        counts = np.bincount(some.reshape(-1))
        return {uid: int(counts[one]) for uid, one in self.numbers.items() if one < len(counts) and counts[one]}


@dataclass(frozen=True, eq=False)
class Laid:
    """What a picture gives to the texels of one image, the bottom row first, uint8, S x S x 4 each; 255 is 1.

    ``colours``: sRGB, and the cosine of the angle that a texel is seen at, 0 where it is not. ``quality``: how far from
    depth edges; twice how far from the picture's border, of its side; pixels to a texel, in the direction in which they
    are fewest; and 0 where no surface is, 64 where that is not seen, else 128 to 255, as its pixels count.
    """

    colours: NDArray[np.uint8]
    quality: NDArray[np.uint8]


class TooLarge(Exception):
    """The scene cannot be listed anew without keeping Blender waiting."""


class Projector:
    """Keeps shaders and targets between pictures. Needs a GPU context: see ``capture.offscreen.ensure_gpu``.

    ``patient``: whether any scene is listed, however long that takes; else TooLarge may be raised.
    """

    def __init__(self, patient: bool = True) -> None:
        self._surfaces = SurfaceDrawer(patient)
        self._shader: gpu.types.GPUShader | None = None
        self._counter: gpu.types.GPUShader | None = None
        self._counted: gpu.types.GPUOffScreen | None = None
        self._painter: gpu.types.GPUShader | None = None
        self._targets: dict[int, gpu.types.GPUFrameBuffer] = {}
        self._held: list[Any] = []  # a framebuffer does not keep its textures
        self._picture: Any = None
        self._seen: Seen | None = None

    def see(self, view: View, width: int, height: int) -> Seen:
        """Draw what ``view`` shows, for pictures of ``width`` x ``height`` pixels."""
        finer = FINER if max(width, height) * FINER <= MOST else 1
        drawn = self._surfaces.draw(
            view, view.projection_matrix, width * finer, height * finer, shows_in_front(view), normals=False
        )
        if drawn is None:
            raise TooLarge
        keys = drawn.instances.keys
        numbers: dict[int, int] = {}
        instanced = set()
        for number, row in enumerate(drawn.rows.tolist()):
            if row < 0:
                continue
            if keys[row, 1] == 0:
                numbers[int(keys[row, 0])] = number
            else:
                instanced.add(int(keys[row, 0]))
        return Seen(view, drawn.number, drawn.distance, numbers, frozenset(instanced))

    def take(self, seen: Seen, picture: NDArray[np.uint8], band: float, gate: NDArray[np.uint8] | None = None) -> None:
        """Get ``picture`` (uint8, H x W x 3, sRGB, top row first) of what was ``seen`` ready to be laid on surfaces.

        ``gate``: uint8, H x W, how much of each pixel counts; None: all.
        """
        height, width = picture.shape[:2]
        step = seen.number.shape[0] // height
        distance = seen.distance[step // 2 :: step, step // 2 :: step]
        inverse = np.where(distance > 0, 1 / np.maximum(distance, 1e-9), 0).astype(np.float32)
        clear = away_from(beside_edges(inverse), band)
        surfaces = np.empty((*seen.number.shape, 2), np.float32)
        surfaces[::-1, :, 0], surfaces[::-1, :, 1] = seen.number, seen.distance
        colours = np.ones((height, width, 4), np.float32)
        colours[..., :3] = picture * np.float32(1 / 255)
        if gate is not None:
            colours[..., 3] = gate * np.float32(1 / 255)
        self._seen = seen
        self._picture = (
            texture_of(colours, "RGBA16F"),
            texture_of(surfaces[::-1], "RG32F"),
            texture_of(clear[..., None], "R32F"),
        )

    def lay(self, mesh: Triangles, number: int, size: int) -> Laid:
        """The picture taken last, on ``mesh``, which is ``number`` in what was seen, in an image of ``size`` texels."""
        assert self._seen is not None, "take() comes first"
        if self._shader is None:
            self._shader = projecting()
        shader, target, view = self._shader, self._target(size), self._seen.view
        batch = batch_in(shader, mesh, np.array(view.view_matrix, np.float64))
        found = np.empty((2, size, size, 4), np.uint8)
        with target.bind():  # type: ignore[func-returns-value]
            target.clear(color=(0.0, 0.0, 0.0, 0.0))
            gpu.state.blend_set("NONE")
            gpu.state.depth_test_set("NONE")
            gpu.state.face_culling_set("NONE")
            shader.bind()
            for name, texture in zip(("picture", "surfaces", "clear"), self._picture, strict=True):
                shader.uniform_sampler(name, texture)
            shader.uniform_float("projection", Matrix(view.projection_matrix))
            shader.uniform_int("number", [number])
            batch.draw(shader)
            for slot, into in enumerate(found):
                buffer = gpu.types.Buffer("UBYTE", into.shape, into)
                target.read_color(0, 0, size, size, 4, slot, "UBYTE", data=buffer)
        return Laid(found[0], found[1])

    def overlaps(self, uv: NDArray[np.float32]) -> bool:
        """Whether triangles of a UV map (float32, 3 T x 2) lie over each other, outside the image, or nowhere."""
        if not len(uv):
            return False
        if not np.isfinite(uv).all() or uv.min() < -1e-4 or uv.max() > 1 + 1e-4:
            return True
        if self._counter is None:
            self._counter = counting()
        if self._counted is None:
            self._counted = gpu.types.GPUOffScreen(COUNTED, COUNTED, format="RGBA8")
        batch = batch_for_shader(self._counter, "TRIS", {"uv": uv})  # type: ignore[dict-item]
        counted = np.empty((COUNTED, COUNTED), np.uint8)
        with self._counted.bind():
            frame = gpu.state.active_framebuffer_get()
            frame.clear(color=(0.0, 0.0, 0.0, 0.0))
            gpu.state.blend_set("ADDITIVE")
            self._counter.bind()
            batch.draw(self._counter)
            gpu.state.blend_set("NONE")
            buffer = gpu.types.Buffer("UBYTE", counted.shape, counted)
            frame.read_color(0, 0, COUNTED, COUNTED, 1, 0, "UBYTE", data=buffer)
        covered, twice = np.count_nonzero(counted > 32), np.count_nonzero(counted > 96)
        corners = uv.reshape(-1, 3, 2)
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        area = float(np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum()) / 2
        return area < 1e-6 or twice > max(OVERLAP * covered, 4)

    def coloured(self, mesh: Triangles, paint: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
        """``mesh`` in UV space with ``paint`` (float32, 3 T x 4, 0 to 1) on its corners: uint8, S x S x 4."""
        if self._painter is None:
            self._painter = colouring()
        inputs: dict[str, Any] = {"uv": mesh.uv, "paint": paint}
        batch, target = batch_for_shader(self._painter, "TRIS", inputs), self._target(size)
        found = np.empty((size, size, 4), np.uint8)
        with target.bind():  # type: ignore[func-returns-value]
            target.clear(color=(0.0, 0.0, 0.0, 0.0))
            gpu.state.blend_set("NONE")
            self._painter.bind()
            batch.draw(self._painter)
            buffer = gpu.types.Buffer("UBYTE", found.shape, found)
            target.read_color(0, 0, size, size, 4, 0, "UBYTE", data=buffer)
        return found

    def free(self) -> None:
        """Let go of everything; the next picture makes it again."""
        self._surfaces.free()
        if self._counted is not None:
            self._counted.free()
            self._counted = None
        self._shader = self._counter = self._painter = self._picture = self._seen = None
        self._targets.clear()
        self._held.clear()

    def _target(self, size: int) -> gpu.types.GPUFrameBuffer:
        if size not in self._targets:
            textures = [gpu.types.GPUTexture((size, size), format="RGBA8") for _ in range(2)]
            self._held.append(textures)
            self._targets[size] = gpu.types.GPUFrameBuffer(color_slots=textures)
        return self._targets[size]


def batch_in(shader: gpu.types.GPUShader, mesh: Triangles, matrix: NDArray[np.float64]) -> gpu.types.GPUBatch:
    """``mesh`` in the frame that ``matrix`` leads to from the world: one near it, which float32 holds well enough."""
    places = mesh.places @ matrix[:3, :3].T + matrix[:3, 3]
    edges = places.reshape(-1, 3, 3)
    normals = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-30)[:, None]
    inputs: dict[str, Any] = {
        "seen": places.astype(np.float32),
        "normal": normals.repeat(3, 0).astype(np.float32),
        "uv": mesh.uv,
    }
    return batch_for_shader(shader, "TRIS", inputs)


def away_from(beside: NDArray[np.bool_], band: float) -> NDArray[np.float32]:
    """How far each pixel is from those ``beside`` a depth edge: 0 there, growing to 1 at ``band`` pixels."""
    result = np.ones(beside.shape, np.float32)
    steps = int(np.ceil(band))
    near = beside
    for step in range(steps):
        result[near & (result == 1)] = step / max(band, 1e-9)
        padded = np.pad(near, 1)
        tall = padded[:-2] | padded[1:-1] | padded[2:]
        near = tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]
    return result


def texture_of(rows: NDArray[np.float32], format: str) -> gpu.types.GPUTexture:
    """From the top row first to a texture, whose bottom row is first."""
    values = np.ascontiguousarray(rows[::-1], np.float32)
    buffer = gpu.types.Buffer("FLOAT", values.size, values.reshape(-1))
    return gpu.types.GPUTexture((rows.shape[1], rows.shape[0]), format=format, data=buffer)


def uid(thing: bpy.types.Object) -> int:
    """What tells ``thing`` from all others in this session."""
    return int(thing.session_uid)
