"""Build ``castle_town.blend``, the blockout of the demo and of the README's picture. Needs bpy, and nothing else.

    blender --background --factory-startup --python docs/demo/build_castle_town.py -- docs/demo/castle_town.blend
    python docs/demo/build_castle_town.py docs/demo/castle_town.blend         (in Blender's module)

Run it in the oldest Blender that should open the file: newer ones read older files, seldom the reverse.
The .blend is committed beside this script so that ``make demo`` runs the very command that a user would, on a file.
Everything is a plain solid, as a modeler blocks out a place: no textures, no lights, one flat colour an object.
"""

from __future__ import annotations

import itertools
import math
import os
import random
import sys
from collections.abc import Callable

import bpy

import bmesh  # isort: skip (bpy brings it: it cannot be imported before)
from mathutils import Matrix, Vector  # isort: skip

Colour = tuple[float, float, float]
STONE: Colour = (0.52, 0.49, 0.43)
KEEP: Colour = (0.60, 0.56, 0.48)
SLATE: Colour = (0.11, 0.17, 0.32)
TILES: Colour = (0.50, 0.13, 0.06)
WALLS: tuple[Colour, ...] = ((0.78, 0.68, 0.50), (0.70, 0.55, 0.40), (0.82, 0.77, 0.66))
WOOD: Colour = (0.24, 0.13, 0.06)
GRASS: Colour = (0.21, 0.38, 0.10)
MOUND: Colour = (0.27, 0.42, 0.13)
WATER: Colour = (0.08, 0.30, 0.52)
PATH: Colour = (0.55, 0.42, 0.25)
LEAVES: tuple[Colour, ...] = ((0.09, 0.25, 0.06), (0.14, 0.32, 0.07), (0.06, 0.20, 0.08))
DARK: Colour = (0.06, 0.05, 0.05)
FLAG: Colour = (0.75, 0.10, 0.08)

MOUND_HEIGHT = 0.7
TOP = (-0.3, 0.9)  # where the castle stands


def add(name: str, colour: Colour, fill: Callable[[bmesh.types.BMesh], object], where: Matrix) -> bpy.types.Object:
    """A mesh object filled by ``fill``, coloured for both of the viewport's colour modes, Material and Object."""
    mesh = bpy.data.meshes.new(name)
    shape = bmesh.new()
    fill(shape)
    bmesh.ops.recalc_face_normals(shape, faces=shape.faces)
    shape.to_mesh(mesh)
    shape.free()
    solid = bpy.data.objects.new(name, mesh)
    solid.matrix_world = where
    key = "colour " + " ".join(f"{part:.2f}" for part in colour)
    material = bpy.data.materials.get(key) or bpy.data.materials.new(key)
    material.diffuse_color = (*colour, 1.0)
    material.roughness = 1.0
    mesh.materials.append(material)
    solid.color = (*colour, 1.0)
    bpy.context.scene.collection.objects.link(solid)
    return solid


def at(x: float, y: float, z: float, turn: float = 0.0) -> Matrix:
    return Matrix.Translation((x, y, z)) @ Matrix.Rotation(turn, 4, "Z")


def box(name: str, colour: Colour, place: Matrix, width: float, depth: float, height: float) -> bpy.types.Object:
    """A box that stands on ``place``."""
    shape = Matrix.Translation((0, 0, height / 2)) @ Matrix.Diagonal((width, depth, height, 1))
    return add(name, colour, lambda mesh: bmesh.ops.create_cube(mesh, size=1.0, matrix=shape), place)


def cone(
    name: str, colour: Colour, place: Matrix, low: float, high: float, height: float, sides: int = 24
) -> bpy.types.Object:
    """A cone, a frustum or (both radii the same) a cylinder that stands on ``place``."""
    shift = Matrix.Translation((0, 0, height / 2)) @ Matrix.Rotation(math.pi / sides, 4, "Z")

    def fill(mesh: bmesh.types.BMesh) -> None:
        bmesh.ops.create_cone(
            mesh, cap_ends=True, segments=sides, radius1=low, radius2=high, depth=height, matrix=shift
        )

    solid = add(name, colour, fill, place)
    if sides > 8:
        for face in solid.data.polygons:
            face.use_smooth = abs(face.normal.z) < 0.9
    return solid


