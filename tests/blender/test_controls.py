"""The controls as a person uses them: keys, the search, thumbnails clicked, aspect, undo, styles, models."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from tests.blender.live_session import EXTENSION, PATIENCE_S, Live
from tests.blender.serving import STAND_IN, Server
from tests.blender.sidebar import Sidebar
from tests.blender.window import Window

PROMPT = "bpy.context.scene.draftglass.prompt"
STYLES = f"""
styles = importlib.import_module("{EXTENSION}.addon.blender.ui.styles")
models = importlib.import_module("{EXTENSION}.addon.blender.live.models")
"""
# From the middle of the panel's first button to that of the chosen style's thumbnail, in pixels.
TO_THUMBNAIL = 98
# Of the thumbnails that come up, after Blender's own layout.
COLUMNS = 8


class Hands:
    """Mouse and keys over the 3D View."""

    def __init__(self, live: Live) -> None:
        self.live, self.window, self.screen = live, live.window, live.window.screen

    def over_viewport(self) -> None:
        """Put the pointer where neither a toolbar nor the sidebar is."""
        left, top, width, height = self.window.rectangle("VIEW_3D")
        self.screen.move_to(left + min(150, width // 3), top + height - 60)
        self.window.catch_up()

    def press(self, key: str) -> None:
        """A key, with the pointer over the 3D View."""
        self.over_viewport()
        self.screen.key(key)
        self.window.catch_up()

    def search(self, words: str, shot: str) -> None:
        """F3, the words, Enter: each when what was before is on the screen, or the keys would go to the viewport."""
        self.over_viewport()
        before = self.screen.shot()
        self.screen.key("F3")
        box = self.appeared(before, 3000)
        self.screen.run("xdotool", "type", "--delay", "80", words)
        self.appeared(box, 500)
        self.screen.run("xdotool", "key", "--delay", "60", "--repeat", "12", "Up")  # one found before may be lit
        self.window.catch_up()
        self.live.shot(shot)
        self.screen.key("Return")
        self.window.catch_up()

    def appeared(self, before: numpy.ndarray, pixels: int) -> numpy.ndarray:
        """Wait until so many pixels differ from those ``before``, and then stay; return what is seen then."""
        end, last = time.monotonic() + PATIENCE_S, before
        while time.monotonic() < end:
            time.sleep(0.5)
            now = self.screen.shot()
            changed = numpy.abs(now.astype(int) - before).max(axis=2) > 8
            if changed.sum() >= pixels and (now == last).all():
                return now
            last = now
        self.live.shot("nothing appeared")
        raise AssertionError("nothing appeared on the screen")

    def until(self, source: str, expected: object) -> None:
        """Wait until ``source`` has a value in Blender."""
        end = time.monotonic() + PATIENCE_S
        while (value := self.window.run(source)) != expected:
            if time.monotonic() > end:
                self.live.shot("waited for " + source.replace("/", " ")[:40])
                raise AssertionError(f"{source} is {value!r}, not {expected!r}")
            time.sleep(0.2)


@pytest.fixture
def hands(window: Window, shots: Path, tmp_path: Path) -> Iterator[Hands]:
    """Somebody with a server, and live not yet on."""
    with Server(tmp_path, STAND_IN) as server:
        live = Live(window, shots)
        live.connect_to(server)
        window.run(STYLES)
        yield Hands(live)


def begin(hands: Hands) -> None:
    """Start live by its key, and wait for a picture of the view at rest."""
    hands.press("ctrl+shift+d")
    hands.live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0)
    hands.live.rest()


def test_keys_and_search(hands: Hands) -> None:
    begin(hands)
    hands.press("ctrl+shift+d")
    hands.until("live.state()", "paused")
    sent = hands.live.stats()["frames_sent"]
    hands.live.orbit()
    time.sleep(1)
    assert hands.live.stats()["frames_sent"] == sent, "paused, and still something was sent"
    hands.live.shot("paused")
    hands.press("ctrl+shift+d")
    hands.until("live.state()", "live")
    hands.live.wait_for("a frame of what changed meanwhile", lambda stats: stats["frames_sent"] > sent)
    hands.search("neon night", "search")
    hands.until(PROMPT, "a neon glass city on asphalt at night")
    hands.search("new seed", "search for the dice")
    hands.until("settings.seed != 0", True)
    hands.search("stop live", "search for the end")
    hands.until("live.state()", "stopped")


def test_a_key_of_ones_own_is_kept(hands: Hands) -> None:
    """As the preferences do it: in the user's key configuration."""
    item = """
keymap = bpy.context.window_manager.keyconfigs.user.keymaps["3D View"]
item = next(one for one in keymap.keymap_items if one.idname == "draftglass.play")
"""
    hands.window.run(item + "item.type, item.shift, item.ctrl = 'F6', False, False")
    hands.window.run(f"bpy.ops.preferences.addon_show(module={EXTENSION!r})")
    hands.window.catch_up(20)
    hands.live.shot("preferences")
    hands.window.run(
        "with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):\n bpy.ops.wm.window_close()"
    )
    hands.window.catch_up()
    hands.press("ctrl+shift+d")
    hands.window.catch_up()
    assert hands.window.run("live.state()") == "stopped"
    hands.press("F6")
    hands.live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0)


