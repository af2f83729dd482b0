"""Random edits, undo, files, orbits and views for a long time, with live on. A seed tells which. No bpy.

    python -m tests.blender.soak [--version 4.3] [--minutes 30] [--seed 1]

Prints one line of JSON; ends with 1 where an exception, a leak or a stall was found.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.blender.live_session import Live
from tests.blender.places import chroot
from tests.blender.screen import Screen
from tests.blender.serving import STAND_IN, Server
from tests.blender.window import Window, install
from tools import make_zip

STALL_S = 180.0
"""After a change a picture must come within this, whatever the machine is doing besides."""
LEAK_MB = 150.0
"""What Blender may grow by over the second half of the time: drivers and Blender's undo keep some."""
BEGIN = """
import random, pathlib
gallery = importlib.import_module("bl_ext.user_default.draftglass.addon.blender.pictures.gallery")
spaces = importlib.import_module("bl_ext.user_default.draftglass.addon.blender.capture.spaces")
def cube():
    return bpy.context.scene.objects[chosen % len(bpy.context.scene.objects)] if bpy.context.scene.objects else None
def style():
    return bpy.context.scene.draftglass
def view():
    return bpy.context.space_data.region_3d
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
def push(name):
    bpy.ops.ed.undo_push(message=name)
"""
EDITS = {
    "add": "bpy.ops.mesh.primitive_cube_add(location=place)\npush('add')",
    "ball": "bpy.ops.mesh.primitive_uv_sphere_add(location=place)\npush('ball')",
    "move": "thing = cube()\nif thing: thing.location = place\npush('move')",
    "turn": "thing = cube()\nif thing: thing.rotation_euler = place\npush('turn')",
    "delete": "thing = cube()\nif thing and thing.type == 'MESH': bpy.data.objects.remove(thing)\npush('delete')",
    "material": "m = bpy.data.materials.new('M')\nm.diffuse_color = (*[abs(v) / 4 for v in place], 1)\n"
    "thing = cube()\nif thing and thing.type == 'MESH': thing.active_material = m\npush('material')",
    "edit mode": "if bpy.ops.object.mode_set.poll() and bpy.context.active_object.type == 'MESH':\n"
    " bpy.ops.object.mode_set(mode='EDIT')\n bpy.ops.mesh.select_all(action='SELECT')\n"
    " bpy.ops.transform.resize(value=(1.1, 0.9, 1))\n bpy.ops.object.mode_set(mode='OBJECT')\npush('edit')",
    "hide": "thing = cube()\nif thing: thing.hide_set(not thing.hide_get())\npush('hide')",
    "frame": "bpy.context.scene.frame_set(chosen % 250)",
    "undo": "if bpy.ops.ed.undo.poll(): bpy.ops.ed.undo()",
    "redo": "if bpy.ops.ed.redo.poll(): bpy.ops.ed.redo()",
    "orbit": "view().view_rotation.rotate(__import__('mathutils').Euler((0.1 * place[0], 0, 0.3 * place[1])))",
    "zoom": "view().view_distance = 4 + abs(place[0]) * 4",
    "axis": "bpy.ops.view3d.view_axis(type=('FRONT', 'TOP', 'LEFT')[chosen % 3])",
    "camera": "if bpy.context.scene.camera: bpy.ops.view3d.view_camera()",
    "local": "if bpy.ops.view3d.localview.poll(): bpy.ops.view3d.localview(frame_selected=False)",
    "quad": "bpy.ops.screen.region_quadview()",
    "shading": "bpy.context.space_data.shading.type = ('SOLID', 'WIREFRAME', 'SOLID')[chosen % 3]",
    "overlays": "bpy.context.space_data.overlay.show_overlays = bool(chosen % 2)",
    "prompt": "style().prompt = f'a castle number {chosen}'",
    "size": "style().size = (64, 128, 192)[chosen % 3]",
    "steps": "style().steps = 1 + chosen % 4\nstyle().depth_weight = chosen % 2",
    "pause": "live.paused = not live.paused and chosen % 2 == 0",
    "keep": "if live.picture(): bpy.ops.draftglass.keep()",
    "restore": "if gallery.entries(): bpy.ops.draftglass.restore_picture()",
    "forget": "if gallery.entries(): bpy.ops.draftglass.delete_picture()",
    "scene": "bpy.context.window.scene = bpy.data.scenes[chosen % len(bpy.data.scenes)] if chosen % 3 else"
    " bpy.data.scenes.new('S')",
    "save": "bpy.ops.wm.save_as_mainfile(filepath=path)",
    "open": "if pathlib.Path(path).exists(): bpy.ops.wm.open_mainfile(filepath=path)",
    "new": "bpy.ops.wm.read_homefile(app_template='')",
    "restart": "bpy.ops.draftglass.stop() if live.is_running() else None\nbpy.ops.draftglass.start()",
}
RARE = {"new": 0.15, "open": 0.15, "save": 0.2, "restart": 0.1, "quad": 0.2, "local": 0.3, "scene": 0.2, "keep": 0.3}