def gable(name: str, colour: Colour, place: Matrix, width: float, depth: float, height: float) -> bpy.types.Object:
    """A saddle roof whose ridge runs along ``width``."""

    def fill(mesh: bmesh.types.BMesh) -> None:
        ends = []
        for x in (-width / 2, width / 2):
            ends.append([mesh.verts.new((x, y, z)) for y, z in ((-depth / 2, 0), (depth / 2, 0), (0, height))])
        (a, b, c), (d, e, f) = ends
        for corners in ((a, b, c), (d, f, e), (a, d, e, b), (b, e, f, c), (c, f, d, a)):
            mesh.faces.new(corners)

    return add(name, colour, fill, place)


def ribbon(name: str, colour: Colour, points: list[tuple[float, float]], width: float, z: float) -> bpy.types.Object:
    """A flat band along ``points``: a river or a road."""

    def fill(mesh: bmesh.types.BMesh) -> None:
        rows = []
        for index, (x, y) in enumerate(points):
            ahead = Vector(points[min(index + 1, len(points) - 1)])
            along = (ahead - Vector(points[max(index - 1, 0)])).normalized() * width / 2
            rows.append([mesh.verts.new((x - along.y, y + along.x, z)), mesh.verts.new((x + along.y, y - along.x, z))])
        for (a, b), (c, d) in itertools.pairwise(rows):
            mesh.faces.new((a, b, d, c))

    return add(name, colour, fill, Matrix.Identity(4))


def tower(name: str, place: Matrix, radius: float, height: float, wall: Colour = STONE, roof: Colour = SLATE) -> None:
    """A round tower with a wider parapet and a pointed roof; the parts follow the wall when it is moved."""
    body = cone(name, wall, place, radius, radius * 0.92, height)
    top = place @ Matrix.Translation((0, 0, height))
    parts = [
        cone(name + " parapet", wall, top @ Matrix.Translation((0, 0, -0.05)), radius * 1.18, radius * 1.18, 0.22),
        cone(name + " roof", roof, top @ Matrix.Translation((0, 0, 0.17)), radius * 1.32, 0, radius * 2.5),
    ]
    for part in parts:
        hold(part, body)


def hold(part: bpy.types.Object, body: bpy.types.Object) -> None:
    """Make ``part`` follow ``body``, staying where it is."""
    part.parent = body
    part.matrix_parent_inverse = body.matrix_basis.inverted()


def crenels(start: Vector, end: Vector, base: float) -> None:
    """Teeth along the top of a wall, as one object."""
    span = end - start
    count = max(2, int(span.length / 0.34))

    def fill(mesh: bmesh.types.BMesh) -> None:
        for tooth in range(count):
            x = (tooth + 0.5) / count * span.length - span.length / 2
            shape = Matrix.Translation((x, 0, 0.09)) @ Matrix.Diagonal((0.17, 0.3, 0.18, 1))
            bmesh.ops.create_cube(mesh, size=1.0, matrix=shape)

    middle = (start + end) / 2
    add("teeth", STONE, fill, at(middle.x, middle.y, base, math.atan2(span.y, span.x)))


