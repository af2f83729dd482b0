"""Turns drawn surfaces into a frame's planes: ids, normals, the objects' matrices. numpy and mathutils; no gpu."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....geometry.inverse_depth import Rows, to_buffer
from ....wire.frame import OBJECT, Objects
from .drawing import Surfaces
from .instances import Instances
from .numbers import Numbers

ALIKE = 1e-6
"""How much nearer Blender's depth buffer has to be than ours for something without triangles to be there."""
MARGIN = 0.02
"""How far a hair or a stroke may reach out of its thing's box, as a part of the box."""


@dataclass(frozen=True, eq=False)
class Identified:
    """``ids``: uint16, H x W, see :class:`Numbers`; 0 is nothing, or what cannot be told.

    ``normals``: uint8, H x W x 3, or None. ``objects``: the ids of the frame, each once, with its instance's matrix to
    the world. All as in ``wire.Frame``.
    """

    ids: NDArray[np.uint16]
    normals: NDArray[np.uint8] | None
    objects: Objects


def identify(
    surfaces: Surfaces,
    buffer: NDArray[np.float32],
    view: Rows,
    projection: Rows,
    numbers: Numbers,
) -> Identified:
    """``buffer``: Blender's own depth buffer of the same picture, H x W, the top row first, as it was read."""
    instances, number, rows, normals = surfaces.instances, surfaces.number, surfaces.rows, surfaces.normals
    if instances.has_loose:
        own = np.where(number > 0, to_buffer(surfaces.distance, projection), np.float32(1.0))
        in_front = np.append(instances.in_front, False)[rows][number]
        covered = (buffer < own - ALIKE) & ~(in_front & (buffer <= 0.0))
        if covered.any():
            number, more = number.copy(), np.array([-1, *(thing.row for thing in instances.loose)], np.intp)
            number[covered] = len(rows) + _loose(instances, covered, buffer, np.array(projection) @ np.array(view))
            rows = np.append(rows, more)
            normals = None if normals is None else np.where(covered[..., None], np.uint8(0), normals)
    pixels = np.zeros(len(instances.keys) + 1, np.intp)  # the last is for what has no row
    np.add.at(pixels, rows, np.bincount(number.reshape(-1), minlength=len(rows)))
    ids = np.append(numbers.of(instances.keys, pixels[:-1]), np.uint16(0))
    seen = np.flatnonzero(ids)
    objects = np.empty(len(seen), OBJECT)
    objects["id"], objects["world"] = ids[seen], instances.matrices[seen]
    return Identified(ids[rows][number], normals, objects)


def _loose(
    instances: Instances, covered: NDArray[np.bool_], buffer: NDArray[np.float32], to_clip: NDArray[np.float64]
) -> NDArray[np.int32]:
    """1 + the index in ``instances.loose`` of what is seen at each pixel ``covered``, the smallest there; or 0."""
    height, width = buffer.shape
    y, x = np.nonzero(covered)
    z = buffer[covered].astype(np.float64)
    clip = np.stack([(x + 0.5) * 2 / width - 1, 1 - (y + 0.5) * 2 / height, z * 2 - 1, np.ones(len(z))])
    world = np.linalg.inv(to_clip) @ clip
    world /= world[3]
    found, sizes = np.zeros(len(z), np.int32), np.full(len(z), np.inf)
    for index, thing in enumerate(instances.loose):
        matrix = instances.matrices[thing.row].astype(np.float64)
        if not abs(np.linalg.det(matrix)) > 0:
            continue
        low, high = thing.box
        reach = (high - low).max() * MARGIN
        local = (np.linalg.inv(matrix) @ world)[:3]
        inside = ((local >= low[:, None] - reach) & (local <= high[:, None] + reach)).all(0) & (z > 0)
        size = float(np.linalg.norm(high - low)) * abs(np.linalg.det(matrix[:3, :3])) ** (1 / 3)
        better = inside & (size < sizes)
        found[better], sizes[better] = index + 1, size
    return found