def test_styles_by_the_mouse(hands: Hands) -> None:
    sidebar = Sidebar(hands.window)
    x, y = sidebar.buttons()[0]
    closed = hands.live.shot("the chosen style").astype(int)
    hands.screen.click(x - 10, y + TO_THUMBNAIL)
    hands.appeared(closed, 40_000)
    opened = hands.live.shot("all styles").astype(int)
    new = numpy.abs(opened - closed).max(axis=2) > 2
    rows = numpy.flatnonzero(new.sum(axis=1) > 400)
    columns = numpy.flatnonzero(new[rows].sum(axis=0) > len(rows) / 2)
    assert len(rows) and len(columns) > 400, "no thumbnails came up"
    tile = (columns[-1] - columns[0]) / COLUMNS
    hands.screen.click(int(columns[0] + 2.5 * tile), int(rows[0] + tile / 2))
    hands.until(PROMPT, "a stone brick castle on snow at dawn")
    hands.live.shot("another style")


def test_a_style_of_ones_own_has_the_picture(hands: Hands, tmp_path: Path) -> None:
    begin(hands)
    window, file = hands.window, tmp_path / "shared.json"
    window.run("settings.prompt = 'a tower'\nbpy.ops.draftglass.save_style(name='Tower')")
    window.run(f"bpy.ops.draftglass.export_style(filepath={str(file)!r})")
    told = json.loads(file.read_text())
    assert (told["name"], told["prompt"]) == ("Tower", "a tower")
    assert len(told["thumbnail"]) > 1000
    window.run(f"bpy.ops.draftglass.delete_style()\nbpy.ops.draftglass.import_styles(filepath={str(file)!r})")
    Sidebar(window)
    window.catch_up(10)
    hands.live.shot("a style of one's own")
    assert window.run("styles.applied(bpy.context.scene).own")
    assert all(window.run("[item[3] for item in styles._enum_items(None, None)]"))


def test_aspect_and_undo(hands: Hands) -> None:
    begin(hands)
    window, size = hands.window, "list(live.picture().size)"
    window.run("settings.aspect = 'SQUARE'\nbpy.ops.ed.undo_push(message='square')")
    hands.until(size, [256, 256])
    hands.live.rest()
    hands.live.shot("square")
    window.run("settings.aspect = 'CAMERA'\nbpy.ops.view3d.view_camera()\nbpy.ops.ed.undo_push(message='camera')")
    hands.until(size, [256, 160])
    hands.live.rest()
    hands.live.shot("the camera's frame")
    expected = """
width, height = live.picture().size
camera = bpy.context.scene.camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), x=width, y=height)
import numpy
bool(numpy.allclose(live.picture().request.frame.projection, camera, atol=1e-4))
"""
    hands.until(expected, True)
    connections = hands.live.stats()["connections"]
    hands.press("ctrl+z")
    hands.until("bpy.context.scene.draftglass.aspect", "SQUARE")
    hands.until(size, [256, 256])
    stats = hands.live.rest()
    assert (stats["connections"], window.run("live.state()")) == (connections, "live"), "the undo disturbed live"


def test_models_in_the_panel(hands: Hands) -> None:
    begin(hands)
    window = hands.window
    hands.until("'embedded' in [entry.name for entry in models.entries('model')]", True)
    window.run("bpy.ops.draftglass.use_model(name='nothing of the kind')")
    hands.until("getattr(live.loop().model_failure, 'model', '') == 'nothing of the kind'", True)
    assert window.run("live.state()") == "live", "a model that is not there must not end live"
    window.run("bpy.ops.draftglass.add_lora(name='no such lora')")
    hands.until("live.problem() is not None and 'no such lora' in live.sentence()", True)
    Sidebar(window)
    window.catch_up(10)
    hands.live.shot("a LoRA that is not there")
    window.run("bpy.ops.draftglass.remove_lora(index=0)")
    hands.until("live.problem() is None", True)
