"""Sliders dragged by the mouse while live is on: materials, modifiers, geometry nodes. A crash ends it. No bpy.

    python -m tests.blender.sliders [--version 4.3] [--moves 10000] [--shading SOLID] [--preview] [--script]

A move counts once the scene was evaluated for it: Blender skips those that come while it draws. Prints one line of
JSON; ends with 1 where Blender crashed, an error was printed or a heartbeat took too long.
"""

import argparse
import json
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

MOVES_A_DRAG = 100
STALL_MS = 100.0
"""A heartbeat may not take longer than this outside of Blender's own drawing."""
PAUSE_S = "0.03"
"""Between two moves of the mouse: Blender takes those in one that come faster than it draws."""
# A panel of nothing but one tall slider after the other. The preview of the material is rendered by a thread: on a CPU
# for seconds, so that hardly a move counts meanwhile.
PANEL = """
bpy.context.preferences.view.show_tooltips = False
cube = bpy.data.objects["Cube"]
material = cube.active_material
material.use_nodes = True
settings.size = 64
bevel = cube.modifiers.new("Bevel", "BEVEL")
array = cube.modifiers.new("Array", "ARRAY")
array.count = 2
tree = bpy.data.node_groups.new("Scale", "GeometryNodeTree")
tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
begin, end = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
turned = tree.nodes.new("GeometryNodeTransform")
tree.links.new(begin.outputs[0], turned.inputs["Geometry"])
size = tree.nodes.new("ShaderNodeValue").outputs[0]  # a modifier's own inputs are reached otherwise since 5.2
tree.links.new(size, turned.inputs["Scale"])
tree.links.new(turned.outputs[0], end.inputs[0])
nodes = cube.modifiers.new("Nodes", "NODES")
nodes.node_group = tree
inputs = material.node_tree.nodes["Principled BSDF"].inputs
class SOAK_PT_sliders(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "VIEW_3D", "UI", "Soak"
    bl_label, bl_options = "Soak", {"HIDE_HEADER"}
    def draw(self, context):
        column = self.layout.column()
        column.scale_y = 3
        column.prop(inputs["Roughness"], "default_value", text="Roughness", slider=True)
        column.prop(inputs["Base Color"], "default_value", index=0, text="Red", slider=True)
        column.prop(material, "diffuse_color", index=1, text="Green", slider=True)
        column.prop(bevel, "width", text="Bevel", slider=True)
        column.prop(array, "count", text="Array", slider=True)
        column.prop(size, "default_value", text="Nodes", slider=True)
        if with_preview:
            self.layout.template_preview(material)
bpy.utils.register_class(SOAK_PT_sliders)
bpy.context.space_data.show_region_ui = True
updates = [0]
bpy.app.handlers.depsgraph_update_post.append(lambda *_: updates.__setitem__(0, updates[0] + 1))
values = lambda: [inputs["Roughness"].default_value, inputs["Base Color"].default_value[0], material.diffuse_color[1],
                  bevel.width, array.count, size.default_value]
"""
TAB = """
def _tab():
    region = next(r for r in bpy.context.area.regions if r.type == "UI")
    try:
        region.active_panel_category = "Soak"
    except (AttributeError, TypeError):
        return None
    region.tag_redraw()
    return [region.x, region.y, region.width, region.height]
_tab()
"""
SLIDERS = ("material roughness", "material colour", "viewport colour", "modifier bevel", "modifier array", "nodes")
ROW, FIRST = 63, 34
"""Pixels from one slider to the next, and from the region's top to the middle of the first, at a UI scale of 1."""


# As an add-on's timer does it: a change in each turn of Blender's loop, some before it has drawn the one before.
BY_SCRIPT = """
import math
def _move():
    value = 0.5 + 0.4 * math.sin(left[0])
    number = left[0] % 6
    if number == 0: inputs["Roughness"].default_value = value
    elif number == 1: inputs["Base Color"].default_value[0] = value
    elif number == 2: material.diffuse_color[1] = value
    elif number == 3: bevel.width = value
    elif number == 4: array.count = 1 + left[0] // 6 % 3
    else: size.default_value = value
    left[0] -= 1
    return 0.0 if left[0] else None
left = [100]
bpy.app.timers.register(_move)
"""


