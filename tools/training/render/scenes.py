"""Whole scenes of the second generation, one function a kind of place, and where a camera may stand. Imports bpy."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from tools.training.render.geometry import TAU
from tools.training.render.places import Place, Stand


def around(rng: random.Random, far: tuple[float, float], up: tuple[float, float] = (0.12, 0.6)) -> Stand:
    """Somewhere around the middle, looking at it."""
    distance, turn, lift = rng.uniform(*far), rng.uniform(0, TAU), rng.uniform(*up)
    flat = distance * math.cos(lift)
    eye = (flat * math.cos(turn), flat * math.sin(turn), max(0.9, distance * math.sin(lift)))
    return Stand(eye, (rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.8, 1.8)), rng.uniform(26, 45))


def village(b: Place) -> Stand:
    """Houses along a road, with trees, fences, rocks and a cart or car."""
    u = b.rng.uniform
    b.earth(b.rng.random() < 0.4)
    turn = u(0, math.pi)
    b.way(u(1.4, 2.2), turn)
    along, across = (math.cos(turn + math.pi / 2), math.sin(turn + math.pi / 2)), (math.cos(turn), math.sin(turn))
    for side in (-1, 1):
        far = -6.5
        while far < 6.5:
            w, d, out = u(1.8, 2.6), u(2, 3.2), side * u(2.6, 3.4)
            x, y = along[0] * far + across[0] * out, along[1] * far + across[1] * out
            if b.rng.random() < 0.75:
                rot = turn + side * math.pi / 2 + u(-0.1, 0.1)
                b.building(x, y, w, d, u(1.4, 3), rot, b.rng.choice(("gable", "gable", "hip")))
            else:
                b.plant(x, y, u(1.1, 1.7))
            far += d + u(0.3, 1.2)
    for _ in range(b.rng.randint(3, 7)):
        angle, away = u(0, TAU), u(5.5, 9)
        b.plant(away * math.cos(angle), away * math.sin(angle), u(1, 1.9))
    b.fence(across[0] * 1.5, across[1] * 1.5, u(1.5, 3), turn + math.pi / 2)
    for _ in range(3):
        b.rock(u(-5, 5), u(-5, 5), u(0.3, 0.7))
    b.vehicle(along[0] * u(-3, 3), along[1] * u(-3, 3), turn)
    return around(b.rng, (12, 16), (0.3, 0.65))


def castle(b: Place) -> Stand:
    """A ring of walls with towers, a hall within, trees and rocks without."""
    u = b.rng.uniform
    b.earth(b.rng.random() < 0.4)
    count, r, high, first = b.rng.choice((4, 5, 6)), u(2.8, 3.8), u(1.3, 2), u(0, TAU)
    corners = [(r * math.cos(first + i * TAU / count), r * math.sin(first + i * TAU / count)) for i in range(count)]
    for i, (ax, ay) in enumerate(corners):
        bx, by = corners[(i + 1) % count]
        long, rot = math.hypot(bx - ax, by - ay), math.atan2(by - ay, bx - ax)
        middle = ((ax + bx) / 2, (ay + by) / 2)
        b.box(*middle, 0, long, 0.45, high, rot, "walls")
        for k in range(int(long / 0.5)):
            step = (k + 0.5) / int(long / 0.5)
            b.box(ax + (bx - ax) * step, ay + (by - ay) * step, high, 0.26, 0.45, 0.25, rot, "walls")
        if i == 0:
            b.box(*middle, 0, 0.9, 0.5, high * 0.7, rot, "doors")
        b.keep(ax, ay, u(0.55, 0.75), high * u(1.4, 1.9))
    b.building(0, 0, 2.1, 2.8, high * 1.9, u(0, math.pi), b.rng.choice(("gable", "hip")))
    b.keep(u(-0.8, 0.8), u(-1, 1), 0.7, high * 2.9)
    for _ in range(b.rng.randint(5, 10)):
        angle, away = u(0, TAU), u(5, 8.5)
        (b.plant if b.rng.random() < 0.75 else b.rock)(away * math.cos(angle), away * math.sin(angle), u(0.9, 1.7))
    return around(b.rng, (9, 14), (0.1, 0.6))


def street(b: Place) -> Stand:
    """Between two rows of houses, at eye level or a little above."""
    u = b.rng.uniform
    b.earth(False)
    wide = u(2.6, 4)
    b.way(wide, 0)
    for side in (-1, 1):
        y = -7.0
        while y < 18:
            w, h = u(1.8, 3), u(2.4, 5)
            roof = b.rng.choice(("gable", "hip", "flat"))
            b.building(side * (wide / 2 + 2.2), y + w / 2, w, 2.6, h, side * math.pi / 2, roof)
            y += w * 1.02
        for y in range(-3, 14, 4):
            if b.rng.random() < 0.6:
                b.lamp(side * (wide / 2 + 0.35), y + u(-0.5, 0.5))
            elif b.rng.random() < 0.6:
                b.plant(side * (wide / 2 + 0.4), y, u(0.8, 1.1))
    if "banners" in b.parts:
        for y in (0.5, 4.5):
            b.box(0, y, 2.9, wide + 2, 0.02, 0.02, 0, "post")
            b.detail(*(b.box(x * 0.6, y, 2.5, 0.35, 0.02, 0.4, 0, "banners") for x in range(-2, 3)))
    b.vehicle(u(-0.8, 0.8), u(1, 4), u(-0.2, 0.2))
    return Stand((u(-0.8, 0.8), -6.5, u(1.2, 2.6)), (u(-0.6, 0.6), 4, u(1.2, 2)), u(22, 34))


def city(b: Place) -> Stand:
    """Blocks and towers of today on a grid of roads."""
    u = b.rng.uniform
    b.earth(False)
    for rot in (0, math.pi / 2):
        b.way(1.8, rot)
    for column in range(-3, 3):
        for row in range(-3, 3):
            x, y = (column + 0.5) * 4.4, (row + 0.5) * 4.4
            if b.rng.random() < 0.8:
                w, d, h = u(1.4, 2.5), u(1.4, 2.5), u(1.5, 3) * (2.2 if b.rng.random() < 0.4 else 1)
                b.building(x, y, w, d, h, 0, "flat")
            else:
                b.plant(x, y, u(0.8, 1.3))
    for k in (-2, 1, 3):
        b.vehicle(0.45, k * 2 + u(-0.5, 0.5), 0)
        b.lamp(1.05, k * 2.0)
    if b.rng.random() < 0.5:
        return Stand((u(-0.5, 0.5), -10, u(1.1, 2)), (0, 3, u(1.5, 3)), u(22, 32))
    return around(b.rng, (13, 18), (0.3, 0.7))


def ruins(b: Place) -> Stand:
    """Broken walls and columns, overgrown."""
    u = b.rng.uniform
    b.earth(b.rng.random() < 0.5)
    for _ in range(b.rng.randint(3, 5)):
        x, y, rot = u(-3, 3), u(-3, 3), b.rng.choice((0, math.pi / 2)) + u(-0.1, 0.1)
        for k in range(b.rng.randint(4, 9)):
            h = max(0.3, u(0.3, 2.6) - abs(k - 3) * 0.2)
            b.box(x + k * 0.42 * math.cos(rot), y + k * 0.42 * math.sin(rot), 0, 0.43, 0.42, h, rot, "walls")
    for _ in range(b.rng.randint(2, 5)):
        x, y, h = u(-4, 4), u(-4, 4), u(0.5, 3)
        b.cone(x, y, 0, 0.3, 0.26, h, 16, "walls")
        b.box(x, y, 0, 0.8, 0.8, 0.15, 0, "walls")
    if b.rng.random() < 0.5:
        b.arch(u(-2, 2), u(-2, 2), 1.2)
    for _ in range(b.rng.randint(4, 8)):
        (b.plant if b.rng.random() < 0.6 else b.rock)(u(-6, 6), u(-6, 6), u(0.6, 1.5))
    return around(b.rng, (6, 10), (0.1, 0.5))


def room(b: Place) -> Stand:
    """A room seen through where its fourth wall would be: bed or sofa, table, chairs, shelves, lamp, window, door."""
    u = b.rng.uniform
    w, d, h = u(5, 7), u(4.5, 6), u(2.5, 3.2)
    b.box(0, 0, -0.1, w, d, 0.1, 0, "floor")
    b.box(0, d / 2 + 0.1, 0, w, 0.2, h, 0, "inside")
    for side in (-1, 1):
        b.box(side * (w / 2 + 0.1), 0, 0, 0.2, d, h, 0, "inside")
    b.box(0, 0, h, w, d, 0.1, 0, "ceiling")
    b.only("final", b.box(0, d / 2 - 0.03, 0, w, 0.06, 0.12, 0, "frame"))
    for x in (-w * 0.27, w * 0.27):
        pane = b.box(x, d / 2 - 0.02, 0.95, 1.1, 0.06, 1.2, 0, "daylight")
        b.detail(pane)
        b.only("final", b.box(x, d / 2 - 0.05, 1.53, 1.1, 0.06, 0.05, 0, "frame"),
               *(b.box(x + s * 0.57, d / 2 - 0.05, 0.9, 0.08, 0.1, 1.3, 0, "frame") for s in (-1, 0, 1)))  # fmt: skip
    b.box(-w / 2 + 0.03, -d * 0.15, 0, 0.08, 0.95, 2.05, 0, "doors")
    tx, ty = u(-0.8, 0.8), u(-0.8, 0.4)
    b.box(tx, ty, 0.72, 1.7, 0.95, 0.06, 0, "furniture")
    for sx in (-0.75, 0.75):
        for sy in (-0.4, 0.4):
            b.box(tx + sx, ty + sy, 0, 0.08, 0.08, 0.72, 0, "furniture")
        turn = u(-0.3, 0.3)
        b.box(tx + sx * 0.6, ty - 0.85, 0.42, 0.46, 0.46, 0.06, turn, "furniture")
        b.box(tx + sx * 0.6, ty - 1.06, 0.42, 0.46, 0.05, 0.55, turn, "furniture")
        b.box(tx + sx * 0.6, ty - 0.85, 0, 0.36, 0.36, 0.42, turn, "furniture")
    b.box(w / 2 - 0.85, d / 2 - 1.3, 0, 1.4, 2.1, 0.45, 0, "cloth")
    b.only("final", b.box(w / 2 - 0.85, d / 2 - 0.55, 0.45, 1.1, 0.45, 0.14, 0, "pillow"))
    for level in range(4):
        b.box(-w / 2 + 0.25, d * 0.25, 0.3 + level * 0.55, 0.42, 1.5, 0.05, 0, "furniture")
        for k in range(6):
            book = b.box(
                -w / 2 + 0.22, d * 0.25 - 0.6 + k * 0.2, 0.35 + level * 0.55, 0.25, 0.12, u(0.25, 0.42), 0, "book"
            )
            b.detail(book)
    b.cone(tx, ty, 1.85, 0.3, 0.1, 0.3, 20, "lamps")
    b.only("final", b.cone(tx, ty, 2.1, 0.012, 0.012, h - 2.1, 6, "post"))
    return Stand((u(-1.2, 1.2), -d / 2 - u(0.2, 0.8), u(1.3, 2)), (u(-0.5, 0.5), d * 0.25, 1.05), u(20, 26))


def level(b: Place) -> Stand:
    """Blocks of a game's level on nothing, seen without perspective or nearly so."""
    high = [[0] * 8 for _ in range(8)]
    for _ in range(5):
        cx, cy, r = b.rng.randint(0, 7), b.rng.randint(0, 7), b.rng.uniform(1.5, 3)
        for i in range(8):
            for j in range(8):
                high[i][j] += math.hypot(i - cx, j - cy) < r
    for i in range(8):
        for j in range(8):
            top = high[i][j] * 0.5
            kind = "ground" if b.rng.random() < 0.85 else "rocks"
            b.box(i - 3.5, j - 3.5, -0.8, 1, 1, 0.8 + top, 0, kind)
            chance = b.rng.random()
            if chance < 0.12:
                b.plant(i - 3.5, j - 3.5, 0.7)
                _lift(b, top)
            elif chance < 0.2:
                b.building(i - 3.5, j - 3.5, 0.95, 0.95, b.rng.uniform(1, 1.7), 0, b.rng.choice(("hip", "gable")))
                _lift(b, top)
            elif chance < 0.24:
                b.keep(i - 3.5, j - 3.5, 0.42, b.rng.uniform(1.5, 2.6))
                _lift(b, top)
            _settle(b)
    far, turn = 20, math.pi * 0.25 + b.rng.choice((0, 1, 2, 3)) * math.pi / 2
    eye = (far * math.cos(turn), far * math.sin(turn), far * b.rng.uniform(0.6, 1))
    return Stand(eye, (0, 0, 0.6), 70, b.rng.choice((0.0, b.rng.uniform(11.5, 14))))


