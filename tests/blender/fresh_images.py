"""Images and materials that come or change while live is on, each drawn off the screen before it is on it. No bpy.

    python -m tests.blender.fresh_images [--version 5.2] [--tries 20] [--kinds KIND,KIND]

Blender 5.2 crashed so after Stick. Prints a line for each kind, then one line of JSON; ends with 1 where Blender
crashed or printed an error.
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
from tests.blender.window import InBlender, Window, install
from tools import make_zip

PATIENCE_S = 60.0
PREPARE = """
import os, pathlib
import numpy as np
settings.size = 64
def cube():
    return bpy.data.objects["Cube"]
def space():
    return bpy.context.space_data
def image(size=512, pack=True):
    made = bpy.data.images.new(f"Fresh {size}", size, size)
    made.pixels.foreach_set(np.random.default_rng(number).random(size * size * 4, np.float32))
    if pack:
        made.pack()
    return made
def material(picture):
    made = bpy.data.materials.new("Fresh")
    if not made.node_tree:
        made.use_nodes = True
    tree = made.node_tree
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = picture
    tree.links.new(node.outputs[0], tree.nodes["Principled BSDF"].inputs["Base Color"])
    tree.nodes.active = node
    return made
def written():
    path = str(pathlib.Path(folder) / f"picture {number % 2}.png")
    made = image(512, pack=False)
    made.filepath_raw, made.file_format = path, "PNG"
    made.save()
    bpy.data.images.remove(made)
    return path
def textured():
    cube().data.materials.clear()
    cube().data.materials.append(material(image()))
