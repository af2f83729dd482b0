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

MOUND_HEIGHT = 0.5
WALL, WALL_HEIGHT = 2.0, 1.5  # half a wall's length
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
    count = max(2, int(span.length / 0.5))

    def fill(mesh: bmesh.types.BMesh) -> None:
        for tooth in range(count):
            x = (tooth + 0.5) / count * span.length - span.length / 2
            shape = Matrix.Translation((x, 0, 0.12)) @ Matrix.Diagonal((0.25, 0.4, 0.24, 1))
            bmesh.ops.create_cube(mesh, size=1.0, matrix=shape)

    middle = (start + end) / 2
    add("teeth", STONE, fill, at(middle.x, middle.y, base, math.atan2(span.y, span.x)))


def castle() -> None:
    """Four walls with a tower at each corner, a gatehouse to the south, and a keep with its own tall tower."""
    x, y = TOP
    cone("mound", MOUND, at(x, y, -0.02), 4.3, 3.4, MOUND_HEIGHT + 0.02, 40)
    corners = [Vector((x + WALL * across, y + WALL * along)) for across, along in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
        middle, span = (start + end) / 2, end - start
        turn = math.atan2(span.y, span.x)
        if middle.y < y - 1:  # the gate's side: two short walls leave a gap
            for sign in (-1, 1):
                part = middle + span * 0.36 * sign
                box("wall", STONE, at(part.x, part.y, MOUND_HEIGHT, turn), span.length * 0.3, 0.4, WALL_HEIGHT)
            gatehouse(middle, turn)
            continue
        box("wall", STONE, at(middle.x, middle.y, MOUND_HEIGHT, turn), span.length, 0.4, WALL_HEIGHT)
        crenels(start, end, MOUND_HEIGHT + WALL_HEIGHT)
    for index, corner in enumerate(corners):
        tower(f"corner tower {index + 1}", at(corner.x, corner.y, MOUND_HEIGHT), 0.62, 2.5 + 0.5 * (index % 2))
    box("keep", KEEP, at(x - 0.55, y + 0.45, MOUND_HEIGHT), 1.7, 1.5, 3.1)
    gable("keep roof", SLATE, at(x - 0.55, y + 0.45, MOUND_HEIGHT + 3.1), 1.9, 1.75, 1.1)
    tower("keep tower", at(x + 0.75, y + 0.55, MOUND_HEIGHT), 0.72, 4.5, KEEP)
    pole = MOUND_HEIGHT + 4.5 + 0.17 + 1.7
    cone("flag pole", WOOD, at(x + 0.75, y + 0.55, pole), 0.04, 0.04, 0.8, 8)
    box("flag", FLAG, at(x + 1.05, y + 0.55, pole + 0.42), 0.6, 0.04, 0.36)


def gatehouse(middle: Vector, turn: float) -> None:
    """Two square towers with a round arch between them."""
    for sign in (-1, 1):
        side = at(middle.x, middle.y, MOUND_HEIGHT, turn) @ Matrix.Translation((0.72 * sign, 0, 0))
        box("gate tower", KEEP, side, 0.62, 0.8, 2.2)
        cone("gate tower roof", SLATE, side @ Matrix.Translation((0, 0, 2.2)), 0.62, 0, 1.0, 4)

    def arch(mesh: bmesh.types.BMesh) -> None:
        bows = [step / 10 * math.pi for step in range(1, 10)]
        inner = [(-0.42 * math.cos(bow), 0.8 + 0.42 * math.sin(bow)) for bow in bows]
        outline = [(-0.42, 1.7), (-0.42, 0.8), *inner, (0.42, 0.8), (0.42, 1.7)]
        front = mesh.faces.new([mesh.verts.new((px, -0.3, pz)) for px, pz in outline])
        pushed = bmesh.ops.extrude_face_region(mesh, geom=[front])["geom"]
        bmesh.ops.translate(mesh, vec=(0, 0.6, 0), verts=[v for v in pushed if isinstance(v, bmesh.types.BMVert)])

    add("gate arch", KEEP, arch, at(middle.x, middle.y, MOUND_HEIGHT, turn))
    box("gate", DARK, at(middle.x, middle.y + 0.15, MOUND_HEIGHT, turn), 0.84, 0.04, 1.25)


def stairs(bottom: float, steps: int) -> None:
    """From the meadow up to the gate."""
    x, top = TOP[0], TOP[1] - WALL - 0.35
    depth = (top - bottom) / steps
    for step in range(steps):
        height = MOUND_HEIGHT * (step + 1) / steps
        box("step", KEEP, at(x, bottom + (step + 0.5) * depth, 0), 1.2, depth, height)
    for sign in (-1, 1):
        box("stair side", STONE, at(x + 0.7 * sign, (bottom + top) / 2, 0), 0.18, top - bottom + 0.1, 0.5)


def house(x: float, y: float, turn: float, size: float, wall: Colour, roof: Colour) -> None:
    body = box("house", wall, at(x, y, 0, turn), 1.25 * size, size, 0.95 * size)
    hold(gable("house roof", roof, at(x, y, 0.95 * size, turn), 1.45 * size, 1.22 * size, 0.75 * size), body)
    chimney = at(x, y, 0.95 * size, turn) @ Matrix.Translation((0.36 * size, 0.24 * size, 0))
    hold(box("chimney", STONE, chimney, 0.2, 0.2, 0.75 * size), body)
    door = at(x, y, 0, turn) @ Matrix.Translation((0.15 * size, -size / 2 - 0.01, 0))
    hold(box("door", WOOD, door, 0.32, 0.04, 0.55 * size), body)


def bridge(x: float, y: float, turn: float) -> None:
    """Three spans over the river, highest in the middle."""
    for index in range(-3, 4):
        height = 0.5 - 0.035 * index * index
        part = at(x, y, 0, turn) @ Matrix.Translation((0.36 * index, 0, 0))
        box("bridge deck", KEEP, part @ Matrix.Translation((0, 0, height - 0.16)), 0.37, 1.2, 0.18)
        for sign in (-1, 1):
            side = part @ Matrix.Translation((0, 0.55 * sign, height))
            box("bridge rail", STONE, side, 0.37, 0.14, 0.26)
        if index in (-2, 0, 2):
            box("bridge pier", STONE, part, 0.22, 1.1, height - 0.1)


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
            far = min(max(0.0, (math.hypot(x, y) - 16) / 14), 1.6)
            corner.co.z += far * (math.sin(x * 0.23 + 1.0) + math.sin(y * 0.27 + 2.2) + 1.7) * 0.5

    meadow = add("meadow", GRASS, fill, Matrix.Identity(4))
    for face in meadow.data.polygons:
        face.use_smooth = True


def town() -> None:
    pick = random.Random(7)
    land()
    castle()
    stairs(-3.4, 7)
    river = [(-12.5, -1.0), (-9.0, -2.6), (-6.0, -4.2), (-3.2, -5.0), (-0.3, -5.1), (2.6, -4.6), (5.0, -3.2)]
    river += [(6.6, -1.0), (7.4, 1.6), (8.6, 4.2), (11.0, 6.6)]
    ribbon("river bank", PATH, river, 2.1, 0.012)
    ribbon("river", WATER, river, 1.6, 0.03)
    ribbon(
        "road", PATH, [(-0.3, -3.4), (-0.3, -4.0), (-0.3, -6.2), (-0.8, -7.6), (-2.2, -9.4), (-4.2, -11.0)], 0.9, 0.02
    )
    bridge(-0.3, -5.1, math.pi / 2)
    for x, y, turn, size, wall, roof in (
        (3.9, -1.3, 0.9, 1.25, 0, TILES),
        (3.3, 5.4, 2.6, 1.3, 2, SLATE),
        (-3.4, 5.6, -2.5, 1.3, 1, TILES),
        (-3.6, -2.6, -0.6, 1.2, 2, TILES),
    ):
        house(x, y, turn, size, WALLS[wall], roof)
    tower("watchtower", at(-4.9, 0.2, 0), 0.85, 3.6, WALLS[0], TILES)
    for x, y, size in (
        (-6.4, -1.6, 1.4), (-1.2, 6.4, 1.4), (6.0, 2.6, 1.4), (5.4, -4.6, 1.4), (-3.0, -6.2, 1.4), (-5.8, 4.2, 1.5),
        (1.6, -3.2, 1.0),
    ):  # fmt: skip
        tree(x, y, size, pick)


def camera() -> None:
    """South-east of the gate and 11 degrees above it, so that the towers stand against the sky."""
    lens = bpy.data.cameras.new("camera")
    lens.lens, lens.clip_start, lens.clip_end = 38, 0.1, 200
    eye = bpy.data.objects.new("camera", lens)
    bpy.context.scene.collection.objects.link(eye)
    bpy.context.scene.camera = eye
    target, distance, up, around = Vector((0, 0, 2.2)), 14.0, math.radians(11), math.radians(-62)
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
