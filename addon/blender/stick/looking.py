"""Draws what is stuck to the scene as a view sees it, and how well each surface was seen. Imports bpy, gpu, numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bpy
import gpu
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from .materials import NOTE, is_stuck
from .projection import Seen, batch_in, texture_of
from .shaders import looking, pointing
from .unwrap import Place


@dataclass(frozen=True, eq=False)
class Look:
    """What a view shows of the textures, the top row first, uint8, H x W.

    ``colours``: x 3, sRGB. ``target``: bool, whether pictures are laid on what is there; ``stuck``: bool, whether one
    has been. ``cosine``: at which a picture saw it, 0 for none; ``clear``: how far from depth edges. ``well``: how well
    it was seen, ``now``: how well this view sees it, both the cosine times pixels to a texel. 255 is 1.
    """

    colours: NDArray[np.uint8]
    target: NDArray[np.bool_]
    stuck: NDArray[np.bool_]
    cosine: NDArray[np.uint8]
    clear: NDArray[np.uint8]
    well: NDArray[np.uint8]
    now: NDArray[np.uint8]


@contextmanager
def _drawing(frame: gpu.types.GPUFrameBuffer) -> Iterator[None]:
    """Draw into ``frame``, emptied, what is nearest; Blender's own drawing goes on without depth."""
    with frame.bind():  # type: ignore[func-returns-value]
        frame.clear(color=(0.0, 0.0, 0.0, 0.0), depth=1.0)
        gpu.state.blend_set("NONE")
        gpu.state.depth_test_set("LESS_EQUAL")
        gpu.state.depth_mask_set(True)
        try:
            yield
        finally:
            gpu.state.depth_test_set("NONE")
            gpu.state.depth_mask_set(False)