def thing(b: Place) -> Stand:
    """One solid on nothing, as the default cube is; at times on a plinth of its own."""
    u = b.rng.uniform
    kind = b.rng.choice(("box", "box", "ball", "cone", "cylinder", "stack"))
    if kind == "ball":
        b.ball(0, 0, 1, 1, "object")
    elif kind in ("cone", "cylinder"):
        b.cone(0, 0, 0, u(0.8, 1.2), 0 if kind == "cone" else u(0.6, 1), u(1.4, 2.4), b.rng.choice((6, 24)), "object")
    else:
        b.box(0, 0, 0, u(1.4, 2.2), u(1.4, 2.2), u(1.2, 2.2), u(0, 3), "object")
        if kind == "stack":
            b.box(u(-0.3, 0.3), u(-0.3, 0.3), 1.7, u(0.6, 1.2), u(0.6, 1.2), u(0.6, 1.3), u(0, 3), "object")
    return around(b.rng, (5, 11), (0.15, 0.7))


def _settle(b: Place) -> None:
    for solid in b.scene.objects:
        solid["set"] = True


def _lift(b: Place, by: float) -> None:
    """Raise what was added since ``_settle``."""
    for solid in b.scene.objects:
        if not solid.get("set"):
            solid.location.z += by


BUILDERS: dict[str, Callable[[Place], Stand]] = {
    "village": village, "castle": castle, "street": street, "city": city, "ruins": ruins, "room": room,
    "level": level, "object": thing,
}  # fmt: skip