def castle() -> None:
    """Six walls with a tower at each corner, a gatehouse to the south, and a keep with its own tall tower."""
    x, y = TOP
    radius, height = 2.15, 1.05
    cone("mound", MOUND, at(x, y, -0.02), 3.7, 2.75, MOUND_HEIGHT + 0.02, 40)
    corners = [
        Vector((x + radius * math.cos(angle), y + radius * math.sin(angle)))
        for angle in (math.radians(60 * side) for side in range(6))
    ]
    for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
        middle, span = (start + end) / 2, end - start
        turn = math.atan2(span.y, span.x)
        if middle.y < y - 1.5:  # the gate's side: two short walls leave a gap
            for sign in (-1, 1):
                part = middle + span * 0.36 * sign
                box("wall", STONE, at(part.x, part.y, MOUND_HEIGHT, turn), span.length * 0.3, 0.3, height)
            gatehouse(middle, turn)
            continue
        box("wall", STONE, at(middle.x, middle.y, MOUND_HEIGHT, turn), span.length, 0.3, height)
        crenels(start, end, MOUND_HEIGHT + height)
    for index, corner in enumerate(corners):
        tall = 1.75 + 0.2 * (index % 2)
        tower(f"corner tower {index + 1}", at(corner.x, corner.y, MOUND_HEIGHT), 0.42, tall)
    box("keep", KEEP, at(x - 0.25, y + 0.35, MOUND_HEIGHT, 0.3), 1.5, 1.25, 2.3)
    gable("keep roof", SLATE, at(x - 0.25, y + 0.35, MOUND_HEIGHT + 2.3, 0.3), 1.65, 1.45, 0.85)
    tower("keep tower", at(x + 0.75, y + 0.55, MOUND_HEIGHT), 0.52, 3.5, KEEP)
    pole = MOUND_HEIGHT + 3.5 + 0.17 + 1.2
    cone("flag pole", WOOD, at(x + 0.75, y + 0.55, pole), 0.03, 0.03, 0.75, 8)
    box("flag", FLAG, at(x + 0.98, y + 0.55, pole + 0.45), 0.46, 0.03, 0.27)
    box("hall", KEEP, at(x + 0.1, y - 0.85, MOUND_HEIGHT, -0.1), 1.2, 0.7, 0.6)
    gable("hall roof", TILES, at(x + 0.1, y - 0.85, MOUND_HEIGHT + 0.6, -0.1), 1.3, 0.85, 0.5)


def gatehouse(middle: Vector, turn: float) -> None:
    """Two square towers with a round arch between them."""
    for sign in (-1, 1):
        side = at(middle.x, middle.y, MOUND_HEIGHT, turn) @ Matrix.Translation((0.52 * sign, 0, 0))
        box("gate tower", KEEP, side, 0.46, 0.6, 1.7)
        cone("gate tower roof", SLATE, side @ Matrix.Translation((0, 0, 1.7)), 0.46, 0, 0.75, 4)

    def arch(mesh: bmesh.types.BMesh) -> None:
        inner = [
            (-0.3 * math.cos(step / 10 * math.pi), 0.62 + 0.3 * math.sin(step / 10 * math.pi)) for step in range(11)
        ]
        outline = [(-0.3, 1.3), (-0.3, 0.62), *inner[1:-1], (0.3, 0.62), (0.3, 1.3)]
        front = mesh.faces.new([mesh.verts.new((px, -0.25, pz)) for px, pz in outline])
        pushed = bmesh.ops.extrude_face_region(mesh, geom=[front])["geom"]
        bmesh.ops.translate(mesh, vec=(0, 0.5, 0), verts=[v for v in pushed if isinstance(v, bmesh.types.BMVert)])

    add("gate arch", KEEP, arch, at(middle.x, middle.y, MOUND_HEIGHT, turn))
    box("gate", DARK, at(middle.x, middle.y + 0.12, MOUND_HEIGHT, turn), 0.6, 0.04, 0.95)


def stairs(bottom: float, steps: int) -> None:
    """From the meadow up to the gate."""
    x, _ = TOP
    top = TOP[1] - 2.15 * math.sqrt(0.75) - 0.25
    for step in range(steps):
        share = (step + 1) / steps
        depth = (top - bottom) / steps
        box("step", KEEP, at(x, bottom + (step + 0.5) * depth, 0), 0.95, depth, MOUND_HEIGHT * share)
    for sign in (-1, 1):
        box("stair side", STONE, at(x + 0.55 * sign, (bottom + top) / 2, 0), 0.14, top - bottom + 0.1, 0.42)


def house(
    x: float, y: float, turn: float, width: float, depth: float, height: float, wall: Colour, roof: Colour
) -> None:
    body = box("house", wall, at(x, y, 0, turn), width, depth, height)
    hold(gable("house roof", roof, at(x, y, height, turn), width * 1.14, depth * 1.22, depth * 0.62), body)
    chimney = at(x, y, height, turn) @ Matrix.Translation((width * 0.28, depth * 0.22, 0))
    hold(box("chimney", STONE, chimney, 0.14, 0.14, depth * 0.62), body)
    door = at(x, y, 0, turn) @ Matrix.Translation((width * 0.12, -depth / 2 - 0.01, 0))
    hold(box("door", WOOD, door, 0.2, 0.04, min(0.42, height * 0.6)), body)


