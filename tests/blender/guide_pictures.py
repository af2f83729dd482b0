"""Makes the guide's pictures anew: the demo's town in a real Blender, with the server and the model of the checkout.

    python -m tests.blender.guide_pictures [--version 5.2] [--out docs/images]

No bpy. What the model draws changes with its weights; the script does not.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy
from PIL import Image

from tests.blender.live_session import Live
from tests.blender.places import ROOT, chroot
from tests.blender.screen import Screen
from tests.blender.serving import SERVER, Server
from tests.blender.sidebar import Sidebar, unfold
from tests.blender.window import Window, install
from tools import make_zip

PIXELS = (1640, 860)
SCENE = ROOT / "docs" / "demo" / "castle_town.blend"
TO_STYLE, TO_GALLERY, TILE = 98, 240, 105
"""Pixels from the panel's first button to the style's thumbnail, from the panel's end to the gallery's, and one of
those to choose from."""
PROMPTS = (
    "a sandstone castle town on grass at noon",
    "a stone brick castle on snow at dawn",
    "a white plaster town on water at noon, watercolor",
    "an ice castle on water at dawn",
)
PREPARE = f"""
bpy.ops.wm.open_mainfile(filepath={str(SCENE)!r}, load_ui=False)
"""
# Only a 3D View is left, which looks on the town as the file's camera does.
ARRANGE = """
window = bpy.context.window_manager.windows[0]
for kind in ("OUTLINER", "PROPERTIES", "DOPESHEET_EDITOR", "TIMELINE"):
    for area in [area for area in window.screen.areas if area.ui_type == kind or area.type == kind]:
        region = area.regions[0]
        with bpy.context.temp_override(window=window, area=area, region=region):
            bpy.ops.screen.area_close()
"""
LOOK = """
area = next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")
space, scene = area.spaces.active, bpy.context.scene
space.shading.type, space.shading.light, space.shading.color_type = "SOLID", "STUDIO", "MATERIAL"
space.shading.background_type, space.shading.background_color = "VIEWPORT", (0.30, 0.48, 0.70)
space.shading.show_cavity = True
space.overlay.show_overlays = False
space.show_gizmo_navigate = False
space.show_region_toolbar = space.show_region_tool_header = False
view = space.region_3d
view.view_perspective, view.view_distance = "PERSP", 14.0
view.view_matrix = scene.camera.matrix_world.inverted()
space.lens = 68
settings = scene.draftglass
settings.strength, settings.steps, settings.settle_steps, settings.settle_size = 0.7, 2, 4, 512
scene.draftglass_overlay.hud = False
"""


def save(pixels: numpy.ndarray, path: Path) -> None:
    """As a PNG of 256 colours, which a screen's picture does with."""
    colours = Image.fromarray(pixels).quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours.save(path, optimize=True)
    print(path, path.stat().st_size)


class Photographer:
    """Live in the town, and a camera."""

    def __init__(self, live: Live, out: Path) -> None:
        self.live, self.window, self.out = live, live.window, out

    def draw(self, prompt: str) -> None:
        """Let live draw the town, and wait for the settled picture."""
        self.window.run(f"settings.prompt = {prompt!r}")
        self.window.catch_up()
        self.live.rest()
        self.window.catch_up()

    def whole(self) -> numpy.ndarray:
        """The window without its title and its menus."""
        self.away()
        _, top, _, height = self.window.rectangle("VIEW_3D")
        seen = self.window.screen.shot()
        return seen[top : top + height, : PIXELS[0]]

    def away(self) -> None:
        """Put the pointer where it lights nothing."""
        self.window.screen.move_to(PIXELS[0] // 2, 12)
        self.window.catch_up(8)


def photograph(live: Live, out: Path) -> None:
    """Make all of the guide's pictures."""
    window = live.window
    here = Photographer(live, out)
    Sidebar(window)
    here.draw(PROMPTS[0])
    save(here.whole(), out / "live.png")

    window.run("bpy.context.space_data.show_region_ui = False\nscene.draftglass_overlay.hud = True")
    window.run("scene.draftglass_overlay.show, scene.draftglass_overlay.split = True, 0.5")
    here.draw(PROMPTS[0])
    here.away()
    left, top, width, height = window.rectangle("VIEW_3D")
    save(window.screen.shot()[top : top + height, left : left + width], out / "overlay.png")
    window.run("scene.draftglass_overlay.show = scene.draftglass_overlay.hud = False")

    for prompt in PROMPTS[1:]:
        here.draw(prompt)
        window.run("bpy.ops.draftglass.keep()")
    sidebar = Sidebar(window)
    x, y = sidebar.buttons()[0]
    window.screen.click(x - 10, y + TO_STYLE)
    time.sleep(2)
    window.catch_up(8)
    left, top, width, height = sidebar.rectangle()
    save(window.screen.shot()[top : y + TO_STYLE + 3 * TILE + 20, left - 40 : left + 8 * TILE + 60], out / "styles.png")
    window.screen.key("Escape")
    window.catch_up()
    sidebar.scroll(40)
    left, top, width, height = sidebar.rectangle()
    window.screen.click(left + width // 2, top + height - TO_GALLERY)
    time.sleep(2)
    window.catch_up(8)
    seen = window.screen.shot()
    save(seen[top + height // 3 : top + height, left - 60 : left + 4 * TILE], out / "gallery.png")
    window.screen.key("Escape")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Make the guide's pictures anew.")
    parser.add_argument("--version", default="5.2")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    place = chroot(options.version)
    with tempfile.TemporaryDirectory(prefix="draftglass-guide-") as folder:
        home = Path(folder)
        install(place, make_zip.build(home), home)
        with Screen(place, home, PIXELS) as screen, Window(screen, home) as window, Server(home, SERVER) as server:
            window.run(PREPARE)
            window.catch_up()
            window.run(ARRANGE)
            window.catch_up()
            window.run(LOOK)
            live = Live(window, home)
            window.run(f"scene.draftglass_keep.folder = {str(home / 'kept')!r}")
            unfold(window, "DRAFTGLASS_PT_pictures_view3d")
            live.connect_to(server)
            window.run("bpy.ops.draftglass.start()")
            live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0)
            live.rest()
            photograph(live, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
