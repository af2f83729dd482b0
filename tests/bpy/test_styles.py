"""Styles in Blender's module: none is lost by saving another, and none keeps the panel from being drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.bpy.test_controls import addon

__all__ = ["addon"]  # a fixture


def test_saving_the_chosen_style_anew_replaces_no_other(addon: Any, scene: Any) -> None:
    import bpy

    from addon.blender.ui.style_operators import DRAFTGLASS_OT_save_style as Save

    for name in ("Night", "Day"):
        scene.draftglass.prompt = name
        bpy.ops.draftglass.save_style(name=name)
    asked = SimpleNamespace(name="", offered="", replace=False)
    manager = SimpleNamespace(invoke_props_dialog=lambda _operator: {"RUNNING_MODAL"})
    Save.invoke(asked, SimpleNamespace(scene=scene, window_manager=manager), None)
    assert vars(asked) == {"name": "Day", "offered": "Day", "replace": False}
    scene.draftglass.prompt = "noon"
    bpy.ops.draftglass.save_style(name="Day", offered="Day")
    with pytest.raises(RuntimeError, match="'Night' already: take another name, or replace it"):
        bpy.ops.draftglass.save_style(name="Night", offered="Day")
    assert [addon.library().named(name).preset.prompt for name in ("Night", "Day")] == ["Night", "noon"]
    bpy.ops.draftglass.save_style(name="Night", offered="Day", replace=True)
    assert addon.library().named("Night").preset.prompt == "noon"


def test_a_prompt_that_blender_cut_within_a_letter_leaves_the_panel_whole(addon: Any, scene: Any) -> None:
    addon.apply(scene, addon.library().styles[0])
    scene.draftglass.prompt = "x" + "ä" * 4000
    assert addon.is_changed(scene, addon.library().styles[0])
    assert scene.draftglass_styles.chosen == "NONE"
