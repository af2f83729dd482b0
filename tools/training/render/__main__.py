"""The command that renders samples. bpy only here and beside; Cycles on the CPU.

    python -m tools.training.render SHARD COUNT [--parts] [--size N] [--out DIR] [--threads N]

Per sample: ID_draft.jpg, ID_depth.png (8-bit inverse depth, nearest surface white), ID_final.jpg, and a line of
SHARD.jsonl. A sample depends on its shard and number alone; those that are there already are passed over. One process
per core with --threads 1 is fastest. Shards from 900 up are for judging; only they may hold held-out pairs.
--parts: samples of the second generation, places whose parts captions name.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from tools.training.attributes import ATTRIBUTES, HELD_OUT, is_held_out
from tools.training.render.geometry import build_scene
from tools.training.render.materials import building_material, ground_material, plant_material, roof_material
from tools.training.render.painting import fogged, repaint
from tools.training.render.parted import NEAREST, make_sample
from tools.training.render.views import SIZE, Viewport, place_camera, set_sky

FIRST_JUDGING_SHARD = 900
MEDIA_ODDS = (6, 1.5, 1)
HELD_OUT_ODDS = 0.3  # in shards for judging
SAMPLES, PARTS_SAMPLES = 6, 8  # Cycles' to a pixel
PARTS_SIZE = 512


def choose_attributes(rng: random.Random, judging: bool) -> dict[str, str]:
    """Return a value for each attribute; held-out pairs come up in shards for judging only."""
    while True:
        chosen = {name: rng.choice(values) for name, values in ATTRIBUTES.items()}
        chosen["medium"] = rng.choices(ATTRIBUTES["medium"], MEDIA_ODDS)[0]
        if judging and rng.random() < HELD_OUT_ODDS:
            chosen["buildings"], chosen["ground"] = rng.choice(sorted(HELD_OUT))
            return chosen
        if not is_held_out(chosen):
            return chosen


def finish(
    scene: bpy.types.Scene, objects: list[bpy.types.Object], distance: NDArray[np.float32], chosen: dict[str, Any],
    path: Path, rng: random.Random,
) -> None:  # fmt: skip
    """Render the finished picture of the scene with the attributes `chosen` to `path`."""
    snowy = chosen["ground"] == "snow"
    materials = {
        "building": [building_material(chosen["buildings"], snowy, rng) for _ in range(2)],
        "roof": [roof_material(chosen["buildings"], snowy, rng)],
        "ground": [ground_material(chosen["ground"])],
        **{kind: [plant_material(kind, chosen["ground"], rng)] for kind in ("trunk", "leaves", "rock")},
    }
    for obj in objects:
        obj.data.materials.clear()
        obj.data.materials.append(rng.choice(materials[obj["kind"]]))
    sun = set_sky(scene, chosen["sky"], rng)
    scene.render.engine = "CYCLES"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    bpy.data.objects.remove(sun)
    if chosen["sky"] != "fog" and chosen["medium"] == "render":
        return
    picture = np.asarray(Image.open(path).convert("RGB")) / 255
    if chosen["sky"] == "fog":
        picture = fogged(picture, distance)
    if chosen["medium"] != "render":
        picture = repaint(picture, distance, chosen["medium"], np.random.default_rng(rng.getrandbits(32)))
    Image.fromarray((picture.clip(0, 1) * 255 + 0.5).astype(np.uint8)).save(path, quality=92)


def set_up(scene: bpy.types.Scene, threads: int, size: int, samples: int) -> None:
    """Set the output, ``size`` pixels a side, and Cycles: few samples, few bounces, denoised."""
    scene.view_settings.view_transform = "Standard"
    render, cycles = scene.render, scene.cycles
    render.image_settings.file_format, render.image_settings.quality = "JPEG", 92
    render.resolution_x = render.resolution_y = size
    render.threads_mode, render.threads = "FIXED", threads
    cycles.device, cycles.samples, cycles.use_adaptive_sampling, cycles.use_denoising = "CPU", samples, False, True
    cycles.denoising_prefilter, cycles.denoising_quality = "FAST", "FAST"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 2, 2


def first_sample(
    viewport: Viewport, name: str, out: Path, judging: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float64], dict[str, Any]] | None:
    """Make a sample of the first generation, as ``parted.make_sample`` does one of the second.

    None where the view is of nothing, or of a wall before it.
    """
    scene = viewport.scene
    shard, number = map(int, name.split("_"))
    objects = build_scene(scene, random.Random(f"{shard}/{number // 2}"))
    rng = random.Random(f"{shard}/{number}/look")
    camera = place_camera(scene, rng)
    viewport.dress(objects, rng)
    draft, distance = viewport.draw(camera)
    near = float(distance.min())
    if not np.isfinite(near) or near < NEAREST:
        return None
    chosen = choose_attributes(rng, judging)
    finish(scene, objects, distance, chosen, out / f"{name}_final.jpg", rng)
    pose = [[round(v, 5) for v in row] for row in camera.matrix_world]
    record = {"id": name, **chosen, "near": round(near, 3), "hfov": round(camera.data.angle, 4), "camera": pose}
    return draft, distance, record


def render_shard(shard: int, count: int, out: Path, threads: int, parts: bool, size: int) -> None:
    """Render samples 0 to `count` - 1 of a shard into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    scene = bpy.context.scene
    viewport = Viewport(scene, size)
    set_up(scene, threads, size, PARTS_SAMPLES if parts else SAMPLES)
    make = make_sample if parts else first_sample
    log_path = out / f"{shard:03d}.jsonl"
    done = {json.loads(line)["id"] for line in log_path.read_text().splitlines()} if log_path.exists() else set()
    with log_path.open("a") as log:
        for number in tqdm(range(count), desc=f"shard {shard}"):
            name = f"{shard:03d}_{number:05d}"
            if name in done:
                continue
            made = make(viewport, name, out, shard >= FIRST_JUDGING_SHARD)
            if made is None:
                continue
            draft, distance, record = made
            Image.fromarray(np.ascontiguousarray(draft)).save(out / f"{name}_draft.jpg", quality=90)
            depth = np.where(np.isinf(distance), 0, distance.min() / distance * 255).astype(np.uint8)
            Image.fromarray(depth).save(out / f"{name}_depth.png")
            log.write(json.dumps(record) + "\n")
            log.flush()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Render blockout samples.")
    parser.add_argument("shard", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[3] / ".cache" / "training" / "data")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", action="store_true", help="places of named parts: the second generation's")
    parser.add_argument("--size", type=int, help=f"pixels a side: {PARTS_SIZE} with --parts, else {SIZE}")
    arguments = parser.parse_args()
    size = arguments.size or (PARTS_SIZE if arguments.parts else SIZE)
    render_shard(arguments.shard, arguments.count, arguments.out, arguments.threads, arguments.parts, size)


if __name__ == "__main__":
    main()
