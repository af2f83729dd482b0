"""Materials of buildings, roofs, ground and plants, as shader nodes. bpy only here and beside.

Colours are linear RGB, 0..1; texture scales are per scene unit.
"""

from __future__ import annotations

import random
from typing import Any

import bpy

from tools.training.render.nodes import Nodes

Rgb = tuple[float, float, float]
Rgba = tuple[float, float, float, float]


def jitter(color: Rgb, rng: random.Random, share: float = 0.12) -> Rgba:
    """Return an RGBA colour near an RGB one."""
    r, g, b = (max(0.0, min(1.0, x * (1 + rng.uniform(-share, share)))) for x in color)
    return r, g, b, 1.0


def dark(color: Rgb, factor: float) -> Rgb:
    """Return an RGB colour times a factor."""
    r, g, b = color
    return r * factor, g * factor, b * factor


def bricks(n: Nodes, rng: random.Random, color: Rgb, scale: float, mortar: Rgb) -> Any:
    """Return the colour of grimy courses of bricks of about that colour."""
    t = n.texture("Brick", scale, n.wall_coords())
    t.inputs["Color1"].default_value = jitter(color, rng)
    t.inputs["Color2"].default_value = jitter(dark(color, 0.65), rng)
    t.inputs["Mortar"].default_value = (*mortar, 1.0)
    t.inputs["Mortar Size"].default_value = 0.03
    grime = n.ramp(
        n.texture("Noise", 3, Detail=5.0).outputs[0], (0.3, (0.5, 0.5, 0.5, 1)), (0.7, (1.15, 1.15, 1.15, 1))
    )
    return n.mix(0.7, t.outputs["Color"], grime, "MULTIPLY")


