"""Materials of parts with depth: rounded edges, bumps from height, not from colour alone. bpy only here and beside.

What the first generation had of a name is taken from ``materials``; colours are linear RGB.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import bpy

from tools.training.attributes import ATTRIBUTES
from tools.training.parts import COLOURS
from tools.training.render.materials import Rgb, building_material, dark, ground_material, jitter
from tools.training.render.nodes import Nodes

CLAY: Rgb = (0.62, 0.58, 0.54)
WOOD: tuple[Rgb, ...] = ((0.30, 0.17, 0.08), (0.42, 0.26, 0.13), (0.20, 0.12, 0.07), (0.50, 0.36, 0.22))
TONES: dict[str, Rgb] = {
    "red tile": (0.50, 0.14, 0.07), "slate": (0.11, 0.13, 0.17), "thatch": (0.42, 0.31, 0.14),
    "wood shingle": (0.24, 0.15, 0.09), "concrete": (0.42, 0.41, 0.39), "log": (0.34, 0.19, 0.09),
    "timber frame": (0.74, 0.69, 0.58), "summer": (0.08, 0.22, 0.04), "autumn": (0.62, 0.22, 0.03),
    "bare": (0.16, 0.11, 0.08), "snowy": (0.80, 0.84, 0.90), "blossoming": (0.82, 0.48, 0.55),
    "grey": (0.30, 0.29, 0.28), "mossy": (0.20, 0.24, 0.12), "cobbles": (0.28, 0.27, 0.25),
    "wet cobbles": (0.12, 0.12, 0.13), "gravel": (0.40, 0.37, 0.33), "floorboards": (0.36, 0.20, 0.10),
    "stone flags": (0.40, 0.38, 0.35), "tiles": (0.70, 0.66, 0.60), "carpet": (0.38, 0.10, 0.10),
    "plaster": (0.74, 0.70, 0.64), "wallpaper": (0.40, 0.48, 0.42), "wood panelling": (0.26, 0.14, 0.07),
    "wooden": (0.30, 0.17, 0.08), "iron": (0.07, 0.07, 0.075), "stone brick": (0.42, 0.41, 0.39),
    "red brick": (0.52, 0.15, 0.09), "white plaster": (0.80, 0.78, 0.74), "sandstone": (0.76, 0.56, 0.34),
    "wooden plank": (0.42, 0.24, 0.11), "mossy stone": (0.28, 0.32, 0.20), "rusty metal": (0.38, 0.18, 0.07),
    "neon glass": (0.10, 0.40, 0.60), "candy striped": (0.90, 0.45, 0.55), "ice": (0.55, 0.80, 0.92),
    "lava rock": (0.20, 0.07, 0.05), "golden": (0.85, 0.60, 0.20), "grass": (0.13, 0.28, 0.06),
    "snow": (0.86, 0.89, 0.94), "sand": (0.76, 0.58, 0.34), "asphalt": (0.06, 0.06, 0.065), "dirt": (0.24, 0.15, 0.09),
    "autumn leaves": (0.65, 0.30, 0.05), "water": (0.04, 0.16, 0.26), "marble tiles": (0.60, 0.58, 0.56),
}  # fmt: skip
"""What each is like from afar: of coloured drafts, and of much of the material itself."""
SMALL: dict[str, Rgb] = {
    "frame": (0.70, 0.66, 0.58), "trunk": (0.16, 0.09, 0.05), "post": (0.08, 0.08, 0.085), "wheel": (0.03, 0.03, 0.03),
    "ceiling": (0.80, 0.78, 0.74), "pillow": (0.80, 0.78, 0.72), "cart": (0.30, 0.17, 0.08),
}  # fmt: skip


def tone(part: str, chosen: Mapping[str, Any]) -> Rgb:
    """The colour of a part from afar, linear RGB: of its paint, or of what it is made of."""
    name = chosen["parts"].get(part, "")
    if part in chosen["colours"]:
        return COLOURS[chosen["colours"][part]]
    return TONES.get(name) or SMALL.get(part, (0.5, 0.5, 0.5))


class Surfaces:
    """The materials of one sample. ``chosen``: as ``parts.choose`` gives it; clay is one material for all."""

    def __init__(self, chosen: Mapping[str, Any], rng: random.Random) -> None:
        self.chosen, self.rng = chosen, rng
        self.snowy = chosen["parts"].get("ground") == "snow"
        self.clay = chosen["medium"] == "clay render"
        self.made: dict[str, list[bpy.types.Material]] = {}

    def of(self, kind: str) -> bpy.types.Material:
        """A material for a solid of that kind; walls, books and vehicles come in several shades."""
        kind = {"rock": "rocks", "building": "walls", "roof": "roofs"}.get(kind, kind)
        if self.clay:
            kind = "clay"
        several = 3 if kind in ("walls", "book", "vehicles") else 1
        if kind not in self.made:
            self.made[kind] = [self._make(kind) for _ in range(several)]
        return self.rng.choice(self.made[kind])

    def _make(self, kind: str) -> bpy.types.Material:
        name = self.chosen["parts"].get(kind, "")
        if kind == "clay":
            return self._plain(CLAY, 0.7, 0)
        if kind in ("walls", "inside", "object") and name in ATTRIBUTES["buildings"]:
            return building_material(name, self.snowy and kind == "walls", self.rng)
        if kind == "ground" and name in ATTRIBUTES["ground"]:
            return ground_material(name)
        if kind in ("panes", "daylight", "lamps"):
            lit = kind == "daylight" or self.chosen["parts"].get("windows" if kind == "panes" else "lamps") == "lit"
            return self._glass(lit, (0.8, 0.9, 1.0) if kind == "daylight" else (1.0, 0.62, 0.25))
        if kind == "book":
            return self._plain(self.rng.choice(list(COLOURS.values())), 0.7, 0.1)
        if kind == "cloth":
            return self._plain(self.rng.choice(list(COLOURS.values())), 0.95, 0.3, 40)
        if kind == "vehicles":
            car = name == "car"
            return self._plain(tone(kind, self.chosen), 0.25 if car else 0.8, 0.02 if car else 0.3)
        if kind == "trees":
            return self._leaves(tone(kind, self.chosen))
        base = tone(kind, self.chosen) if name else SMALL.get(kind, (0.5, 0.5, 0.5))
        ways = {
            "red tile": self._rows, "slate": self._rows, "wood shingle": self._rows, "thatch": self._straw,
            "cobbles": self._stones, "wet cobbles": self._stones, "gravel": self._stones, "stone flags": self._stones,
            "timber frame": self._timber, "log": self._boards, "floorboards": self._boards,
            "wood panelling": self._boards, "wooden": self._boards, "tiles": self._tiles,
            "wallpaper": self._stripes, "grey": self._rough,
            "mossy": self._rough, "concrete": self._rough, "asphalt": self._rough, "dirt": self._rough,
        }  # fmt: skip
        if name in ways:
            return ways[name](base)
        if kind == "roofs":
            return self._rows(base)
        return self._plain(base, 0.3 if name == "iron" else 0.75, 0.15)

    def _finish(self, n: Nodes, colour: Any, height: Any = None, bump: float = 0.5, round_by: float = 0.0) -> Any:
        """Round the edges, raise the surface by ``height`` and lay snow on what faces up.

        Rounding doubles the time of a picture: it is for what is seen from near.
        """
        if self.snowy and n.material.name.split(".")[0] != "glass":
            up = n.add("SeparateXYZ")
            n.link(n.add("NewGeometry").outputs["Normal"], up.inputs[0])
            lies = n.ramp(up.outputs[2], (0.3, (0, 0, 0, 1)), (0.5, (1, 1, 1, 1)))
            colour = n.mix(lies, colour, (0.9, 0.94, 1, 1))
        n.link(colour, n.bsdf.inputs["Base Color"])
        normal = None
        if round_by:
            rounded = n.add("Bevel", samples=2)
            rounded.inputs["Radius"].default_value = round_by
            normal = rounded.outputs[0]
        if height is not None and bump:
            node = n.add("Bump")
            node.inputs["Strength"].default_value = bump
            node.inputs["Distance"].default_value = 0.06
            n.link(height, node.inputs["Height"])
            if normal is not None:
                n.link(normal, node.inputs["Normal"])
            normal = node.outputs[0]
        if normal is not None:
            n.link(normal, n.bsdf.inputs["Normal"])
        return n.material

    def _near(self) -> float:
        """By how much edges are rounded, in scene units."""
        return 0.025 if self.chosen["place"] in ("room", "object", "ruins") else 0.0

    def _worn(self, n: Nodes, colour: Any, share: float = 0.35) -> Any:
        """The colour with grime and light patches, so that no surface is of one tone."""
        patches = n.texture("Noise", 1.6, Detail=6.0).outputs[0]
        return n.mix(
            share, colour, n.ramp(patches, (0.3, (0.35, 0.34, 0.33, 1)), (0.7, (1.25, 1.22, 1.18, 1))), "MULTIPLY"
        )

    def _plain(self, base: Rgb, rough: float, bump: float, scale: float = 14) -> Any:
        n = Nodes("plain")
        n.set("Roughness", rough)
        fine = n.texture("Noise", scale, Detail=5.0).outputs[0]
        colour = n.ramp(fine, (0.3, jitter(dark(base, 0.85), self.rng)), (0.7, jitter(dark(base, 1.1), self.rng)))
        return self._finish(n, self._worn(n, colour, 0.15 if bump else 0.0), fine, bump, self._near())

    def _glass(self, lit: bool, glow: Rgb) -> Any:
        n = Nodes("glass")
        n.set("Roughness", 0.05)
        n.set("Base Color", (0.02, 0.03, 0.045, 1))
        n.set("Specular IOR Level", 0.9)
        if lit:
            n.set("Emission Color", (*glow, 1))
            n.set("Emission Strength", 4.0 if self.chosen["place"] == "room" else 2.5)
        return n.material

    def _leaves(self, base: Rgb) -> Any:
        n = Nodes("leaves")
        n.set("Roughness", 0.6)
        n.set("Subsurface Weight", 0.0)
        each = n.add("NewGeometry").outputs["Random Per Island"]
        colour = n.ramp(each, (0.0, jitter(dark(base, 0.45), self.rng)), (0.55, jitter(base, self.rng)),
                        (1.0, jitter(dark(base, 1.9), self.rng)))  # fmt: skip
        n.link(colour, n.bsdf.inputs["Base Color"])
        return n.material

    def _bricks(self, n: Nodes, base: Rgb, scale: float, row: float, width: float, gap: float, coords: Any) -> Any:
        t = n.texture("Brick", scale, coords)
        t.inputs["Row Height"].default_value, t.inputs["Brick Width"].default_value = row, width
        t.inputs["Mortar Size"].default_value, t.inputs["Mortar Smooth"].default_value = gap, 0.3
        t.inputs["Color1"].default_value = jitter(dark(base, 1.25), self.rng)
        t.inputs["Color2"].default_value = jitter(dark(base, 0.6), self.rng)
        t.inputs["Mortar"].default_value = (*dark(base, 0.25), 1)
        return t

    def _rows(self, base: Rgb) -> Any:
        """Tiles, slates or shingles: rows that overlap, each tile of its own shade."""
        n = Nodes("rows")
        t = self._bricks(n, base, self.rng.uniform(2.2, 3), 0.32, 0.42, 0.018, n.wall_coords())
        saw = n.add("TexWave", wave_profile="SAW", bands_direction="Z")
        saw.inputs["Scale"].default_value = 1.6
        n.link(n.coords, saw.inputs["Vector"])
        height = n.mix(0.5, t.outputs["Color"], saw.outputs[0])
        return self._finish(n, self._worn(n, t.outputs["Color"]), height, 0.6)

    def _straw(self, base: Rgb) -> Any:
        n = Nodes("straw")
        stretch = n.add("Mapping")
        stretch.inputs["Scale"].default_value = (26, 26, 3)
        n.link(n.coords, stretch.inputs["Vector"])
        fine = n.texture("Noise", 1.0, stretch.outputs[0], Detail=4.0).outputs[0]
        colour = n.ramp(fine, (0.3, jitter(dark(base, 0.4), self.rng)), (0.7, jitter(dark(base, 1.4), self.rng)))
        return self._finish(n, self._worn(n, colour), fine, 0.9)

    def _stones(self, base: Rgb) -> Any:
        """Cobbles, gravel or flags: rounded cells with dark joints, glossy where they are wet."""
        n = Nodes("stones")
        name = next((one for one in self.chosen["parts"].values() if TONES.get(one) == base), "")
        if name == "wet cobbles":
            n.set("Roughness", 0.12)
        scale = {"gravel": 11, "stone flags": 1.5}.get(name, 4.5)
        edge = n.texture("Voronoi", scale)
        edge.feature = "DISTANCE_TO_EDGE"
        cell = n.texture("Voronoi", scale)
        shade = n.ramp(
            cell.outputs["Color"], (0.2, jitter(dark(base, 0.6), self.rng)), (0.8, jitter(dark(base, 1.4), self.rng))
        )
        joint = n.ramp(edge.outputs[0], (0.0, (0.1, 0.1, 0.1, 1)), (0.09, (1, 1, 1, 1)))
        height = n.ramp(edge.outputs[0], (0.0, (0, 0, 0, 1)), (0.25, (1, 1, 1, 1)))
        return self._finish(n, n.mix(1.0, self._worn(n, shade), joint, "MULTIPLY"), height, 0.7)

    def _timber(self, base: Rgb) -> Any:
        """Plaster between dark beams, upright, level and aslant."""
        n = Nodes("timber")
        t = self._bricks(n, base, 1.0, 1.25, 0.9, 0.075, n.wall_coords())
        t.offset = 0.0
        t.inputs["Color1"].default_value = t.inputs["Color2"].default_value = jitter(base, self.rng)
        t.inputs["Mortar"].default_value = (*self.rng.choice(WOOD[:3]), 1)
        return self._finish(n, self._worn(n, t.outputs["Color"], 0.2), t.outputs["Fac"], 0.5)

    def _boards(self, base: Rgb) -> Any:
        n = Nodes("boards")
        t = self._bricks(
            n, base, 1.0, 0.16, 2.2, 0.006, n.coords if "floor" in self.chosen["parts"] else n.wall_coords()
        )
        stretch = n.add("Mapping")
        stretch.inputs["Scale"].default_value = (2, 30, 30)
        n.link(n.coords, stretch.inputs["Vector"])
        grain = n.texture("Noise", 1.0, stretch.outputs[0], Detail=5.0).outputs[0]
        n.set("Roughness", 0.45)
        colour = n.mix(
            0.6, t.outputs["Color"], n.ramp(grain, (0.35, (0.45, 0.42, 0.4, 1)), (0.65, (1.2, 1.2, 1.2, 1))), "MULTIPLY"
        )
        return self._finish(n, colour, t.outputs["Color"], 0.4, self._near())

    def _tiles(self, base: Rgb) -> Any:
        n = Nodes("tiles")
        n.set("Roughness", 0.2)
        t = self._bricks(n, base, 1.0, 0.45, 0.45, 0.015, n.coords)
        t.offset = 0.0
        t.inputs["Color2"].default_value = jitter(dark(base, 0.8), self.rng)
        return self._finish(n, t.outputs["Color"], t.outputs["Color"], 0.3)

    def _stripes(self, base: Rgb) -> Any:
        n = Nodes("stripes")
        base = self.rng.choice((base, (0.55, 0.45, 0.38), (0.30, 0.36, 0.48), (0.58, 0.50, 0.30)))
        t = n.texture("Wave", 2.5, n.wall_coords())
        colour = n.ramp(t.outputs[1], (0.45, jitter(base, self.rng)), (0.55, jitter(dark(base, 1.25), self.rng)))
        return self._finish(n, self._worn(n, colour, 0.15), None)

    def _rough(self, base: Rgb) -> Any:
        """Rock, concrete, asphalt, earth: noise of two sizes."""
        n = Nodes("rough")
        fine, wide = (n.texture("Noise", scale, Detail=8.0).outputs[0] for scale in (12, 2.2))
        colour = n.ramp(fine, (0.3, jitter(dark(base, 0.6), self.rng)), (0.7, jitter(dark(base, 1.35), self.rng)))
        if "mossy" in self.chosen["parts"].values() and base == TONES["mossy"]:
            grown = n.ramp(wide, (0.45, (0, 0, 0, 1)), (0.55, (1, 1, 1, 1)))
            colour = n.mix(grown, colour, (0.10, 0.20, 0.03, 1))
        return self._finish(n, self._worn(n, colour), fine, 0.6, self._near() * 2)
