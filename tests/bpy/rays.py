"""What rays find, to hold captures to. Imports bpy inside functions only."""

from __future__ import annotations

from typing import Any

import numpy as np


def cast(scene: Any, draft: Any, step: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One ray through the middle of every ``step``-th pixel of every ``step``-th row of ``draft``.

    Whether it hits: bool, H x W. How far along the view axis from the draft's eye, in scene units: H x W. The matrix to
    the world of what it hits: H x W x 4 x 4. The normal there in the world: H x W x 3.
    """
    import bpy
    from mathutils import Vector

    depsgraph = bpy.context.evaluated_depsgraph_get()
    height, width = draft.image.shape[:2]
    view = np.array(draft.view)
    to_world = np.linalg.inv(np.array(draft.projection) @ view)
    shape = len(range(0, height, step)), len(range(0, width, step))
    hits, distances = np.zeros(shape, bool), np.zeros(shape)
    matrices, normals = np.zeros((*shape, 4, 4)), np.zeros((*shape, 3))
    for i, row in enumerate(range(0, height, step)):
        for j, column in enumerate(range(0, width, step)):
            ends = []
            for z in (-1, 1):
                point = to_world @ ((column + 0.5) * 2 / width - 1, 1 - (row + 0.5) * 2 / height, z, 1)
                ends.append(Vector(point[:3] / point[3]))
            way = ends[1] - ends[0]
            hit, place, normal, _, _, matrix = scene.ray_cast(depsgraph, ends[0], way, distance=way.length)
            if hit:
                hits[i, j], matrices[i, j], normals[i, j] = True, np.array(matrix), normal
                distances[i, j] = -(view @ (*place, 1.0))[2]
    return hits, distances, matrices, normals


def inner(labels: np.ndarray) -> np.ndarray:
    """Where the eight neighbours have the same label: off the edges by one pixel."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(labels, 1, mode="edge"), (3, 3))
    return (around == labels[..., None, None]).all((2, 3))


def matrices_of(draft: Any) -> np.ndarray:
    """The matrix to the world at each pixel by the draft's ids and objects: H x W x 4 x 4, zeros for id 0."""
    table = np.zeros((65536, 4, 4), np.float32)
    table[draft.objects["id"]] = draft.objects["world"]
    return table[draft.ids]