def building_material(kind: str, snowy: bool, rng: random.Random) -> bpy.types.Material:
    """Return a new material of a kind of `attributes.ATTRIBUTES["buildings"]`, with snow on top when asked for."""
    n = Nodes(kind)
    bump = 0.4
    if kind == "stone brick":
        c = bricks(n, rng, (0.42, 0.41, 0.39), rng.uniform(1.8, 2.8), (0.16, 0.15, 0.14))
    elif kind == "red brick":
        c = bricks(n, rng, (0.52, 0.15, 0.09), rng.uniform(3, 4.5), (0.55, 0.5, 0.45))
    elif kind == "sandstone":
        c = bricks(n, rng, (0.76, 0.56, 0.34), rng.uniform(1.2, 2), (0.45, 0.32, 0.19))
    elif kind == "mossy stone":
        c = bricks(n, rng, (0.34, 0.33, 0.29), rng.uniform(1.6, 2.4), (0.14, 0.14, 0.10))
        moss = n.ramp(
            n.texture("Noise", 12, Detail=6.0).outputs[0], (0.35, (0.05, 0.12, 0.02, 1)), (0.65, (0.25, 0.42, 0.08, 1))
        )
        c = n.mix(n.ramp(n.texture("Noise", 1.8).outputs[0], (0.44, (0, 0, 0, 1)), (0.54, (1, 1, 1, 1))), c, moss)
    elif kind == "wooden plank":
        t = n.texture("Wave", rng.uniform(1.6, 2.6), Distortion=1.2, Detail=3.0)
        t.bands_direction = rng.choice("XYZ")
        w = rng.choice([(0.42, 0.24, 0.11), (0.30, 0.19, 0.12), (0.55, 0.36, 0.19)])
        c = n.ramp(t.outputs[1], (0, (*dark(w, 0.3), 1)), (0.14, jitter(w, rng)), (1, jitter(dark(w, 1.5), rng)))
    elif kind == "white plaster":
        c = n.ramp(
            n.texture("Noise", 2.5, Detail=4.0).outputs[0], (0.35, (0.66, 0.63, 0.58, 1)), (0.6, (0.86, 0.84, 0.80, 1))
        )
    elif kind == "neon glass":
        t = n.texture("Brick", rng.uniform(2.2, 3.8), n.wall_coords(), Bias=rng.uniform(-0.4, 0.2))
        t.offset = 0
        t.inputs["Color1"].default_value = rng.choice(
            [(0, 0.85, 1, 1), (1, 0.08, 0.75, 1), (1, 0.7, 0.1, 1), (0.35, 0.4, 1, 1)]
        )
        for name in ("Color2", "Mortar"):
            t.inputs[name].default_value = (0.02, 0.02, 0.04, 1)
        t.inputs["Mortar Size"].default_value = 0.08
        c = t.outputs["Color"]
        n.link(c, n.bsdf.inputs["Emission Color"])
        n.set("Emission Strength", 1.4)
        n.set("Roughness", 0.2)
    elif kind == "rusty metal":
        c = n.ramp(
            n.texture("Noise", 3.5, Detail=8.0).outputs[0],
            (0.4, (0.28, 0.29, 0.31, 1)),
            (0.5, (0.33, 0.14, 0.05, 1)),
            (0.65, (0.5, 0.22, 0.06, 1)),
        )
        n.set("Metallic", 0.5)
        n.set("Roughness", 0.5)
    elif kind == "candy striped":
        t = n.texture("Wave", rng.uniform(0.8, 1.5))
        t.bands_direction = "DIAGONAL"
        stripe = rng.choice(
            [(0.9, 0.1, 0.3), (0.15, 0.65, 0.9), (0.98, 0.7, 0.15), (0.55, 0.25, 0.9), (0.2, 0.75, 0.4)]
        )
        c = n.ramp(t.outputs[1], (0.48, (*stripe, 1)), (0.52, (1, 0.96, 0.96, 1)))
        n.set("Roughness", 0.25)
        bump = 0
    elif kind == "ice":
        t = n.texture("Voronoi", rng.uniform(1.5, 2.5))
        t.feature = "DISTANCE_TO_EDGE"
        c = n.ramp(t.outputs[0], (0, (0.9, 0.97, 1, 1)), (0.06, (0.35, 0.68, 0.9, 1)), (0.5, (0.6, 0.86, 0.98, 1)))
        n.set("Roughness", 0.12)
    elif kind == "lava rock":
        t = n.texture("Voronoi", rng.uniform(1.2, 2.2))
        t.feature = "DISTANCE_TO_EDGE"
        c = n.ramp(t.outputs[0], (0, (1, 0.5, 0.05, 1)), (0.05, (0.8, 0.1, 0.01, 1)), (0.12, (0.06, 0.045, 0.045, 1)))
        glow = n.ramp(t.outputs[0], (0, (1, 0.5, 0.08, 1)), (0.06, (0.5, 0.06, 0, 1)), (0.09, (0, 0, 0, 1)))
        n.link(glow, n.bsdf.inputs["Emission Color"])
        n.set("Emission Strength", 2.5)
    else:  # golden
        c = n.ramp(n.texture("Noise", 5).outputs[0], (0.3, (0.75, 0.48, 0.12, 1)), (0.7, (1, 0.76, 0.30, 1)))
        n.set("Metallic", 0.9)
        n.set("Roughness", 0.35)
        bump = 0.1
    if snowy and kind not in ("ice", "lava rock"):
        up = n.add("SeparateXYZ")
        n.link(n.add("NewGeometry").outputs["Normal"], up.inputs[0])
        c = n.mix(n.ramp(up.outputs[2], (0.35, (0, 0, 0, 1)), (0.5, (1, 1, 1, 1))), c, (0.9, 0.94, 1, 1))
    return n.done(c, bump)


def roof_material(kind: str, snowy: bool, rng: random.Random) -> bpy.types.Material:
    """Return the roof that goes with a kind of building: tiles, or the building's own material."""
    n = Nodes("roof")
    base = {
        "stone brick": (0.16, 0.20, 0.26),
        "red brick": (0.25, 0.12, 0.09),
        "white plaster": (0.55, 0.20, 0.11),
        "sandstone": (0.55, 0.30, 0.16),
        "wooden plank": (0.22, 0.13, 0.08),
        "mossy stone": (0.16, 0.24, 0.10),
    }.get(kind)
    if base is None:
        return building_material(kind, snowy, rng)
    t = n.texture("Brick", 5, n.wall_coords())
    t.inputs["Color1"].default_value, t.inputs["Color2"].default_value = jitter(base, rng), jitter(dark(base, 0.7), rng)
    t.inputs["Mortar"].default_value = (*dark(base, 0.4), 1)
    c = t.outputs["Color"]
    if snowy:
        up = n.add("SeparateXYZ")
        n.link(n.add("NewGeometry").outputs["Normal"], up.inputs[0])
        c = n.mix(n.ramp(up.outputs[2], (0.2, (0, 0, 0, 1)), (0.4, (1, 1, 1, 1))), c, (0.9, 0.94, 1, 1))
    return n.done(c)