JOINED = frozenset({"frame", "panes", "fences", "post", "banners", "doors"})


def join(scene: bpy.types.Scene) -> None:
    """Make one solid of all small ones of a kind: thousands of window frames would take Blender longer than Cycles."""
    groups: dict[tuple[str, str], list[bpy.types.Object]] = {}
    for solid in scene.objects:
        if solid["kind"] in JOINED:
            groups.setdefault((solid["kind"], solid.get("in", "both")), []).append(solid)
    for (kind, where), solids in groups.items():
        corners: list[NDArray[Any]] = []
        faces: list[list[int]] = []
        first = 0
        for solid in solids:
            at = np.empty(3 * len(solid.data.vertices))
            solid.data.vertices.foreach_get("co", at)
            turned = np.array(solid.matrix_basis)
            corners.append(at.reshape(-1, 3) @ turned[:3, :3].T + turned[:3, 3])
            faces += [[first + corner for corner in polygon.vertices] for polygon in solid.data.polygons]
            first += len(solid.data.vertices)
        mesh = bpy.data.meshes.new(kind)
        mesh.from_pydata(np.concatenate(corners).tolist(), [], faces)
        whole = bpy.data.objects.new(kind, mesh)
        whole["kind"], whole["in"] = kind, where
        scene.collection.objects.link(whole)
        bpy.data.batch_remove(solids)


def build_place(
    scene: bpy.types.Scene, rng: random.Random, chosen: dict[str, Any]
) -> tuple[list[bpy.types.Object], Stand]:
    """Empty the scene, build the place that ``chosen`` names, and return its solids and where a camera may stand."""
    for solid in list(bpy.data.objects):
        bpy.data.objects.remove(solid, do_unlink=True)
    bpy.data.orphans_purge(do_recursive=True)
    stand = BUILDERS[chosen["place"]](Place(scene, rng, chosen["parts"]))
    join(scene)
    return [solid for solid in scene.objects if solid.type == "MESH"], stand
