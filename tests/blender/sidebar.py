"""The add-on's sidebar as a person uses it: the tab opened, wide buttons found on the screen and clicked. No bpy."""

import time

import numpy

from tests.blender.window import Window

OPEN = """
for area in bpy.context.window_manager.windows[0].screen.areas:
    if area.type == "VIEW_3D":
        area.spaces.active.show_region_ui = True
        area.tag_redraw()
"""
TAB = """
def _tab():
    region = next(r for r in bpy.context.area.regions if r.type == "UI")
    try:
        region.active_panel_category = "Draftglass"
    except AttributeError:  # not drawn yet
        return False
    region.tag_redraw()
    return region.active_panel_category == "Draftglass"
_tab()
"""
COLOUR = "[round(255 * value) for value in bpy.context.preferences.themes[0].user_interface.wcol_tool.inner[:3]]"
REGION = """
[(r.x, r.y, r.width, r.height) for r in bpy.context.area.regions if r.type == "UI"][0]
"""


UNFOLD = """
panel = bpy.types.{name}
bpy.utils.unregister_class(panel)
panel.bl_options = set()
bpy.utils.register_class(panel)
"""


def unfold(window: Window, name: str) -> None:
    """Let a panel be open from the beginning; only before the sidebar is drawn for the first time."""
    window.run(UNFOLD.format(name=name))


class Sidebar:
    """The Draftglass tab of the first 3D View's sidebar."""

    def __init__(self, window: Window) -> None:
        self.window = window
        window.run(OPEN)
        end = time.monotonic() + 120
        while not window.run(TAB):
            assert time.monotonic() < end, "the sidebar has no tab of ours"
            time.sleep(0.2)
        window.catch_up()

    def rectangle(self) -> tuple[int, int, int, int]:
        """Left, top, width, height on the screen."""
        whole = self.window.rectangle("VIEW_3D")
        assert whole is not None
        inner = self.window.run(
            "[(r.x, r.y) for a in bpy.context.window_manager.windows[0].screen.areas if a.type == 'VIEW_3D'"
            " for r in a.regions if r.type == 'WINDOW'][0]"
        )
        x, y, width, height = self.window.run(REGION)
        left, top, _, tall = whole
        return left + x - inner[0], top + tall - (y - inner[1]) - height, width, height

    def scroll(self, turns: int) -> None:
        """Turn the mouse wheel over it, down; up for a number below 0. The pointer is put away again."""
        left, top, width, height = self.rectangle()
        for _ in range(abs(turns)):
            self.window.screen.click(left + width // 2, top + height // 2, 5 if turns > 0 else 4)
        self.window.screen.move_to(left - 100, top + height - 60)
        self.window.catch_up()

    def buttons(self) -> list[tuple[int, int]]:
        """The middles of the buttons that are nearly as wide as the panel, from the top: theme's colour, unbroken."""
        left, top, width, height = self.rectangle()
        picture = self.window.screen.shot()[top : top + height, left : left + width].astype(int)
        colour = numpy.array(self.window.run(COLOUR))
        wide = (numpy.abs(picture - colour).max(axis=2) <= 6).sum(axis=1) > 0.6 * width
        found, begun = [], None
        for row, is_wide in enumerate([*wide, False]):
            if is_wide and begun is None:
                begun = row
            elif not is_wide and begun is not None:
                if row - begun >= 3:
                    found.append((begun, row))
                begun = None
        return self._middles(found, left, top, width)

    def _middles(self, runs: list[tuple[int, int]], left: int, top: int, width: int) -> list[tuple[int, int]]:
        """A button's text breaks its rows of colour: runs nearer than half a button belong together."""
        merged: list[list[int]] = []
        for begun, end in runs:
            if merged and end - merged[-1][0] <= 24:
                merged[-1][1] = end
            else:
                merged.append([begun, end])
        return [(left + width // 2, top + (begun + end) // 2) for begun, end in merged if end - begun >= 12]

    def click(self, number: int) -> None:
        """Click the button of this number, from the top."""
        found = self.buttons()
        assert len(found) > number, f"there are {len(found)} buttons"
        self.window.screen.click(*found[number])
        self.window.catch_up()
        left, top, *_ = self.rectangle()
        self.window.screen.move_to(left - 200, top + 300)  # so that no button is lit, and no tooltip is there
        self.window.catch_up()