def saved():
    path = str(pathlib.Path(folder) / "file.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path
def stick(waits=True):
    if not waits:
        live.after_redraw = lambda: None
    bpy.context.scene.draftglass_stick.texture_size = "512"
    bpy.ops.object.select_all(action="DESELECT")
    bpy.ops.draftglass.stick("EXEC_DEFAULT", True)
"""
SOLID = "space().shading.type = 'SOLID'\nspace().shading.color_type = 'TEXTURE'"
PREVIEW = "space().shading.type = 'MATERIAL'"
NEW = "cube().data.materials.clear()\ncube().data.materials.append(material(image()))"
#: By name: how the view is shaded, what is there before the tries, and one try; ``number`` counts them.
KINDS = {
    "stick without waiting": (SOLID, "", "stick(False)"),
    "stick": (SOLID, "", "stick()"),
    "new texture": (SOLID, "", NEW),
    "new texture and undo step": (SOLID, "", f"{NEW}\nbpy.ops.ed.undo_push(message='new')"),
    "4096 generated": (SOLID, "", "cube().data.materials.clear()\n"
        "made = bpy.data.images.new('Big', 4096, 4096)\nmade.generated_type = 'COLOR_GRID'\n"
        "cube().data.materials.append(material(made))"),
    "textures deleted": (SOLID, "textured()", "for one in [*bpy.data.materials, *bpy.data.images]:\n"
        "    if one.name.startswith('Fresh'):\n"
        "        (bpy.data.materials if one.id_type == 'MATERIAL' else bpy.data.images).remove(one)\ntextured()"),
    "undo and redo": (SOLID, "bpy.ops.ed.undo_push(message='a')\ntextured()\nbpy.ops.ed.undo_push(message='b')",
        "(bpy.ops.ed.redo if number % 2 else bpy.ops.ed.undo)()"),
    "file opened": (SOLID, "textured()\nsaved()", "bpy.ops.wm.open_mainfile(filepath=folder + '/file.blend')"),
    "reloaded from the disk": (SOLID, "textured()\nshown = bpy.data.images.load(written())\n"
        "cube().data.materials.clear()\ncube().data.materials.append(material(shown))",
        "shown.filepath = written()\nshown.reload()"),
    "scaled and written": (SOLID, "textured()", "shown = cube().data.materials[0].node_tree.nodes.active.image\n"
        "shown.scale(256 << number % 3, 256)\nshown.pixels[0] = 0.5\nshown.update()"),
    "displaced": (SOLID, "textured()", "cube().modifiers.clear()\n"
        "texture = bpy.data.textures.new('T', 'IMAGE')\ntexture.image = image(256)\n"
        "cube().modifiers.new('Many', 'SUBSURF').levels = 3\n"
        "cube().modifiers.new('Displaced', 'DISPLACE').texture = texture"),
    "new texture in preview": (PREVIEW, "", NEW),
    "reloaded in preview": (PREVIEW, "shown = bpy.data.images.load(written())\ncube().data.materials.clear()\n"
        "cube().data.materials.append(material(shown))", "shown.filepath = written()\nshown.reload()"),
    "undo in preview": (PREVIEW, "bpy.ops.ed.undo_push(message='a')\ntextured()\nbpy.ops.ed.undo_push(message='b')",
        "(bpy.ops.ed.redo if number % 2 else bpy.ops.ed.undo)()"),
    "shading switched": (SOLID, "textured()",
        f"{NEW}\nspace().shading.type = ('MATERIAL', 'SOLID', 'RENDERED', 'WIREFRAME')[number % 4]"),
    "composited": (PREVIEW + "\nspace().shading.use_compositor = 'ALWAYS'", "", NEW + """
scene = bpy.context.scene
if hasattr(scene, "compositing_node_group"):
    tree = bpy.data.node_groups.new("C", "CompositorNodeTree")
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    out = tree.nodes.new("NodeGroupOutput")
    scene.compositing_node_group = tree
else:
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    out = tree.nodes.new("CompositorNodeComposite")
node = tree.nodes.new("CompositorNodeImage")
node.image = image(256)
tree.links.new(node.outputs[0], out.inputs[0])
"""),
}  # fmt: skip


class Tries:
    """All tries of some kinds, in one Blender after the other where one ends."""

    def __init__(self, screen: Screen, home: Path, server: Server, tries: int) -> None:
        self._screen, self._home, self._server, self._tries = screen, home, server, tries
        self.crashes: dict[str, list[str]] = {}
        self.longest_tick = 0.0

    def run(self, kind: str) -> str:
        """Try one kind so often; what came of it, in words."""
        shading, before, once = KINDS[kind]
        number, began, troubles = 0, time.monotonic(), []
        while number < self._tries:
            with Window(self._screen, self._home) as window:
                live = Live(window, self._home)
                live.connect_to(self._server)
                window.run(f"folder = {str(self._home)!r}\nnumber = 0\n{PREPARE}\n{shading}\n{before}")
                try:
                    window.run("bpy.ops.draftglass.start()")
                    live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0, PATIENCE_S)
                    while number < self._tries:
                        number += 1
                        self._once(live, number, once)
                    self.longest_tick = max(self.longest_tick, live.stats()["tick_ms_max_outside_draw"])
                except InBlender as error:
                    troubles.append(f"try {number}: {self._where() or str(error).strip().splitlines()[-1]}")
                    if len(troubles) > 4:
                        break
        self.crashes[kind] = troubles
        return f"{kind:<24} {number} tries, {len(troubles)} ended, {time.monotonic() - began:.0f} s  {troubles[:1]}"

    def _where(self) -> str:
        """What Blender was at when it crashed; empty where it left no such note."""
        told = ""
        for path in self._home.rglob("*.crash.txt"):
            lines = path.read_text(errors="replace").splitlines()
            told = " | ".join(line.strip() for line in lines if "(" in line or line.strip().startswith("File"))[:1500]
            path.unlink()
        return told

    def _once(self, live: Live, number: int, once: str) -> None:
        shown = live.stats()["pictures_shown"]
        live.window.run(f"number = {number}\n{once}")
        live.window.run(f"bpy.context.scene.draftglass.seed = {number}")  # a picture comes, even if it looks the same
        live.wait_for("a picture", lambda stats: stats["pictures_shown"] > shown, PATIENCE_S)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Images that come or change with live on.")
    parser.add_argument("--version", default="5.2")
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()
    place = chroot(options.version)
    with tempfile.TemporaryDirectory(prefix="draftglass-home-") as folder:
        home = Path(folder)
        install(place, make_zip.build(home), home)
        with Screen(place, home) as screen, Server(home, STAND_IN) as server:
            tries = Tries(screen, home, server, options.tries)
            for kind in options.kinds.split(","):
                print(tries.run(kind), flush=True)
    told = {kind: troubles for kind, troubles in tries.crashes.items() if troubles}
    print(json.dumps({"version": options.version, "tick_ms_longest": tries.longest_tick, "troubles": told}))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
