"""What a person meets in the first hour: where pictures are opened, what is stored, what jumps. No window needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bpy.pictures import show, shown


@pytest.fixture
def addon(scene: Any, tmp_path: Path) -> Iterator[Any]:
    """The add-on, registered, which keeps to a folder of the test's."""
    from addon.blender import registration

    registration.register()
    scene.draftglass_keep.folder = str(tmp_path / "kept")
    yield scene
    registration.unregister()


@pytest.fixture
def editors(addon: Any) -> list[Any]:
    """Two Image Editors: the first shows the live picture, the second an image of the user's."""
    import bpy

    from addon.blender.display import live_image

    areas = [area for area in bpy.context.window.screen.areas if area.type != "VIEW_3D"][:2]
    for area in areas:
        area.type = "IMAGE_EDITOR"
    live_image.pin(areas[0].spaces.active, live_image.make(64, 64))
    areas[1].spaces.active.image = bpy.data.images.new("Reference", 8, 8)
    return areas


def shown_in(editors: list[Any]) -> list[str]:
    return [area.spaces.active.image.name for area in editors]


@pytest.mark.parametrize("over", [0, 1])
def test_opening_a_picture_takes_no_editor_that_shows_something_else(editors: list[Any], over: int) -> None:
    import bpy

    show(shown())
    with bpy.context.temp_override(area=editors[over]):
        assert bpy.ops.draftglass.open_picture() == {"FINISHED"}
    assert shown_in(editors) == ["Draftglass", "Reference"]
    editors[1].spaces.active.image = None
    with bpy.context.temp_override(area=editors[over]):
        bpy.ops.draftglass.open_picture()
    assert shown_in(editors) == ["Draftglass", "a_castle"]
    show(shown(prompt="a tower"))
    bpy.ops.draftglass.open_picture()
    assert shown_in(editors) == ["Draftglass", "a_tower"], "a picture gives way to the next"


def test_a_picture_that_was_only_looked_at_does_not_stay_in_the_file(editors: list[Any], tmp_path: Path) -> None:
    import bpy

    show(shown())
    bpy.ops.draftglass.open_picture()
    assert not bpy.data.images["a_castle"].use_fake_user
    assert bpy.ops.draftglass.keep() == {"FINISHED"}
    assert bpy.data.images["a_castle"].use_fake_user, "one that is kept stays"
    show(shown(prompt="a tower"))
    bpy.ops.draftglass.open_picture()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    assert "a_castle" in bpy.data.images and "a_tower" not in bpy.data.images


def test_the_log_is_not_stored_with_the_file(addon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bpy

    from addon.blender.ui import server_operators

    log = tmp_path / "server.log"
    log.write_text("\n".join(f"line {number}" for number in range(5000)) + "\n" + "x" * 500, "utf-8")
    monkeypatch.setattr(server_operators, "log_file", lambda: log)
    assert bpy.ops.draftglass.open_log() == {"FINISHED"}
    assert len(bpy.data.texts) == 0
    lines = server_operators.last_lines(log)
    assert len(lines) == server_operators.LINES_SHOWN and max(map(len, lines)) <= server_operators.LINE_CHARACTERS
    assert "".join(lines[-4:]) == "x" * 500 and lines[-5] == "line 4999"
    log.unlink()
    monkeypatch.setattr(server_operators, "set_up_log", lambda: tmp_path / "none.log")
    assert bpy.ops.draftglass.open_log() == {"CANCELLED"}


def test_a_new_token_is_used_at_the_next_try(addon: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from addon.blender.live import switch
    from addon.live import Address

    chosen = SimpleNamespace(server_url="ws://127.0.0.1:9/live", token="old", token_file="", server_python="")
    monkeypatch.setattr(switch, "preferences", lambda: chosen)
    loop = SimpleNamespace(address=Address(chosen.server_url, token="old"))
    monkeypatch.setattr(switch, "_session", SimpleNamespace(process=None, loop=loop, stop=lambda: None, stats=dict))
    chosen.token = "new"
    switch.take_address()
    assert loop.address == Address(chosen.server_url, token="new")
    chosen.server_url = "ws://127"  # half of it is typed
    switch.take_address()
    assert loop.address.token == "new"
    monkeypatch.setattr(switch, "_session", SimpleNamespace(process=object(), loop=loop, stop=lambda: None, stats=dict))
    chosen.server_url, chosen.token = "ws://127.0.0.1:10/live", "of another"
    switch.take_address()
    assert loop.address.token == "new", "a server of our own has its own address"
    monkeypatch.setattr(switch, "_session", None)


def test_each_of_those_preferences_is_taken(addon: Any) -> None:
    from addon.blender.ui.preferences import DraftglassPreferences, _changed

    for name in ("server_url", "token", "token_file"):
        assert DraftglassPreferences.__annotations__[name].keywords["update"] is _changed


def test_the_progress_bar_is_there_as_long_as_live_runs(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.blender.display import hud
    from addon.blender.live import switch
    from addon.blender.ui import overlay_tools
    from addon.live.hud_words import Facts
    from addon.problems import LiveState

    drawn: list[tuple[float, str]] = []
    layout = SimpleNamespace(progress=lambda factor, text: drawn.append((factor, text)))
    overlay_tools.draw_progress(layout)
    assert drawn == [], "live is off"
    monkeypatch.setattr(switch, "is_running", lambda: True)
    for facts in (
        Facts(LiveState.STARTING),
        Facts(LiveState.LIVE),
        Facts(LiveState.LIVE, step=1, steps=2, old=True),
        Facts(LiveState.LIVE, step=2, steps=8, settling=True),
        Facts(LiveState.LIVE, settled=True),
        Facts(LiveState.LIVE, "Cycles draws no drafts.", stuck=True),
    ):
        monkeypatch.setattr(hud, "_facts", facts)
        overlay_tools.draw_progress(layout)
    assert [factor for factor, _ in drawn] == [0.0, 0.0, 0.5, 0.25, 0.0, 0.0]


def test_the_search_finds_live_first_and_maintenance_a_menu_deeper(addon: Any) -> None:
    import bpy

    from addon.blender.ui.main_panel import DRAFTGLASS_MT_menu, DRAFTGLASS_MT_server

    def labels(menu: Any) -> list[str]:
        names = [name.partition(".")[2] for name in menu.operators if name]
        return [getattr(bpy.ops.draftglass, name).get_rna_type().name for name in names]

    first, maintenance = labels(DRAFTGLASS_MT_menu), labels(DRAFTGLASS_MT_server)
    assert first[0] == "Start Draftglass Live"
    assert not [label for label in maintenance if "Draftglass" in label], "the search would put these beside Start"
    assert len(maintenance) == 7 and not set(DRAFTGLASS_MT_server.operators) & set(DRAFTGLASS_MT_menu.operators)


def test_the_website_is_that_of_the_manifest(addon: Any) -> None:
    import tomllib

    from addon.blender.ui.preferences import BUGS, WEBSITE

    manifest = tomllib.loads((Path(__file__).parents[2] / "blender_manifest.toml").read_text("utf-8"))
    assert manifest["website"] == WEBSITE and BUGS.startswith(WEBSITE)
