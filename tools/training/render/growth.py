"""What grows in finished pictures: leaves, twigs, blades of grass, each many small faces in one mesh. bpy and numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import bpy
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tools.training.render.geometry import Blockout

LEAVES, TWIGS, BLADES = 1800, 60, 14_000


def scatter(make: Blockout, kind: str, corners: NDArray[Any], x: float, y: float, z: float) -> bpy.types.Object:
    """Add an object of ``kind`` of faces with ``corners`` (N, K, 3) about a place."""
    mesh = bpy.data.meshes.new(kind)
    count, sides = corners.shape[:2]
    faces = np.arange(count * sides).reshape(count, sides).tolist()
    mesh.from_pydata(corners.reshape(-1, 3).tolist(), [], faces)
    solid = bpy.data.objects.new(kind, mesh)
    solid["kind"] = kind
    solid.location = (x, y, z)
    make.scene.collection.objects.link(solid)
    return solid


def leaf_cloud(make: Blockout, x: float, y: float, z: float, r: float, high: float, pointed: bool) -> bpy.types.Object:
    """Leaves that fill a ball of radius ``r`` about a place, or a cone of that height that stands on it."""
    rng = np.random.default_rng(make.rng.getrandbits(32))
    towards = rng.standard_normal((LEAVES, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    if pointed:
        up = 1 - np.sqrt(rng.random(LEAVES))
        turn = rng.uniform(0, 2 * math.pi, LEAVES)
        out = r * (1 - up) * (0.75 + 0.25 * np.sin(up * 40)) * np.sqrt(rng.uniform(0.5, 1, LEAVES))
        middles = np.stack([out * np.cos(turn), out * np.sin(turn), up * high], 1)
    else:
        lumps = 1 + 0.18 * np.sin(towards @ rng.uniform(-6, 6, 3)) + 0.12 * np.sin(towards @ rng.uniform(-9, 9, 3))
        middles = towards * (r * lumps * rng.uniform(0.55, 1, LEAVES) ** 0.5)[:, None]
    side = 0.06 * r * rng.uniform(0.7, 1.5, LEAVES)[:, None]
    a, b = (rng.standard_normal((LEAVES, 3)) * side for _ in range(2))
    return scatter(make, "trees", np.stack([middles - a, middles + b, middles + a, middles - b], 1), x, y, z)


def twigs(make: Blockout, x: float, y: float, z: float, r: float) -> bpy.types.Object:
    """Thin branches upwards and outwards from a place, forked once."""
    rng = np.random.default_rng(make.rng.getrandbits(32))
    turn, lean = rng.uniform(0, 2 * math.pi, TWIGS), rng.uniform(0.1, 0.9, TWIGS)
    ends = np.stack([np.cos(turn) * lean, np.sin(turn) * lean, 1.6 - lean], 1) * r * rng.uniform(0.9, 1.6, (TWIGS, 1))
    starts = np.zeros_like(ends)
    starts[TWIGS // 4 :] = ends[rng.integers(0, TWIGS // 4, TWIGS - TWIGS // 4)] * rng.uniform(
        0.4, 0.9, (TWIGS * 3 // 4, 1)
    )
    ends[TWIGS // 4 :] = starts[TWIGS // 4 :] + ends[TWIGS // 4 :] * 0.5
    faces = []
    for axis in (0, 1):
        wide = np.zeros((TWIGS, 3))
        wide[:, axis] = np.where(np.arange(TWIGS) < TWIGS // 4, 0.035, 0.016) * r * 1.6
        faces.append(np.stack([starts - wide, starts + wide, ends + wide / 4, ends - wide / 4], 1))
    return scatter(make, "trunk", np.concatenate(faces), x, y, z)


def blades(make: Blockout, reach: float, flat: bool) -> bpy.types.Object:
    """Blades of grass, or leaves that lie about, within ``reach`` of the middle, where the ground is flat."""
    rng = np.random.default_rng(make.rng.getrandbits(32))
    count = BLADES
    turn, far = rng.uniform(0, 2 * math.pi, count), reach * np.sqrt(rng.random(count))
    foot = np.stack([far * np.cos(turn), far * np.sin(turn), np.zeros(count)], 1)
    aside = rng.uniform(0, 2 * math.pi, count)
    across = np.stack([np.cos(aside), np.sin(aside), np.zeros(count)], 1)
    if flat:
        size = rng.uniform(0.03, 0.07, (count, 1))
        along = np.stack([-across[:, 1], across[:, 0], rng.uniform(-0.3, 0.3, count)], 1)
        foot[:, 2] = 0.02
        corners = [foot - across * size, foot + along * size, foot + across * size, foot - along * size]
    else:
        tall = rng.uniform(0.06, 0.17, (count, 1))
        tip = foot + np.stack([rng.normal(0, 0.35, count), rng.normal(0, 0.35, count), np.ones(count)], 1) * tall
        corners = [foot - across * 0.012, foot + across * 0.012, tip]
    return scatter(make, "ground", np.stack(corners, 1), 0, 0, 0)