class Sliders:
    """Live with the panel open."""

    def __init__(self, live: Live, shading: str = "SOLID", preview: bool = True) -> None:
        self.live, self.window = live, live.window
        self.window.run(f"with_preview = {preview}\n{PANEL}")
        self.window.run(f"bpy.context.space_data.shading.type = {shading!r}")
        self.sent = self.moves = 0
        """Moves of the mouse, and those that the scene was evaluated for."""
        self.moved: set[str] = set()

    def start(self) -> None:
        """Live on, with a first picture."""
        self.window.run("bpy.ops.draftglass.start()")
        self.live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, 600)
        self.live.rest(patience_s=600)

    def drag(self, number: int) -> None:
        """To and fro over the slider of this number; checks that it moved."""
        inner = self.window.until(TAB)
        left, top, _, height = self.window.rectangle("VIEW_3D")
        x0, y0 = self.window.run("[(r.x, r.y) for r in bpy.context.area.regions if r.type == 'WINDOW'][0]")
        x, y = left + inner[0] - x0, top + height - (inner[1] - y0 + inner[3]) + FIRST + ROW * number
        middle, reach = x + inner[2] // 2, inner[2] // 3
        before = self.window.run("values()")[number]
        words = ["xdotool", "mousemove", str(middle), str(y), "sleep", "0.1", "mousedown", "1"]
        for step in range(MOVES_A_DRAG):
            across = abs((step * 7) % (2 * reach) - reach)
            words += ["sleep", PAUSE_S, "mousemove", str(middle - reach // 2 + across), str(y)]
        self.window.screen.run(*words, "sleep", "0.05", "mouseup", "1")
        self.sent += MOVES_A_DRAG
        self.moves = self.window.run("updates[0]")
        if self.window.run("values()")[number] != before:
            self.moved.add(SLIDERS[number])

    def script(self) -> None:
        """As many moves without the mouse, of all sliders in turn."""
        before = self.window.run("values()")
        self.window.run(BY_SCRIPT)
        self.window.until("left[0] == 0", 600)
        self.moves = self.window.run("updates[0]")
        after = self.window.run("values()")
        self.moved |= {name for name, one, other in zip(SLIDERS, before, after, strict=True) if one != other}

    def found(self) -> dict:
        """The figures, and what is wrong."""
        stats = self.live.stats()
        log = self.window.log.read_text(errors="replace")
        troubles = [line for line in log.splitlines() if line.startswith(("Traceback", "Error in", "SystemError"))]
        if stats["tick_ms_max_outside_draw"] > STALL_MS:
            troubles.append(f"a heartbeat took {stats['tick_ms_max_outside_draw']:.0f} ms outside of drawing")
        if stats["state"] != "live":
            troubles.append(stats["sentence"])
        troubles += [f"{name} was never moved" for name in SLIDERS if name not in self.moved]
        return {
            "moves": self.moves,
            "of_the_mouse": self.sent,
            "frames_sent": stats["frames_sent"],
            "pictures_shown": stats["pictures_shown"],
            "tick_ms_p50": stats["tick_ms_p50"],
            "tick_ms_longest": stats["tick_ms_max_outside_draw"],
            "troubles": troubles,
        }


def soak(
    live: Live, moves: int, shading: str = "SOLID", seconds: float = 1e9, preview: bool = True, script: bool = False
) -> dict:
    """Drag all sliders in turn, each once at least, until there were so many moves or for so long."""
    sliders = Sliders(live, shading, preview)
    sliders.start()
    began = time.monotonic()
    number = 0
    while number < len(SLIDERS) or (sliders.moves < moves and time.monotonic() - began < seconds):
        sliders.script() if script else sliders.drag(number % len(SLIDERS))
        number += 1
    live.wait_for("that it is live", lambda stats: stats["state"] == "live")
    return sliders.found()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Drag sliders with live on.")
    parser.add_argument("--version", default="4.3")
    parser.add_argument("--moves", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=3000)
    parser.add_argument("--shading", default="SOLID")
    parser.add_argument("--preview", action="store_true", help="show the material's preview beside the sliders")
    parser.add_argument("--script", action="store_true", help="move them by a timer in Blender, not by the mouse")
    options = parser.parse_args()
    place = chroot(options.version)
    with tempfile.TemporaryDirectory(prefix="draftglass-home-") as folder:
        home = Path(folder)
        install(place, make_zip.build(home), home)
        with Screen(place, home) as screen, Window(screen, home) as window, Server(home, STAND_IN) as server:
            live = Live(window, home)
            live.connect_to(server)
            found = soak(live, options.moves, options.shading, options.seconds, options.preview, options.script)
    print(json.dumps({"version": options.version, "shading": options.shading, **found}))
    return 1 if found["troubles"] else 0


if __name__ == "__main__":
    sys.exit(main())
