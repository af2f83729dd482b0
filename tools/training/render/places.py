"""Places of the second generation, blocked out with the parts that captions name. bpy only here and beside.

Each object's "kind" is a part of ``parts.PARTS`` or what belongs to one ("pane", "frame", "trunk", "post", "wheel").
"in" says where it shows: "both", or only in the "draft" (a plain solid, as a modeler blocks out a tree) or the "final"
(leaves, grass, panes that many a blockout leaves to the imagination).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

import bmesh
import bpy
from mathutils import Matrix

from tools.training.render.geometry import TAU, Blockout
from tools.training.render.growth import blades, leaf_cloud, twigs

Spot = tuple[float, float, float]


@dataclass(frozen=True)
class Stand:
    """Where a camera may stand, what it looks at, its lens (mm); ``across``: width of a view without perspective."""

    eye: Spot
    target: Spot
    lens: float = 35.0
    across: float = 0.0


def spot(place: Matrix) -> Spot:
    """Where a matrix puts the origin."""
    return place[0][3], place[1][3], place[2][3]


class Place(Blockout):
    """A place under construction. ``parts``: what each part is; ``bare``: the draft leaves panes and doors out."""

    def __init__(self, scene: bpy.types.Scene, rng: random.Random, parts: Mapping[str, str]) -> None:
        super().__init__(scene, rng)
        self.parts, self.bare = parts, rng.random() < 0.4

    def only(self, where: str, *solids: bpy.types.Object) -> None:
        """Have solids show in the "draft" or the "final" alone."""
        for solid in solids:
            solid["in"] = where

    def detail(self, *solids: bpy.types.Object) -> None:
        """Have solids show in the draft only where this blockout has details."""
        if self.bare:
            self.only("final", *solids)

    def gable(
        self, x: float, y: float, z: float, w: float, d: float, h: float, rot: float, kind: str = "roofs"
    ) -> None:
        """Add a saddle roof: its ridge along the depth, over a base of width and depth at z."""

        def fill(bm: bmesh.types.BMesh) -> None:
            low = [bm.verts.new((sx * w / 2, sy * d / 2, 0)) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            top = [bm.verts.new((0, sy * d / 2, h)) for sy in (-1, 1)]
            for corners in (
                (0, 1, top[0]),
                (2, 3, top[1]),
                (1, 2, top[1], top[0]),
                (3, 0, top[0], top[1]),
                (3, 2, 1, 0),
            ):
                bm.faces.new([low[c] if isinstance(c, int) else c for c in corners])

        self.add(kind, fill, x, y, z, rot)

    def opening(self, base: Matrix, across: float, up: float, out: float, w: float, h: float, kind: str) -> None:
        """A window or door: ``across`` and ``up`` on a wall that is ``out`` from the middle of a house at ``base``."""
        place = base @ Matrix.Translation((across, -out, up))
        x, y, z = spot(place)
        rot = place.to_euler().z
        inner = self.box(x, y, z, w, 0.06, h, rot, "panes" if kind == "windows" else "doors")
        edges = [self.box(*spot(place @ Matrix.Translation((s * w / 2, 0, 0))), 0.09, 0.14, h, rot, "frame")
                 for s in (-1, 1)]  # fmt: skip
        edges.append(self.box(x, y, z + h, w + 0.2, 0.16, 0.09, rot, "frame"))
        if kind == "windows":
            edges.append(self.box(x, y, z - 0.05, w + 0.2, 0.2, 0.07, rot, "frame"))
            edges.append(self.box(x, y, z + h / 2, w, 0.1, 0.04, rot, "frame"))
            edges.append(self.box(x, y, z, 0.04, 0.1, h, rot, "frame"))
        self.only("final", *edges)
        self.detail(inner)

    def building(self, x: float, y: float, w: float, d: float, h: float, rot: float, roof: str = "gable") -> None:
        """A house with windows in rows, a door in front and a roof: "gable", "hip" or "flat"."""
        u = self.rng.uniform
        self.box(x, y, 0, w, d, h, rot, "walls")
        if roof == "gable":
            self.gable(x, y, h, w * 1.12, d * 1.1, w * u(0.45, 0.75), rot)
        elif roof == "hip":
            self.cone(x, y, h, 0.79, 0, w * u(0.35, 0.6), 4, "roofs", rot + math.pi / 4).scale = (w, d, 1)
        else:
            self.only("final", self.box(x, y, h, w * 1.04, d * 1.04, 0.18, rot, "frame"))
        if roof != "flat" and self.rng.random() < 0.5:
            at = (
                Matrix.Translation((x, y, 0))
                @ Matrix.Rotation(rot, 4, "Z")
                @ Matrix.Translation((w * 0.25, d * 0.2, 0))
            )
            beside = spot(at)
            self.box(beside[0], beside[1], h, 0.28, 0.28, w * 0.6, rot, "walls")
        for side in range(4):
            base = Matrix.Translation((x, y, 0)) @ Matrix.Rotation(rot + side * math.pi / 2, 4, "Z")
            long, out = (w, d / 2) if side % 2 == 0 else (d, w / 2)
            count, floors = max(1, int(long / 0.95)), max(1, int(h / 1.25))
            for floor in range(floors):
                for k in range(count):
                    across = (k + 0.5) / count * long - long / 2
                    if side == 0 and floor == 0 and k == count // 2:
                        self.opening(base, across, 0.0, out, 0.5, 0.95, "doors")
                    else:
                        self.opening(base, across, 0.4 + floor * 1.25, out, 0.4, 0.6, "windows")

    def keep(self, x: float, y: float, r: float, h: float) -> None:
        """A round tower with a pointed roof or battlements, narrow windows and at times a banner."""
        self.cone(x, y, 0, r, r * 0.92, h, 24, "walls")
        for floor in range(int(h / 1.3)):
            base = Matrix.Translation((x, y, 0)) @ Matrix.Rotation(self.rng.uniform(0, TAU), 4, "Z")
            self.opening(base, 0, 0.7 + floor * 1.3, r * 0.97, 0.2, 0.5, "windows")
        if self.rng.random() < 0.65:
            self.cone(x, y, h, r * 1.25, 0, r * self.rng.uniform(1.6, 2.4), 24, "roofs")
            top = h + r * 2
        else:
            self.cone(x, y, h, r * 1.12, r * 1.12, 0.3, 24, "walls")
            for k in range(9):
                turn = k * TAU / 9
                self.box(x + r * math.cos(turn), y + r * math.sin(turn), h + 0.3, 0.28, 0.22, 0.3, turn, "walls")
            top = h + 0.3
        if "banners" in self.parts and self.rng.random() < 0.6:
            self.cone(x, y, top - 0.5, 0.035, 0.03, 1.6, 8, "post")
            self.box(x + 0.4, y, top + 0.55, 0.75, 0.03, 0.45, 0, "banners")

    def plant(self, x: float, y: float, s: float) -> None:
        """A tree: in the draft a trunk and a ball or a cone, in the final its leaves, or twigs where it is bare."""
        u = self.rng.uniform
        high, crown = s * u(0.7, 1.2), s * u(0.6, 0.85)
        pointed = self.rng.random() < 0.35 and self.parts.get("trees") in ("summer", "snowy")
        self.cone(x, y, 0, 0.11 * s, 0.06 * s, high + 0.3 * s, 8, "trunk")
        if pointed:
            plain = self.cone(x, y, high * 0.6, crown * 0.9, 0, s * 2, 10, "trees")
        else:
            plain = self.ball(x, y, high + crown * 0.7, crown, "trees", u(0.85, 1.2), 0.06)
        if self.parts.get("trees") == "bare":
            self.only("final", twigs(self, x, y, high * 0.7, crown))
        else:
            self.only(
                "final", leaf_cloud(self, x, y, high * 0.6 if pointed else high + crown * 0.7, crown, s * 2, pointed)
            )
        self.only("draft", plain)

    def earth(self, hills: bool) -> None:
        """The ground; where grass or leaves lie on it, they stand out of it in the final."""
        self.ground(hills)
        if self.parts.get("ground") in ("grass", "autumn leaves"):
            self.only("final", blades(self, 9, flat=self.parts["ground"] != "grass"))

    def way(self, width: float, rot: float) -> None:
        """A road through the middle, with kerbs in the final."""
        self.box(0, 0, 0.0, width, 60, 0.03, rot, "road")

    def fence(self, x: float, y: float, long: float, rot: float) -> None:
        """A fence of posts and two rails, from a place along its turn."""
        along = (math.cos(rot), math.sin(rot))
        for k in range(int(long / 0.5) + 1):
            self.box(x + along[0] * k * 0.5, y + along[1] * k * 0.5, 0, 0.07, 0.07, 0.6, rot, "fences")
        for z in (0.22, 0.46):
            self.box(x + along[0] * long / 2, y + along[1] * long / 2, z, long, 0.04, 0.07, rot, "fences")

    def vehicle(self, x: float, y: float, rot: float) -> None:
        """A car or a cart on four wheels."""
        base = Matrix.Translation((x, y, 0)) @ Matrix.Rotation(rot, 4, "Z")
        car = self.parts.get("vehicles") == "car"
        self.box(x, y, 0.22, 0.85, 1.9, 0.4 if car else 0.25, rot, "vehicles")
        if car:
            self.box(x, y, 0.62, 0.72, 1.0, 0.34, rot, "vehicles")
            self.detail(self.box(x, y, 0.66, 0.75, 0.8, 0.24, rot, "panes"))
        else:
            for side in (-0.4, 0.4):
                x, y, _ = spot(base @ Matrix.Translation((side, 0, 0)))
                self.box(x, y, 0.45, 0.06, 1.9, 0.3, rot, "vehicles")
        for side in (-0.42, 0.42):
            for end in (-0.6, 0.6):
                wheel = self.ball(0, 0, 0, 0.22, "wheel")
                wheel.matrix_world = base @ Matrix.Translation((side, end, 0.22)) @ Matrix.Diagonal((0.35, 1, 1, 1))

    def lamp(self, x: float, y: float, high: float = 2.2) -> None:
        """A street lamp."""
        self.cone(x, y, 0, 0.06, 0.04, high, 8, "post")
        self.ball(x, y, high + 0.1, 0.14, "lamps")