def chapel(x: float, y: float, turn: float) -> None:
    wall = WALLS[2]
    box("chapel", wall, at(x, y, 0, turn), 1.5, 0.8, 0.85)
    gable("chapel roof", TILES, at(x, y, 0.85, turn), 1.6, 0.98, 0.65)
    front = at(x, y, 0, turn) @ Matrix.Translation((-0.92, 0, 0))
    box("belfry", wall, front, 0.58, 0.58, 1.75)
    cone("spire", SLATE, front @ Matrix.Translation((0, 0, 1.75)), 0.46, 0, 1.35, 4)


def bridge(x: float, y: float, turn: float) -> None:
    """Three spans over the river, highest in the middle."""
    for index in range(-3, 4):
        height = 0.34 - 0.025 * index * index
        part = at(x, y, 0, turn) @ Matrix.Translation((0.3 * index, 0, 0))
        box("bridge deck", KEEP, part @ Matrix.Translation((0, 0, height - 0.12)), 0.31, 0.85, 0.14)
        for sign in (-1, 1):
            side = part @ Matrix.Translation((0, 0.4 * sign, height))
            box("bridge rail", STONE, side, 0.31, 0.1, 0.16)
        if index in (-2, 0, 2):
            box("bridge pier", STONE, part, 0.16, 0.8, height - 0.1)


def tree(x: float, y: float, size: float, pick: random.Random) -> None:
    colour = pick.choice(LEAVES)
    cone("trunk", WOOD, at(x, y, 0), 0.08 * size, 0.06 * size, 0.5 * size, 8)
    if pick.random() < 0.6:
        cone("fir", colour, at(x, y, 0.3 * size), 0.42 * size, 0, 0.95 * size, 12)
        cone("fir top", colour, at(x, y, 0.75 * size), 0.32 * size, 0, 0.8 * size, 12)
    else:
        stretch = Matrix.Diagonal((1, 1, 1.15, 1))
        crown = add(
            "crown",
            colour,
            lambda mesh: bmesh.ops.create_icosphere(mesh, subdivisions=2, radius=0.45 * size, matrix=stretch),
            at(x, y, 0.85 * size),
        )
        for face in crown.data.polygons:
            face.use_smooth = True


def land() -> None:
    """A meadow that rises into hills all around, so that the horizon is one from every side."""

    def fill(mesh: bmesh.types.BMesh) -> None:
        bmesh.ops.create_grid(mesh, x_segments=56, y_segments=56, size=40)
        for corner in mesh.verts:
            x, y = corner.co.x, corner.co.y
            far = min(max(0.0, (math.hypot(x, y) - 8.5) / 12), 1.6)
            corner.co.z += far * (math.sin(x * 0.23 + 1.0) + math.sin(y * 0.27 + 2.2) + 1.7) * 0.55

    meadow = add("meadow", GRASS, fill, Matrix.Identity(4))
    for face in meadow.data.polygons:
        face.use_smooth = True


