"""Small blockouts beside the demo's castle: a room, a street, an isometric level, the default cube. Imports bpy."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import bpy
from mathutils import Vector

from tools.training.render.geometry import Blockout

Colour = tuple[float, float, float]
WALL, FLOOR, WOOD, CLOTH = (0.72, 0.66, 0.56), (0.42, 0.30, 0.20), (0.30, 0.17, 0.08), (0.45, 0.10, 0.10)
ROAD, PATH, GRASS, LEAVES = (0.16, 0.16, 0.17), (0.45, 0.44, 0.42), (0.20, 0.36, 0.10), (0.10, 0.27, 0.07)
FRONTS: tuple[Colour, ...] = ((0.60, 0.22, 0.15), (0.72, 0.62, 0.45), (0.46, 0.48, 0.52), (0.78, 0.74, 0.66))
ROOFS: tuple[Colour, ...] = ((0.45, 0.13, 0.08), (0.14, 0.18, 0.28), (0.26, 0.15, 0.09))
STONE, WATER = (0.50, 0.48, 0.44), (0.08, 0.28, 0.48)


def paint(colour: Colour, *solids: bpy.types.Object) -> None:
    """Give solids a flat colour, as an object's and as a material's: for both of the viewport's ways."""
    name = "colour " + " ".join(f"{part:.2f}" for part in colour)
    material = bpy.data.materials.get(name) or bpy.data.materials.new(name)
    material.diffuse_color = (*colour, 1)
    for solid in solids:
        solid.color = (*colour, 1)
        solid.data.materials.append(material)


def look(scene: bpy.types.Scene, eye: Colour, target: Colour, lens: float = 35.0, across: float = 0.0) -> None:
    """Give the scene a camera at ``eye``; ``across``: the width that it sees without perspective, 0 for with."""
    data = bpy.data.cameras.new("camera")
    camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.location = eye
    camera.rotation_euler = (Vector(target) - Vector(eye)).to_track_quat("-Z", "Y").to_euler()
    data.lens, data.clip_end = lens, 200
    if across:
        data.type, data.ortho_scale = "ORTHO", across


def room(scene: bpy.types.Scene) -> None:
    """A room with a door, two windows, a table, chairs, a shelf, a bed and a chimney."""
    make = Blockout(scene, random.Random(1))
    paint(FLOOR, make.box(0, 0, -0.1, 7, 6, 0.1))
    paint(WALL, make.box(-3.5, 0, 0, 0.2, 6, 3), make.box(0, 3, 0, 7, 0.2, 3))
    paint(WOOD, make.box(-3.38, -1.2, 0, 0.1, 1, 2.1), *(make.box(x, 2.88, 1.1, 1.3, 0.1, 1.2) for x in (-1.8, 1.8)))
    paint(STONE, make.box(0, 2.6, 0, 1.2, 0.7, 1.3), make.box(0, 2.75, 1.3, 0.8, 0.4, 1.7))
    paint(WOOD, make.box(0.3, -0.2, 0.75, 2, 1.1, 0.08))
    paint(WOOD, *(make.box(0.3 + x, -0.2 + y, 0, 0.1, 0.1, 0.75) for x in (-0.9, 0.9) for y in (-0.45, 0.45)))
    for x, y, turn in ((-0.3, -1.1, 0.2), (1.0, -1.2, -0.3), (0.3, 0.8, 0.0)):
        paint(WOOD, make.box(x, y, 0.4, 0.5, 0.5, 0.07, turn), make.box(x, y, 0, 0.4, 0.4, 0.4, turn))
        paint(WOOD, make.box(x, y + 0.22 * (1 if y > 0 else -1), 0.4, 0.5, 0.06, 0.6, turn))
    paint(CLOTH, make.box(2.6, 1.2, 0, 1.4, 2.4, 0.5), make.box(2.6, 2.2, 0.5, 1.2, 0.5, 0.15))
    for level in range(4):
        paint(WOOD, make.box(-3.15, 1.4, 0.4 + level * 0.6, 0.5, 1.8, 0.06))
        paint(FRONTS[level], *(make.box(-3.15, 0.8 + k * 0.3, 0.46 + level * 0.6, 0.3, 0.2, 0.4) for k in range(4)))
    paint((0.85, 0.78, 0.5), make.cone(0.3, -0.2, 1.9, 0.35, 0.1, 0.35))
    look(scene, (4.6, -4.9, 2.6), (-0.4, 0.7, 0.95), 28)


