"""What live costs the viewport: redraws a second while the mouse orbits, live off and on, side by side. No bpy.

    python -m tests.blender.frame_rate [--version 4.3] [--seconds 6] [--rounds 3] [--size 256]

The stand-in server answers after 50 ms, as a fast GPU does; what is measured is what the add-on does to Blender.
The screen is laid out alike for both: an Image Editor beside the viewport. Prints one line of JSON.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from pathlib import Path

from scripts import make_zip
from tests.blender.live_session import Live
from tests.blender.places import chroot
from tests.blender.screen import Screen
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window, install

COUNT = """
import time
drawn = []
def _count():
    drawn.append(time.perf_counter())
_counting = bpy.types.SpaceView3D.draw_handler_add(_count, (), "WINDOW", "POST_PIXEL")
"""
GAP_S = 0.5
"""A pause between two redraws as long as this is the mouse standing still, before and after the drag."""


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
    pauses = [after - before for before, after in itertools.pairwise(times) if after - before < GAP_S]
    return {"fps": len(pauses) / sum(pauses), "longest_ms": max(pauses) * 1000, "redraws": len(pauses)}


def measure(live: Live, seconds: float, rounds: int) -> dict:
    """Live off and on by turns; the medians of each, and their ratio."""
    live.window.run(COUNT)
    found: dict = {"off": [], "on": []}
    for _ in range(rounds):
        found["off"].append(rate(live, seconds))
        live.window.run("bpy.ops.draftglass.start()")
        live.wait_for("that it is live", lambda stats: stats["pictures_shown"] > 0, 120)
        live.rest()
        before = live.stats()
        found["on"].append(rate(live, seconds))
        after = live.rest()
        found["on"][-1]["captures"] = after["frames_sent"] - before["frames_sent"]
        found["on"][-1]["stages_ms"] = {
            name: round(after["stages_ms"][name]["p50"], 1) for name in ("draw", "read", "display", "poll")
        }
        live.window.run("bpy.ops.draftglass.stop()")
    medians = {name: statistics.median(one["fps"] for one in runs) for name, runs in found.items()}
    return {**medians, "kept": medians["on"] / medians["off"], "runs": found}


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Measure what live costs the viewport.")
    parser.add_argument("--version", default="4.3")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--shading", default="SOLID")
    options = parser.parse_args()
    place = chroot(options.version)
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
            live.window.run(f"bpy.context.space_data.shading.type = {options.shading!r}")
            # once, so that the Image Editor is there before the first measurement, and shaders are compiled
            live.window.run("bpy.ops.draftglass.start()")
            live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 240)
            live.rest()
            live.window.run("bpy.ops.draftglass.stop()")
            print(json.dumps({"version": options.version, **measure(live, options.seconds, options.rounds)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
