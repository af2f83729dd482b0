"""What live costs the viewport: redraws a second while the mouse orbits, live off and on, side by side. No bpy.

    python -m tests.blender.frame_rate [--version 4.3] [--scene heavy] [--seconds 6] [--rounds 3] [--size 256]

The stand-in server answers after 50 ms, as a fast GPU does; what is measured is what the add-on does to Blender.
The screen is laid out alike for both, with an Image Editor beside the viewport, and the two take turns. Prints the
table and one line of JSON; with ``--table FILE`` the table's line is put into that file too, in place of the line of
the same version, scene and size.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.blender.live_session import Live
from tests.blender.places import chroot, installed
from tests.blender.screen import Screen
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window, install
from tools import make_zip

COUNT = """
import time
drawn, looked = [], [None]
def _count():
    look = tuple(value for row in bpy.context.region_data.view_matrix for value in row)
    if look != looked[0]:  # another redraw of the same view is no frame of the movement
        drawn.append(time.perf_counter())
        looked[0] = look
_counting = bpy.types.SpaceView3D.draw_handler_add(_count, (), "WINDOW", "POST_PIXEL")
"""
HEAVY = """
for number in range(48):
    bpy.ops.mesh.primitive_uv_sphere_add(segments=192, ring_count=96, location=(number % 8 - 4, number // 8 - 3, 0))
bpy.ops.object.select_all(action="DESELECT")
"""
SCENES = {"cube": ("Blender's default scene", ""), "heavy": ("48 balls, 1.8 million triangles", HEAVY)}
HEAD = (
    "| Blender | scene | picture | live off, frames/s | live on, frames/s | kept | captures/s | longest pause |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def rate(live: Live, seconds: float) -> dict:
    """Orbit by one long drag; redraws a second, and the longest pause between two in milliseconds."""
    screen = live.window.screen
    left, top, width, height = live.window.rectangle("VIEW_3D")
    moves = round(seconds / 0.008)
    start = left + width // 2, top + height // 2
    words = ["xdotool", "mousemove", *map(str, start), "sleep", "0.3", "mousedown", "2"]
    for step in range(moves):
        # to and fro, so that a long drag stays within the viewport
        across = abs((step * 2) % (width // 2) - width // 4)
        words += ["sleep", "0.008", "mousemove", str(start[0] + across), str(start[1] + step % 23)]
    live.window.run("drawn.clear()")
    screen.run(*words, "mouseup", "2")
    times = live.window.run("drawn")
    pauses = [after - before for before, after in itertools.pairwise(times)]
    return {"fps": len(pauses) / sum(pauses), "longest_ms": max(pauses) * 1000, "redraws": len(pauses)}


def measure(live: Live, seconds: float, rounds: int) -> dict:
    """Live off and on by turns; the medians of each, and their ratio."""
    live.window.run(COUNT)
    found: dict = {"off": [], "on": []}
    for _ in range(rounds):
        found["off"].append(rate(live, seconds))
        live.window.run("bpy.ops.draftglass.start()")
        live.wait_for("that it is live", lambda stats: stats["pictures_shown"] > 0)
        live.rest()
        before = live.stats()
        found["on"].append(rate(live, seconds))
        after = live.stats()
        found["on"][-1]["captures"] = after["frames_sent"] - before["frames_sent"]
        found["on"][-1]["captures_per_s"] = found["on"][-1]["captures"] / seconds
        found["on"][-1]["stages_ms"] = {
            name: round(after["stages_ms"][name]["p50"], 1) for name in ("draw", "read", "display", "poll")
        }
        live.rest()
        live.window.run("bpy.ops.draftglass.stop()")
    medians = {name: statistics.median(one["fps"] for one in runs) for name, runs in found.items()}
    return {**medians, "kept": medians["on"] / medians["off"], "runs": found}


def line(found: dict) -> str:
    """The table's line for what was measured."""
    longest = ", ".join(f"{max(one['longest_ms'] for one in found['runs'][name]):.0f} ms" for name in ("off", "on"))
    captures = statistics.median(one["captures_per_s"] for one in found["runs"]["on"])
    scene = SCENES[found["scene"]][0] + ", in local view" * found["local"]
    return (
        f"| {found['version']} | {scene} | {found['size']} x {found['size']} | {found['off']:.1f} "
        f"| {found['on']:.1f} | {found['kept']:.0%} | {captures:.1f} | {longest} |\n"
    )


def put(file: Path, new: str) -> None:
    """Put a line into the table in ``file``, in place of that of the same version, scene and size."""
    if not file.exists():
        file.write_text(f"# What live costs the viewport\n\n`python -m tests.blender.frame_rate`\n\n{HEAD}", "utf-8")
    lines = file.read_text("utf-8").splitlines(keepends=True)
    key = new.split("|")[1:4]
    same = [number for number, old in enumerate(lines) if old.split("|")[1:4] == key]
    if same:
        lines[same[0]] = new
    else:
        last = max(number for number, old in enumerate(lines) if old.startswith("|"))
        lines.insert(last + 1, new)
    file.write_text("".join(lines), "utf-8")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Measure what live costs the viewport.")
    parser.add_argument("--version", default="4.3", help="4.3 or 5.2; BLENDER=path in the environment goes before")
    parser.add_argument("--scene", default="cube", choices=SCENES)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--shading", default="SOLID")
    parser.add_argument("--local", action="store_true", help="in local view")
    parser.add_argument("--table", type=Path, help="a file with the table, which the line is put into")
    options = parser.parse_args()
    blender = os.environ.get("BLENDER")
    place = installed(blender) if blender else chroot(options.version)
    with tempfile.TemporaryDirectory(prefix="draftglass-home-") as folder:
        home = Path(folder)
        install(place, make_zip.build(home), home)
        with (
            Screen(place, home) as screen,
            Window(screen, home) as window,
            Server(home, (*STAND_IN, "--delay", "0.05")) as server,
        ):
            live = Live(window, home)
            live.connect_to(server)
            live.window.run(f"settings.size = {options.size}")
            live.window.run(SCENES[options.scene][1])
            live.window.run(f"bpy.context.space_data.shading.type = {options.shading!r}")
            if options.local:
                live.window.run("bpy.ops.object.select_all()\nbpy.ops.view3d.localview(frame_selected=False)")
            # once, so that the Image Editor is there before the first measurement, and shaders are compiled
            live.window.run("bpy.ops.draftglass.start()")
            live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0)
            live.rest()
            live.window.run("bpy.ops.draftglass.stop()")
            found = measure(live, options.seconds, options.rounds)
    found = {"version": place.version, "scene": options.scene, "size": options.size, "local": options.local, **found}
    print(HEAD + line(found) + json.dumps(found))
    if options.table is not None:
        put(options.table, line(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