def street(scene: bpy.types.Scene) -> None:
    """A street between two rows of narrow houses, with pavements, trees, lamps and a cart."""
    rng = random.Random(4)
    make = Blockout(scene, rng)
    paint(ROAD, make.box(0, 0, -0.1, 5, 60, 0.1))
    paint(PATH, make.box(-3.2, 0, -0.1, 1.5, 60, 0.2), make.box(3.2, 0, -0.1, 1.5, 60, 0.2))
    paint(GRASS, make.box(0, 0, -0.3, 80, 80, 0.15))
    for side in (-1, 1):
        y = -9.0
        while y < 24:
            wide, high = rng.uniform(2.2, 3.6), rng.uniform(3.5, 6.5)
            x = side * 5.6
            paint(rng.choice(FRONTS), make.box(x, y + wide / 2, 0, 3.4, wide, high))
            if rng.random() < 0.75:
                roof = make.cone(x, y + wide / 2, high, 2.5, 0, rng.uniform(1.2, 2), 4, "roof", math.pi / 4)
                roof.scale.y = wide / 3.3
                paint(rng.choice(ROOFS), roof)
            for floor in range(int(high / 1.7)):
                panes = (make.box(side * 3.88, y + wide * k, 0.9 + floor * 1.7, 0.1, 0.6, 0.9) for k in (0.28, 0.72))
                paint((0.14, 0.17, 0.22), *panes)
            paint(WOOD, make.box(side * 3.86, y + wide / 2, 0, 0.12, 0.7, 1.5))
            y += wide + rng.choice((0, 0, 0.5))
    for y in (-4.0, 2.5, 9.5):
        paint(WOOD, make.cone(2.8, y, 0, 0.1, 0.08, 1.6, 8))
        paint(LEAVES, make.ball(2.8, y, 2.2, 0.85, rough=0.06))
        paint(STONE, make.cone(-2.7, y + 1.5, 0, 0.06, 0.05, 2.6, 8), make.ball(-2.7, y + 1.5, 2.75, 0.18))
    paint(CLOTH, make.box(-1.1, 1, 0.35, 1.1, 2.2, 0.6), make.box(-1.1, 1.1, 0.9, 1.0, 1.2, 0.5))
    paint(ROAD, *(make.ball(-1.1 + x, 1 + z, 0.3, 0.3) for x in (-0.55, 0.55) for z in (-0.7, 0.7)))
    look(scene, (1.0, -9.5, 2.1), (-0.4, 6, 1.9), 26)


def level(scene: bpy.types.Scene) -> None:
    """An isometric level: blocks of grass and stone by steps, water, a bridge, a tower, trees."""
    rng = random.Random(2)
    make = Blockout(scene, rng)
    paint(WATER, make.box(0, 0, -0.3, 9, 9, 0.2))
    for column in range(8):
        for row in range(8):
            x, y, high = column - 3.5, row - 3.5, max(0, (column + row - 5) // 3)
            if column != 3 and (column, row) not in ((4, 0), (5, 0)):
                paint(STONE if high > 1 else GRASS, make.box(x, y, -0.4, 1, 1, 0.6 + high * 0.7))
    paint(WOOD, make.box(-0.5, -1.5, 0.2, 1.6, 0.9, 0.12))
    paint(STONE, make.cone(2.5, 2.5, 1.6, 0.75, 0.65, 2.4, 16))
    paint(ROOFS[0], make.cone(2.5, 2.5, 4.0, 1.0, 0, 1.2, 16))
    paint(FRONTS[1], make.box(-2.4, 1.4, 0.2, 1.4, 1.3, 1.1))
    paint(ROOFS[0], make.cone(-2.4, 1.4, 1.3, 1.25, 0, 0.9, 4, "roof", math.pi / 4))
    for x, y in ((-3.1, -2.6), (-1.7, -3.1), (-3.2, 3.2), (1.4, -2.4)):
        paint(WOOD, make.cone(x, y, 0.2, 0.1, 0.08, 0.5, 8))
        paint(LEAVES, make.cone(x, y, 0.5, 0.5, 0, 1.2, 10))
    look(scene, (-12, -12, 10.8), (0, 0, 0.9), across=13.5)


def cube(scene: bpy.types.Scene) -> None:
    """A single cube on nothing, as each new file has."""
    paint((0.8, 0.8, 0.8), Blockout(scene, random.Random(1)).box(0, 0, -1, 2, 2, 2))
    look(scene, (7.36, -6.93, 4.96), (0, 0, 0), 50)


BLOCKOUTS: dict[str, Callable[[bpy.types.Scene], None]] = {"room": room, "street": street, "level": level, "cube": cube}
