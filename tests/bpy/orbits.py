"""Orbits of .blend files by the command line: how it ends, what each view shows, whether the first is the camera's.

    python -m tests.bpy.orbits FILE.blend|FOLDER [...] [--out FOLDER]

Prints a line for each file. Ends with 1 where one left a traceback or a crash, a view is blank, or the silhouette of
the first differs from what Workbench renders through the file's camera (IoU below 0.99). No bpy in this process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tests.blender.serving import STAND_IN, Server
from tests.bpy.headless_rig import PATIENCE, ROOT, run

SIDE, VIEWS = 256, 4
LEAST_IOU = 0.99
# A render takes what is enabled for renders, a draft what is in viewports: the render is told to take the latter.
RENDER = """
import os, sys, bpy
path, out, side = sys.argv[1], sys.argv[2], int(sys.argv[3])
bpy.ops.wm.open_mainfile(filepath=path, use_scripts=False)
window = bpy.context.window_manager.windows[0]
scene, layer, render = window.scene, window.view_layer, window.scene.render
screens = [window.screen, *bpy.data.screens]
spaces = [area.spaces.active for screen in screens[:1] for area in sorted(
    screen.areas, key=lambda a: -a.width * a.height) if area.type == "VIEW_3D"]
for thing in scene.objects:
    thing.hide_render = not (layer.objects.get(thing.name) and thing.visible_get(view_layer=layer))
    if spaces and not getattr(spaces[0], "show_object_viewport_" + thing.type.lower(), True):
        thing.hide_render = True
    thing.hide_render |= thing.display_type in {"WIRE", "BOUNDS"} and thing.instance_type == "NONE"
    thing.show_instancer_for_render = thing.show_instancer_for_viewport
    for modifier in thing.modifiers:
        modifier.show_render = modifier.show_viewport
for collection in bpy.data.collections:
    collection.hide_render = collection.hide_viewport
for other in scene.view_layers:
    other.use = other == layer
render.engine, render.film_transparent, render.filepath = "BLENDER_WORKBENCH", True, out
render.resolution_x = render.resolution_y = side
render.resolution_percentage, render.pixel_aspect_x, render.pixel_aspect_y = 100, 1, 1
render.use_border = render.use_compositing = render.use_sequencer = render.use_multiview = False
render.use_simplify = render.use_simplify and render.simplify_subdivision < 6
scene.display.render_aa = "OFF"
render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGBA"
for _ in range(2):  # what a first render of a scene leaves out at times is there in the second
    bpy.ops.render.render(write_still=True, scene=scene.name)
sys.stdout.flush()
os._exit(0)
"""


@dataclass
class Found:
    """Of one file: the exit status, how much of each view is covered, the IoU, and what is wrong or was told."""

    name: str
    status: int
    shares: list[float] = field(default_factory=list)
    iou: float | None = None
    told: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        shares = " ".join(f"{share:.3f}" for share in self.shares)
        iou = "-" if self.iou is None else f"{self.iou:.4f}"
        words = "; ".join([*(f"WRONG: {trouble}" for trouble in self.troubles), *self.told])
        return f"{self.name:<44} exit {self.status}  covered {shares or '-':<24} IoU {iou:<7} {words}"


def look_at(path: Path, out: Path, server: Server) -> Found:
    """Run the command line for one file and judge what it left."""
    where = ["--server", server.url, "--token-file", server.token_file, "--out", out]
    done = run(path, "--prompt", "x", "--orbit", VIEWS, "--size", SIDE, "--steps", 1, "--planes", *where)
    found = Found(path.stem, done.returncode)
    found.told = [
        line.removeprefix("python -m addon: ") for line in done.stderr.splitlines() if "python -m addon: " in line
    ]
    if "Traceback" in done.stderr or done.returncode not in (0, 2) or (done.returncode and not found.told):
        found.troubles.append(f"exit {done.returncode}: {done.stderr.strip()[-300:]}")
    if done.returncode:
        return found
    for number in range(VIEWS):
        with np.load(out / f"planes_{number:03}.npz") as planes:
            drawn = planes["inverse_depth"] > 0
        with Image.open(out / f"draft_{number:03}.png") as file:
            colours = np.asarray(file.convert("RGB"))
        found.shares.append(float(drawn.mean()))
        if found.shares[-1] < 0.002 and colours.reshape(-1, 3).std(0).max() < 1.5:
            found.troubles.append(f"view {number} is blank")
        if number == 0 and drawn.any():
            found.iou = _overlap(drawn, path, out / "render.png")
    own = not any("views go round all that is drawn" in line for line in found.told)
    if found.iou is not None and found.iou < LEAST_IOU and own:
        found.troubles.append(f"the first view is not the camera's: IoU {found.iou:.4f}")
    return found


def _overlap(drawn: np.ndarray, path: Path, picture: Path) -> float | None:
    """The IoU of a silhouette and that of Workbench; None where the file has no camera to render through."""
    command = [sys.executable, "-c", RENDER, str(path), str(picture), str(SIDE)]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=PATIENCE)
    if not picture.exists():
        return None
    with Image.open(picture) as file:
        rendered = np.asarray(file)[..., 3] > 127
    return float((drawn & rendered).sum() / max(1, (drawn | rendered).sum()))


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Orbits of .blend files, judged.")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    files = [one for path in options.files for one in (sorted(path.glob("*.blend")) if path.is_dir() else [path])]
    folder = (options.out or Path(tempfile.mkdtemp(prefix="draftglass-orbits-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    wrong = refused = 0
    with Server(folder, STAND_IN) as server:
        for path in files:
            found = look_at(path, folder / path.stem, server)
            wrong, refused = wrong + bool(found.troubles), refused + (found.status == 2)
            print(found, flush=True)
    print(f"{len(files)} files: {wrong} wrong, {refused} refused in a sentence; {folder}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