def town() -> None:
    pick = random.Random(7)
    land()
    castle()
    stairs(-3.0, 7)
    river = [(-8.6, -1.6), (-6.5, -2.4), (-4.6, -3.3), (-2.6, -3.9), (-0.6, -4.0), (1.4, -3.6), (3.2, -2.9)]
    river += [(4.7, -1.7), (5.6, -0.1), (6.2, 1.8), (7.2, 3.8), (8.6, 5.4)]
    ribbon("river bank", PATH, river, 1.55, 0.012)
    ribbon("river", WATER, river, 1.2, 0.03)
    ribbon(
        "road", PATH, [(-0.3, -2.9), (-0.3, -3.1), (-0.35, -5.0), (-0.6, -6.0), (-1.4, -7.2), (-2.6, -8.4)], 0.7, 0.02
    )
    ribbon(
        "lane",
        PATH,
        [(-0.3, -2.75), (1.2, -2.3), (2.6, -1.4), (3.7, 0.0), (3.9, 1.6), (3.0, 3.4), (1.2, 4.9)],
        0.5,
        0.02,
    )
    bridge(-0.33, -3.98, math.pi / 2)
    for x, y, turn, width, depth, height, wall, roof in (
        (2.75, -0.55, 0.85, 1.0, 0.75, 0.85, 1, TILES),
        (3.1, 1.1, 1.5, 1.0, 0.75, 0.75, 2, SLATE),
        (4.85, 1.5, 1.7, 0.9, 0.7, 0.6, 0, TILES),
        (2.6, 4.6, 2.4, 1.1, 0.8, 0.8, 1, TILES),
        (0.2, 5.5, 3.2, 1.0, 0.8, 0.75, 2, TILES),
        (-2.2, 4.9, -2.7, 1.1, 0.8, 0.7, 0, SLATE),
        (-1.75, -2.75, -0.35, 0.95, 0.7, 0.7, 2, TILES),
        (2.9, -4.9, 0.3, 1.0, 0.8, 0.75, 0, TILES),
        (1.0, -5.4, -0.2, 0.95, 0.7, 0.65, 1, TILES),
        (-2.3, -5.6, 0.6, 1.0, 0.75, 0.75, 0, TILES),
    ):
        house(x, y, turn, width, depth, height, WALLS[wall], roof)
    chapel(-3.95, -1.5, 0.45)
    tower("watchtower", at(-4.9, 0.9, 0), 0.6, 2.5, WALLS[0], TILES)
    for x, y, size in (
        (-5.6, -0.6, 1.2), (-5.3, 2.2, 1.4), (-4.4, 2.9, 1.1), (-4.0, 4.2, 1.5), (-0.8, 6.4, 1.3), (1.6, 6.1, 1.2),
        (3.6, 4.4, 1.4), (4.6, 5.4, 1.1), (3.9, -3.9, 1.2), (5.4, -2.8, 1.5), (6.6, -0.6, 1.2), (2.6, -6.3, 1.3),
        (-0.9, -7.0, 1.1), (-4.0, -5.2, 1.4), (-5.4, -4.2, 1.2), (-6.8, -3.4, 1.5), (4.4, -5.6, 1.4), (-6.4, 3.6, 1.3),
        (2.0, -2.55, 0.8), (-2.75, -2.0, 0.8), (-3.4, 0.2, 0.8), (7.2, 2.4, 1.5), (-3.2, 6.2, 1.3),
    ):  # fmt: skip
        tree(x, y, size, pick)


def camera() -> None:
    """South-east of the gate, 25 degrees above it; an orbit turns this view round the middle of the scene."""
    lens = bpy.data.cameras.new("camera")
    lens.lens, lens.clip_start, lens.clip_end = 38, 0.1, 200
    eye = bpy.data.objects.new("camera", lens)
    bpy.context.scene.collection.objects.link(eye)
    bpy.context.scene.camera = eye
    target, distance, up, around = Vector((0, 0, 1.25)), 12.5, math.radians(25), math.radians(-62)
    flat = distance * math.cos(up)
    eye.location = target + Vector((flat * math.cos(around), flat * math.sin(around), distance * math.sin(up)))
    eye.rotation_euler = (target - eye.location).to_track_quat("-Z", "Y").to_euler()


def viewport() -> None:
    """The file opens in Solid shading with each object's colour, under a sky, without grid and gizmos."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                space = area.spaces.active
                space.shading.type, space.shading.light, space.shading.color_type = "SOLID", "STUDIO", "MATERIAL"
                space.shading.background_type, space.shading.background_color = "VIEWPORT", (0.30, 0.48, 0.70)
                space.shading.show_cavity = True
                space.region_3d.view_perspective = "CAMERA"


def main() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.view_settings.view_transform = "Standard"
    town()
    camera()
    viewport()
    bpy.ops.wm.save_as_mainfile(filepath=os.path.abspath(sys.argv[-1]), compress=True)


if __name__ == "__main__":
    main()