def ground_material(kind: str) -> bpy.types.Material:
    """Return a new material of a kind of `attributes.ATTRIBUTES["ground"]`."""
    n = Nodes(kind)

    def speckle(scale: float, *stops: tuple[float, Rgba]) -> Any:
        return n.ramp(n.texture("Noise", scale, Detail=7.0).outputs[0], *stops)

    if kind == "grass":
        return n.done(
            speckle(5, (0.35, (0.04, 0.12, 0.02, 1)), (0.5, (0.11, 0.26, 0.05, 1)), (0.66, (0.27, 0.44, 0.10, 1)))
        )
    if kind == "snow":
        return n.done(speckle(1.2, (0.3, (0.78, 0.83, 0.92, 1)), (0.7, (0.93, 0.95, 0.98, 1))), 0.3)
    if kind == "sand":
        t = n.texture("Wave", 0.9, Distortion=6.0, Detail=2.0)
        return n.done(n.ramp(t.outputs[1], (0, (0.68, 0.48, 0.26, 1)), (1, (0.84, 0.66, 0.40, 1))), 0.5)
    if kind == "asphalt":
        n.set("Roughness", 0.3)
        return n.done(speckle(9, (0.35, (0.03, 0.03, 0.035, 1)), (0.65, (0.09, 0.09, 0.10, 1))), 0.2)
    if kind == "dirt":
        return n.done(speckle(3, (0.35, (0.14, 0.08, 0.045, 1)), (0.65, (0.33, 0.21, 0.12, 1))))
    if kind == "autumn leaves":
        t = n.texture("Voronoi", 4)
        return n.done(
            n.ramp(
                t.outputs[1], (0.2, (0.45, 0.12, 0.03, 1)), (0.5, (0.75, 0.34, 0.05, 1)), (0.8, (0.85, 0.60, 0.12, 1))
            )
        )
    if kind == "water":
        n.set("Roughness", 0.06)
        n.set("Specular IOR Level", 1.0)
        t = n.texture("Noise", 1.6, Detail=4.0)
        return n.done(n.ramp(t.outputs[0], (0.3, (0.02, 0.10, 0.17, 1)), (0.7, (0.05, 0.22, 0.30, 1))), 0.35)
    t = n.texture("Checker", 0.5)
    t.inputs["Color1"].default_value, t.inputs["Color2"].default_value = (0.82, 0.80, 0.78, 1), (0.25, 0.25, 0.28, 1)
    n.set("Roughness", 0.15)
    return n.done(t.outputs[0], 0)


def plant_material(kind: str, ground: str, rng: random.Random) -> bpy.types.Material:
    """Return the material of trunk, leaves or rock, as it looks on that ground."""
    n = Nodes(kind)
    if kind == "trunk":
        c = (0.16, 0.09, 0.05)
    elif kind == "rock":
        c = (0.30, 0.29, 0.28)
    else:
        c = {"snow": (0.10, 0.20, 0.12), "autumn leaves": (0.75, 0.28, 0.04), "sand": (0.30, 0.38, 0.12)}.get(
            ground, (0.08, 0.24, 0.05)
        )
    color = n.ramp(
        n.texture("Noise", 9, Detail=6.0).outputs[0],
        (0.35, jitter(dark(c, 0.5), rng)),
        (0.65, jitter(dark(c, 1.6), rng)),
    )
    if ground == "snow" and kind != "trunk":
        up = n.add("SeparateXYZ")
        n.link(n.add("NewGeometry").outputs["Normal"], up.inputs[0])
        color = n.mix(n.ramp(up.outputs[2], (0.3, (0, 0, 0, 1)), (0.6, (1, 1, 1, 1))), color, (0.9, 0.94, 1, 1))
    return n.done(color)
