"""From surfaces drawn to the planes of a frame: ids, normals, where each thing is. numpy and mathutils; no gpu."""

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
    row = surfaces.row.copy()
    own = np.where(row >= 0, to_buffer(surfaces.distance, projection), np.float32(1.0))
    in_front = np.append(surfaces.instances.in_front, False)[row]
    covered = (buffer < own - ALIKE) & ~(in_front & (buffer <= 0.0))
    if covered.any():
        row[covered] = _loose(surfaces.instances, covered, buffer, np.array(projection) @ np.array(view))
    normals = surfaces.normals
    if normals is not None:
        normals = np.where((row >= 0)[..., None] & ~covered[..., None], normals, np.uint8(0))
    keys = surfaces.instances.keys
    pixels = np.bincount((row + 1).reshape(-1), minlength=len(keys) + 1)[1:]
    ids = numbers.of(keys, pixels)
    seen = np.flatnonzero(ids)
    objects = np.empty(len(seen), OBJECT)
    objects["id"], objects["world"] = ids[seen], surfaces.instances.matrices[seen]
    return Identified(np.append(ids, np.uint16(0))[row], normals, objects)


def _loose(
    instances: Instances, covered: NDArray[np.bool_], buffer: NDArray[np.float32], to_clip: NDArray[np.float64]
) -> NDArray[np.int32]:
    """The row of the thing without triangles at each pixel ``covered`` by one: the smallest that reaches there."""
    height, width = buffer.shape
    y, x = np.nonzero(covered)
    z = buffer[covered].astype(np.float64)
    clip = np.stack([(x + 0.5) * 2 / width - 1, 1 - (y + 0.5) * 2 / height, z * 2 - 1, np.ones(len(z))])
    world = np.linalg.inv(to_clip) @ clip
    world /= world[3]
    rows, sizes = np.full(len(z), -1, np.int32), np.full(len(z), np.inf)
    for thing in instances.loose:
        matrix = instances.matrices[thing.row].astype(np.float64)
        if not abs(np.linalg.det(matrix)) > 0:
            continue
        low, high = thing.box
        reach = (high - low).max() * MARGIN
        local = (np.linalg.inv(matrix) @ world)[:3]
        inside = ((local >= low[:, None] - reach) & (local <= high[:, None] + reach)).all(0) & (z > 0)
        size = float(np.linalg.norm(high - low)) * abs(np.linalg.det(matrix[:3, :3])) ** (1 / 3)
        better = inside & (size < sizes)
        rows[better], sizes[better] = thing.row, size
    return rows
