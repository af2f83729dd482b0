"""A sample of the second generation: a place of named parts, as a draft and as a finished picture. Imports bpy."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.training.attributes import is_held_out
from tools.training.parts import choose
from tools.training.render.painting import fogged, repaint
from tools.training.render.scenes import build_place
from tools.training.render.surfaces import Surfaces, tone
from tools.training.render.views import Viewport, set_sky, stand_camera

Rgb = tuple[float, float, float]
PLAIN, COLOURED, RANDOM, MATCAP = "plain", "coloured", "random", "matcap"
DRAFTS, ODDS = (PLAIN, COLOURED, RANDOM, MATCAP), (2.5, 5, 1, 1.5)
NEAREST = 0.5  # scene units; closer than this a wall fills the view


def choose_parts(rng: random.Random, judging: bool) -> dict[str, Any]:
    """Return what a sample shows. Pairs that were held out of the first generation's training stay so."""
    while True:
        chosen = choose(rng)
        pair = {"buildings": chosen["parts"].get("walls"), "ground": chosen["parts"].get("ground")}
        if judging or not is_held_out(pair):
            return chosen


def dress(viewport: Viewport, solids: list[bpy.types.Object], chosen: dict[str, Any], rng: random.Random) -> str:
    """Set the viewport's shading and the solids' colours as an artist might, and return which way of `DRAFTS` it is.

    Most coloured drafts have about the colours of what the parts are, so that colours mean something.
    """
    way = rng.choices(DRAFTS, ODDS)[0]
    shading = viewport.space.shading
    shading.light = "MATCAP" if way == MATCAP else "STUDIO"
    shading.show_cavity, shading.show_shadows = rng.random() < 0.3, rng.random() < 0.25
    shading.background_type = "VIEWPORT"
    sky = rng.random() < 0.35
    shading.background_color = (0.3, 0.5, 0.75) if sky else (rng.uniform(0.04, 0.4),) * 3
    shading.color_type = "OBJECT" if way in (COLOURED, RANDOM) else "SINGLE"
    shading.single_color = (rng.uniform(0.4, 0.85),) * 3
    shades: dict[str, Rgb] = {}
    for solid in solids:
        kind = solid["kind"]
        if kind not in shades:
            known = tone({"rock": "rocks"}.get(kind, kind), chosen)
            anything = (rng.uniform(0.1, 0.85), rng.uniform(0.1, 0.85), rng.uniform(0.1, 0.85))
            shades[kind] = anything if way == RANDOM else known
        solid.color = (*(min(1.0, part * rng.uniform(0.85, 1.15)) for part in shades[kind]), 1.0)
    return way


def show(solids: list[bpy.types.Object], where: str) -> None:
    """Show what is in the "draft" or in the "final", and hide the rest."""
    for solid in solids:
        hidden = solid.get("in", "both") not in ("both", where)
        solid.hide_viewport = solid.hide_render = hidden
    bpy.context.view_layer.update()


def light_room(scene: bpy.types.Scene, solids: list[bpy.types.Object], rng: random.Random) -> list[bpy.types.Object]:
    """Add soft light from where a room is open and from its lamp, and return the lights."""
    lamps = [solid for solid in solids if solid["kind"] == "lamps"]
    made = []
    wanted: list[tuple[Any, float, float, Rgb]] = [((0, -3.5, 2.2), rng.uniform(60, 160), 3.0, (1, 0.96, 0.9))]
    wanted += [((*lamp.location[:2], lamp.location.z - 0.15), 60, 0.3, (1, 0.7, 0.4)) for lamp in lamps]
    for place, power, size, colour in wanted:
        data = bpy.data.lights.new("area", "AREA")
        data.energy, data.size, data.color = power, size, colour
        light = bpy.data.objects.new("area", data)
        scene.collection.objects.link(light)
        light.location = place
        light.rotation_euler = (1.1, 0, 0) if size > 1 else (0, 0, 0)
        made.append(light)
    return made


def finish(
    scene: bpy.types.Scene, solids: list[bpy.types.Object], distance: NDArray[np.float64], chosen: dict[str, Any],
    path: Path, rng: random.Random,
) -> None:  # fmt: skip
    """Render the finished picture of the scene to `path`. ``distance``: (H, W), of the draft."""
    surfaces = Surfaces(chosen, rng)
    for solid in solids:
        solid.data.materials.clear()
        solid.data.materials.append(surfaces.of(solid["kind"]))
    lights = [set_sky(scene, chosen["sky"], rng)]
    if chosen["place"] == "room":
        lights += light_room(scene, solids, rng)
    scene.render.engine = "CYCLES"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    for light in lights:
        bpy.data.objects.remove(light)
    outside = chosen["place"] not in ("room", "level", "object")
    if not (chosen["sky"] == "fog" and outside) and chosen["medium"] in ("render", "clay render"):
        return
    picture = np.asarray(Image.open(path).convert("RGB")) / 255
    if chosen["sky"] == "fog" and outside:
        picture = fogged(picture, distance)
    if chosen["medium"] not in ("render", "clay render"):
        picture = repaint(picture, distance, chosen["medium"], np.random.default_rng(rng.getrandbits(32)))
    Image.fromarray((picture.clip(0, 1) * 255 + 0.5).astype(np.uint8)).save(path, quality=92)


def make_sample(
    viewport: Viewport, name: str, out: Path, judging: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float64], dict[str, Any]] | None:
    """Build, draw and render the sample ``name`` ("SHARD_NUMBER"), its finished picture into ``out``.

    Returns draft (H, W, 3), distance (H, W), infinite for the sky, and the record; None where a wall fills the view.
    """
    scene = viewport.scene
    chosen = choose_parts(random.Random(f"{name}/parts"), judging)
    solids, stand = build_place(scene, random.Random(f"{name}/place"), chosen)
    rng = random.Random(f"{name}/look")
    camera = stand_camera(scene, stand)
    show(solids, "draft")
    way = dress(viewport, solids, chosen, rng)
    draft, distance = viewport.draw(camera)
    if not np.isfinite(distance.min()) or distance.min() < NEAREST:
        return None
    show(solids, "final")
    finish(scene, solids, distance, chosen, out / f"{name}_final.jpg", rng)
    pose = [[round(v, 5) for v in row] for row in camera.matrix_world]
    record = {"id": name, **chosen, "draft": way, "hfov": round(camera.data.angle, 4), "camera": pose}
    return draft, distance, record