class Looker:
    """Keeps the shader, meshes and targets between looks at ``places``."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._batches: list[gpu.types.GPUBatch | None] = []
        self._images: dict[int, tuple[gpu.types.GPUTexture, gpu.types.GPUTexture]] = {}
        self._frame = np.eye(4)
        self._shader: gpu.types.GPUShader | None = None
        self._pointer: gpu.types.GPUShader | None = None
        self._target: tuple[tuple[int, int], gpu.types.GPUFrameBuffer, list[Any]] | None = None
        self._blank: gpu.types.GPUTexture | None = None

    def look(self, seen: Seen, width: int, height: int) -> Look:
        """Look by what was ``seen``, in ``width`` x ``height`` pixels."""
        shader = self._ready()
        to_clip, eye = _camera(seen, self._frame)
        frame = self._framebuffer(width, height)
        surfaces = texture_of(np.stack([seen.number.astype(np.float32), seen.distance], -1), "RG32F")
        found = np.empty((2, height, width, 4), np.uint8)
        with _drawing(frame):
            shader.bind()
            shader.uniform_sampler("surfaces", surfaces)
            shader.uniform_float("to_clip", to_clip)
            shader.uniform_float("eye", eye)
            shader.uniform_float("size", (float(width), float(height)))
            for place, batch in zip(self._places, self._batches, strict=True):
                number = seen.numbers.get(int(place.thing.session_uid))
                if number is None or batch is None:
                    continue
                image, states = self._textures(place.thing)
                shader.uniform_sampler("image", image)
                shader.uniform_sampler("states", states)
                shader.uniform_int("number", [number])
                shader.uniform_bool("stuck", [is_stuck(place.thing)])
                batch.draw(shader)
            for slot, into in enumerate(found):
                buffer = gpu.types.Buffer("UBYTE", into.shape, into)
                frame.read_color(0, 0, width, height, 4, slot, "UBYTE", data=buffer)
        colour, quality = found[0, ::-1], found[1, ::-1]
        drawn = colour[..., 3]
        return Look(colour[..., :3], drawn > 64, drawn > 192, *(quality[..., one] for one in range(4)))

    def points(self, seen: Seen, width: int, height: int) -> NDArray[np.float32]:
        """Where on which map each pixel is, float32, H x W x 3, the bottom row first.

        u and v, and the number of the place, from 1; 0 where there is none.
        """
        if self._pointer is None:
            self._pointer = pointing()
        self._ready()
        shader, to_clip = self._pointer, _camera(seen, self._frame)[0]
        formats = ("DEPTH_COMPONENT32F", "RGBA32F")
        depth, colour = (gpu.types.GPUTexture((width, height), format=name) for name in formats)
        frame = gpu.types.GPUFrameBuffer(depth_slot=depth, color_slots=[colour])
        surfaces = texture_of(np.stack([seen.number.astype(np.float32), seen.distance], -1), "RG32F")
        found = np.empty((height, width, 4), np.float32)
        with _drawing(frame):
            shader.bind()
            shader.uniform_sampler("surfaces", surfaces)
            shader.uniform_float("to_clip", to_clip)
            shader.uniform_float("size", (float(width), float(height)))
            for index, (place, batch) in enumerate(zip(self._places, self._batches, strict=True)):
                number = seen.numbers.get(int(place.thing.session_uid))
                if number is None or batch is None or number not in seen.shown:
                    continue
                shader.uniform_int("number", [number])
                shader.uniform_int("index", [index + 1])
                batch.draw(shader)
            buffer = gpu.types.Buffer("FLOAT", found.shape, found)
            frame.read_color(0, 0, width, height, 4, 0, "FLOAT", data=buffer)
        return found[..., :3]

    def free(self) -> None:
        """Let go of everything."""
        self._pointer = None
        self._shader = self._target = self._blank = None
        self._batches.clear()
        self._images.clear()

    def _ready(self) -> gpu.types.GPUShader:
        """The shader; with all meshes, round the middle of the first."""
        if self._shader is not None:
            return self._shader
        shader = self._shader = looking()
        self._blank = texture_of(np.zeros((1, 1, 4), np.float32), "RGBA8")
        full = [place.mesh.places for place in self._places if len(place.mesh.places)]
        self._frame[:3, 3] = -full[0].mean(0) if full else 0.0
        self._batches = [
            batch_in(shader, place.mesh, self._frame) if len(place.mesh.places) else None for place in self._places
        ]
        return shader

    def _textures(self, thing: bpy.types.Object) -> tuple[gpu.types.GPUTexture, gpu.types.GPUTexture]:
        note = thing.get(NOTE)
        assert self._blank is not None
        if note is None or note.get("image") is None or note.get("seen") is None:
            return self._blank, self._blank
        number = int(note["image"].session_uid)
        if number not in self._images:  # each time that it is kept it is another Image
            self._images[number] = gpu.texture.from_image(note["image"]), gpu.texture.from_image(note["seen"])
        return self._images[number]

    def _framebuffer(self, width: int, height: int) -> gpu.types.GPUFrameBuffer:
        if self._target is None or self._target[0] != (width, height):
            formats = ["DEPTH_COMPONENT32F", "RGBA8", "RGBA8"]
            textures = [gpu.types.GPUTexture((width, height), format=name) for name in formats]
            frame = gpu.types.GPUFrameBuffer(depth_slot=textures[0], color_slots=textures[1:])
            self._target = (width, height), frame, textures
        return self._target[1]


def _camera(seen: Seen, frame: NDArray[np.float64]) -> tuple[Matrix, tuple[float, ...]]:
    """From ``frame`` to clip space, and ``eye`` of the shader there."""
    view, projection = np.array(seen.view.view_matrix, np.float64), np.array(seen.view.projection_matrix, np.float64)
    to_view = view @ np.linalg.inv(frame)
    back = np.linalg.inv(to_view)
    if abs(projection[3, 2]) < 0.5:
        return Matrix(projection @ to_view), (*to_view[2, :3].tolist(), 0.0)
    return Matrix(projection @ to_view), (*back[:3, 3].tolist(), 1.0)