class Soak:
    """One long session."""

    def __init__(self, live: Live, folder: Path, seed: int) -> None:
        self.live, self.random = live, random.Random(seed)
        live.window.run(BEGIN + f"path = {str(folder / 'soak.blend')!r}\nsettings.size = 64")
        live.window.run("bpy.context.preferences.filepaths.save_version = 0")
        self.actions: dict[str, int] = {}
        self.memory: list[float] = []
        self.answers: list[float] = []
        self.waits: list[float] = []
        self.longest_tick = 0.0
        self.troubles: list[str] = []
        self.frames = self.pictures = 0

    def run(self, seconds: float) -> dict:
        """Act for so long; what was found."""
        self.live.window.run("bpy.ops.draftglass.start()")
        self.live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 240)
        begun = time.monotonic()
        checked = begun
        while time.monotonic() - begun < seconds:
            self.act()
            if time.monotonic() - checked > 10:
                self.check()
                checked = time.monotonic()
        self.check()
        return self.found(time.monotonic() - begun)

    def act(self) -> None:
        """One random action, or a drag of the mouse."""
        if self.random.random() < 0.06:
            left, top, width, height = self.live.window.rectangle("VIEW_3D")
            self.live.window.screen.drag((left + width // 2, top + height // 2), (self.random.randint(-80, 80), 20))
            self.count("drag")
            return
        names = list(EDITS)
        (name,) = self.random.choices(names, [RARE.get(name, 1.0) for name in names])
        place = [round(self.random.uniform(-3, 3), 3) for _ in range(3)]
        self.count(name)
        before = self.live.stats() if name == "restart" else None
        if before is not None:
            self.frames += before["frames_sent"]
            self.pictures += before["pictures_shown"]
            self.longest_tick = max(self.longest_tick, before["tick_ms_max_outside_draw"])
        began = time.monotonic()
        try:
            self.live.window.run(f"place, chosen = {place}, {self.random.randrange(1000)}\n{EDITS[name]}")
        except Exception as error:
            self.troubles.append(f"{name}: {str(error).strip().splitlines()[-1]}")
        self.answers.append(time.monotonic() - began)
        time.sleep(self.random.choice((0.0, 0.05, 0.3)))

    def check(self) -> None:
        """Live is on, a change gives a picture, and what Blender printed is no error."""
        run = self.live.window.run
        shown, began = self.live.stats()["pictures_shown"], time.monotonic()
        run(f"live.paused = False\nstyle().prompt = 'checked {time.monotonic()}'")
        try:
            self.live.wait_for("a picture", lambda stats: stats["pictures_shown"] > shown)
        except AssertionError as error:
            self.troubles.append(f"stall: {error}")
        self.waits.append(time.monotonic() - began)
        if self.waits[-1] > STALL_S:
            self.troubles.append(f"stall: {self.waits[-1]:.0f} s until a picture")
        self.memory.append(run("memory()"))

    def count(self, name: str) -> None:
        """Note an action."""
        self.actions[name] = self.actions.get(name, 0) + 1

    def found(self, seconds: float) -> dict:
        """The figures."""
        stats = self.live.stats()
        half = self.memory[len(self.memory) // 2 :]
        few = max(1, len(half) // 4)
        growth = statistics.mean(half[-few:]) - statistics.mean(half[:few])
        log = self.live.window.log.read_text(errors="replace")
        self.troubles += [
            line for line in log.splitlines() if line.startswith(("Traceback", "Error in", "SystemError"))
        ]
        if growth > LEAK_MB:
            self.troubles.append(f"leak: {growth:.0f} MB more in the second half")
        return {
            "seconds": round(seconds),
            "actions": sum(self.actions.values()),
            "kinds": self.actions,
            "frames_sent": self.frames + stats["frames_sent"],
            "pictures_shown": self.pictures + stats["pictures_shown"],
            "memory_mb": {"first": round(self.memory[0]), "last": round(self.memory[-1]), "growth": round(growth)},
            "tick_ms_p50": stats["tick_ms_p50"],
            "tick_ms_longest": max(self.longest_tick, stats["tick_ms_max_outside_draw"]),
            "longest_answer_s": round(max(self.answers), 2),
            "longest_wait_for_a_picture_s": round(max(self.waits), 2),
            "troubles": self.troubles,
        }


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Random edits with live on, for a long time.")
    parser.add_argument("--version", default="4.3")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    place = chroot(options.version)
    with tempfile.TemporaryDirectory(prefix="draftglass-home-") as folder:
        home = Path(folder)
        install(place, make_zip.build(home), home)
        with Screen(place, home) as screen, Window(screen, home, 3500) as window, Server(home, STAND_IN) as server:
            live = Live(window, home)
            live.connect_to(server)
            found = Soak(live, home, options.seed).run(60 * options.minutes)
    print(json.dumps({"version": options.version, "seed": options.seed, **found}))
    return 1 if found["troubles"] else 0


if __name__ == "__main__":
    sys.exit(main())
