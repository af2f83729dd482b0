"""Scenes of plain boxes, cylinders, cones and spheres, the way a modeler blocks them out. bpy only here and beside.

Every object carries what it stands for as its custom property "kind": building, roof, ground, trunk, leaves or rock.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import bmesh
import bpy
from mathutils import Matrix

TAU = 2 * math.pi


class Blockout:
    """A scene under construction: primitives placed by `random`, lengths in scene units (a house is 1 to 3)."""

    def __init__(self, scene: bpy.types.Scene, rng: random.Random) -> None:
        self.scene, self.rng = scene, rng

    def add(
        self, kind: str, fill: Callable[[bmesh.types.BMesh], None], x: float, y: float, z: float, rot: float = 0.0
    ) -> bpy.types.Object:
        """Add an object of `kind` whose mesh `fill` makes, at a place and a turn about the vertical (radians)."""
        mesh = bpy.data.meshes.new(kind)
        bm = bmesh.new()
        fill(bm)
        bm.to_mesh(mesh)
        bm.free()
        obj = bpy.data.objects.new(kind, mesh)
        obj["kind"] = kind
        obj.matrix_world = Matrix.Translation((x, y, z)) @ Matrix.Rotation(rot, 4, "Z")
        self.scene.collection.objects.link(obj)
        return obj

    def box(
        self, x: float, y: float, z: float, w: float, d: float, h: float, rot: float = 0.0, kind: str = "building"
    ) -> bpy.types.Object:
        """Add a box of width, depth and height, standing at z."""
        size = Matrix.Diagonal((w, d, h, 1))
        return self.add(kind, lambda bm: bmesh.ops.create_cube(bm, size=1.0, matrix=size), x, y, z + h / 2, rot)

    def cone(
        self,
        x: float,
        y: float,
        z: float,
        r1: float,
        r2: float,
        h: float,
        segments: int = 24,
        kind: str = "building",
        rot: float = 0.0,
    ) -> bpy.types.Object:
        """Add a cone or a cylinder from radius r1 at z to r2 at z + h."""
        obj = self.add(
            kind,
            lambda bm: bmesh.ops.create_cone(bm, cap_ends=True, segments=segments, radius1=r1, radius2=r2, depth=h),
            x, y, z + h / 2, rot,
        )  # fmt: skip
        if segments > 8:
            for polygon in obj.data.polygons:
                polygon.use_smooth = len(polygon.vertices) == 4
        return obj

    def ball(
        self,
        x: float,
        y: float,
        z: float,
        r: float,
        kind: str = "building",
        squash: float = 1.0,
        rough: float = 0.0,
        half: bool = False,
    ) -> bpy.types.Object:
        """Add a sphere of radius r about z, flattened by `squash`, its vertices moved by up to `rough` radii.

        Of a `half` one only the upper half bulges.
        """

        def fill(bm: bmesh.types.BMesh) -> None:
            bmesh.ops.create_icosphere(bm, subdivisions=3, radius=r)
            for vertex in bm.verts:
                vertex.co.z *= 0 if half and vertex.co.z < 0 else squash
                vertex.co += vertex.co.normalized() * self.rng.uniform(-rough, rough) * r

        obj = self.add(kind, fill, x, y, z)
        for polygon in obj.data.polygons:
            polygon.use_smooth = rough == 0
        return obj

    def ground(self, hills: bool) -> None:
        """Add the ground, 80 x 80, flat within 9 of the middle and hilly further out when asked for."""
        phase = [self.rng.uniform(0, TAU) for _ in range(2)]

        def fill(bm: bmesh.types.BMesh) -> None:
            bmesh.ops.create_grid(bm, x_segments=60, y_segments=60, size=40)
            for vertex in bm.verts if hills else ():
                far = max(0.0, (vertex.co.xy.length - 9) / 12)
                wave = math.sin(vertex.co.x * 0.25 + phase[0]) + math.sin(vertex.co.y * 0.31 + phase[1])
                vertex.co.z += far * (wave + 1.2) * 1.3

        obj = self.add("ground", fill, 0, 0, 0)
        for polygon in obj.data.polygons:
            polygon.use_smooth = True

    def house(self, x: float, y: float, s: float) -> None:
        """A box with a hipped roof, a flat one or none."""
        u = self.rng.uniform
        w, d, h, rot = s * u(1, 2), s * u(1, 2.4), s * u(0.8, 3), u(0, math.pi)
        self.box(x, y, 0, w, d, h, rot)
        roof = self.rng.random()
        if roof < 0.4:
            self.cone(x, y, h, max(w, d) * 0.78, 0, s * u(0.5, 1.1), 4, "roof", rot + math.pi / 4)
        elif roof < 0.6:
            self.box(x, y, h, w * 1.15, d * 1.15, s * 0.15, rot, "roof")

    def tower(self, x: float, y: float, s: float) -> None:
        """A round or six-sided tower, most with a pointed roof."""
        u = self.rng.uniform
        r, h = s * u(0.4, 0.7), s * u(2, 4.5)
        self.cone(x, y, 0, r, r * u(0.8, 1), h, self.rng.choice([6, 24, 24]))
        if self.rng.random() < 0.7:
            self.cone(x, y, h, r * 1.35, 0, s * u(0.8, 1.6), 24, "roof")

    def tree(self, x: float, y: float, s: float) -> None:
        """A trunk with a round or a pointed crown."""
        u = self.rng.uniform
        h = s * u(0.5, 1.2)
        self.cone(x, y, 0, 0.12 * s, 0.08 * s, h, 8, "trunk")
        if self.rng.random() < 0.5:
            self.ball(x, y, h + 0.4 * s, 0.6 * s, "leaves", u(0.8, 1.3), 0.08)
        else:
            self.cone(x, y, h * 0.7, 0.6 * s, 0, s * u(1, 1.8), 10, "leaves")

    def castle(self, x: float, y: float, s: float) -> None:
        """A ring of walls between round towers, some with a keep."""
        u = self.rng.uniform
        n, r, h = self.rng.choice([4, 5, 6]), s * u(1.8, 3), s * u(0.8, 1.5)
        corners = [(x + r * math.cos(i * TAU / n), y + r * math.sin(i * TAU / n)) for i in range(n)]
        for i, (ax, ay) in enumerate(corners):
            bx, by = corners[(i + 1) % n]
            turn = math.atan2(by - ay, bx - ax)
            self.box((ax + bx) / 2, (ay + by) / 2, 0, math.hypot(bx - ax, by - ay), 0.35 * s, h, turn)
            self.cone(ax, ay, 0, 0.5 * s, 0.5 * s, h * 1.6, 16)
            if self.rng.random() < 0.7:
                self.cone(ax, ay, h * 1.6, 0.65 * s, 0, s * 0.9, 16, "roof")
        if self.rng.random() < 0.7:
            self.box(x, y, 0, s * 1.2, s * 1.2, h * 2.2, u(0, 1.5))

    def arch(self, x: float, y: float, s: float) -> None:
        """Two posts and a lintel."""
        u = self.rng.uniform
        rot, w, h = u(0, math.pi), s * u(1.5, 2.5), s * u(1.2, 2.2)
        for side in (-1, 1):
            self.box(x + side * w / 2 * math.cos(rot), y + side * w / 2 * math.sin(rot), 0, 0.4 * s, 0.5 * s, h, rot)
        self.box(x, y, h, w + 0.6 * s, 0.6 * s, 0.4 * s, rot)

    def stairs(self, x: float, y: float, s: float) -> None:
        """A flight of 3 to 7 steps."""
        rot = self.rng.uniform(0, TAU)
        for i in range(self.rng.randint(3, 7)):
            self.box(
                x + i * 0.5 * s * math.cos(rot),
                y + i * 0.5 * s * math.sin(rot),
                0,
                0.5 * s,
                1.6 * s,
                (i + 1) * 0.3 * s,
                rot,
            )

    def pyramid(self, x: float, y: float, s: float) -> None:
        """A pyramid, smooth or stepped."""
        u = self.rng.uniform
        r, h, rot = s * u(1.2, 2.2), s * u(1, 2), u(0, math.pi)
        if self.rng.random() < 0.5:
            self.cone(x, y, 0, r, 0, h, 4, rot=rot)
            return
        for i in range(4):
            side = r * 1.5 * (1 - i / 4.5)
            self.box(x, y, i * h / 4, side, side, h / 4, rot)

    def temple(self, x: float, y: float, s: float) -> None:
        """Columns on a plinth under a slab or a dome."""
        u = self.rng.uniform
        n, r, h = self.rng.choice([6, 8]), s * u(1, 1.6), s * u(1.2, 2)
        self.cone(x, y, 0, r * 1.25, r * 1.25, 0.2 * s, 24)
        for i in range(n):
            self.cone(x + r * math.cos(i * TAU / n), y + r * math.sin(i * TAU / n), 0.2 * s, 0.15 * s, 0.13 * s, h, 12)
        self.cone(x, y, h + 0.2 * s, r * 1.2, r * 1.2, 0.2 * s, 24)
        if self.rng.random() < 0.6:
            self.ball(x, y, h + 0.38 * s, r, "roof", 0.6, half=True)

    def bridge(self, x: float, y: float, s: float) -> None:
        """A deck on piers, with parapets."""
        rot, n, h = self.rng.uniform(0, math.pi), self.rng.randint(3, 5), s * self.rng.uniform(0.7, 1.3)
        along, across = (math.cos(rot), math.sin(rot)), (-math.sin(rot), math.cos(rot))
        for i in range(n):
            offset = (i - (n - 1) / 2) * 1.2 * s
            self.box(x + offset * along[0], y + offset * along[1], 0, 0.35 * s, s, h, rot)
        self.box(x, y, h, n * 1.25 * s, 1.1 * s, 0.2 * s, rot)
        for side in (-0.5, 0.5):
            self.box(
                x + side * s * across[0], y + side * s * across[1], h + 0.2 * s, n * 1.25 * s, 0.12 * s, 0.25 * s, rot
            )

    def rock(self, x: float, y: float, s: float) -> None:
        """A boulder."""
        self.ball(x, y, 0.3 * s, 0.6 * s, "rock", self.rng.uniform(0.6, 1), 0.12)

    def block(self, x: float, y: float, s: float) -> None:
        """A plain block."""
        u = self.rng.uniform
        self.box(x, y, 0, s * u(0.6, 2), s * u(0.6, 2), s * u(0.5, 3), u(0, 3))

    def globe(self, x: float, y: float, s: float) -> None:
        """A smooth ball of the buildings' material."""
        self.ball(x, y, s * 0.5, s * 0.8)


def build_scene(scene: bpy.types.Scene, rng: random.Random) -> list[bpy.types.Object]:
    """Empty the scene, fill it with a new blockout, and return its objects."""
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj, do_unlink=True)
    bpy.data.orphans_purge(do_recursive=True)
    b = Blockout(scene, rng)
    b.ground(hills=rng.random() < 0.35)
    makers = [b.house, b.house, b.tower, b.tree, b.tree, b.castle, b.arch, b.stairs, b.rock, b.block, b.globe,
              b.pyramid, b.temple, b.bridge]  # fmt: skip
    spread = rng.uniform(1.8, 4.2)
    if rng.random() < 0.25:
        b.castle(0, 0, rng.uniform(0.9, 1.4))
    for _ in range(rng.randint(2, 12)):
        rng.choice(makers)(rng.gauss(0, spread), rng.gauss(0, spread), rng.uniform(0.6, 1.4))
    return [obj for obj in bpy.data.objects if obj.type == "MESH"]
