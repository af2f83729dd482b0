"""Styles in Blender's module: none is lost by saving another, and none keeps the panel from being drawn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
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


def test_choosing_a_style_sets_the_settings(addon: Any, scene: Any) -> None:
    choice, settings = scene.draftglass_styles, scene.draftglass
    settings.steps = 7
    assert choice.chosen == "NONE"
    settings.steps = 2
    assert addon.library().get(choice.chosen).preset.around("") == settings.prompt, "a new scene has the first style"
    listed = addon.library().named("Neon night")
    choice.chosen = listed.key
    assert settings.prompt == listed.preset.around("")
    assert settings.steps == listed.preset.steps
    assert choice.chosen == listed.key
    settings.strength = 0.5
    assert choice.chosen == "NONE", "the settings are another's by now"
    assert addon.applied(scene) == listed


def test_a_style_is_put_around_what_was_typed_and_one_s_own_comes_back(addon: Any, scene: Any) -> None:
    choice, settings = scene.draftglass_styles, scene.draftglass
    settings.prompt, settings.strength, settings.steps = "a lighthouse", 0.4, 7
    assert addon.name_of(scene) == "Your Own"
    night, dawn = addon.library().named("Neon night"), addon.library().named("Snowy dawn")
    choice.chosen = night.key
    assert settings.prompt == night.preset.around("a lighthouse") and settings.prompt.startswith("a lighthouse, ")
    assert addon.name_of(scene) == "Neon night" and choice.chosen == night.key
    choice.chosen = dawn.key
    assert settings.prompt == dawn.preset.around("a lighthouse"), "the first style's words are left in it"
    settings.prompt = settings.prompt.replace("lighthouse", "windmill")
    assert addon.name_of(scene) == "Snowy dawn", "the user's own words are no change of the style"
    settings.strength = 0.77
    assert addon.name_of(scene) == "Snowy dawn, changed"
    choice.chosen = "NONE"
    assert (settings.prompt, settings.steps) == ("a windmill", 7) and settings.strength == pytest.approx(0.4)
    assert addon.name_of(scene) == "Your Own"


def test_what_was_typed_in_place_of_a_style_is_one_s_own(addon: Any, scene: Any) -> None:
    choice, settings = scene.draftglass_styles, scene.draftglass
    night, dawn = addon.library().named("Neon night"), addon.library().named("Snowy dawn")
    choice.chosen = night.key
    assert settings.prompt == night.preset.around(""), "Blender's first prompt is nobody's words"
    settings.prompt = "a submarine"
    choice.chosen = dawn.key
    assert settings.prompt == dawn.preset.around("a submarine")


def test_a_style_saved_from_another_keeps_its_place_for_the_words(addon: Any, scene: Any) -> None:
    import bpy

    settings = scene.draftglass
    settings.prompt = "a lighthouse"
    bpy.ops.draftglass.apply_style(name="Neon night")
    settings.strength = 0.61
    bpy.ops.draftglass.save_style(name="Neon, weak")
    saved = addon.library().named("Neon, weak").preset
    assert saved.prompt == addon.library().named("Neon night").preset.prompt and saved.strength == 0.61


@pytest.mark.parametrize("name", ["Neon night", "Snowy dawn"])
def test_a_text_that_has_the_style_already_is_not_read_twice(addon: Any, scene: Any, name: str) -> None:
    """In a file of before, or from a kept picture, a style's text is there and none is noted as chosen."""
    settings, style = scene.draftglass, addon.library().named("Neon night")
    settings.prompt = style.preset.around("a lighthouse")
    addon.apply(scene, addon.library().named(name))
    assert settings.prompt == addon.library().named(name).preset.around("a lighthouse")


def test_styles_by_operators(addon: Any, scene: Any, tmp_path: Path) -> None:
    import bpy

    settings = scene.draftglass
    settings.prompt, settings.seed, settings.strength = "a tower of glass", 77, 0.7
    bpy.ops.draftglass.save_style(name="Mine", with_seed=True)
    with pytest.raises(RuntimeError, match="already"):
        bpy.ops.draftglass.save_style(name="mine")
    bpy.ops.draftglass.apply_style(name="Snowy dawn")
    assert settings.prompt != "a tower of glass"
    with pytest.raises(RuntimeError, match="style of your own"):
        bpy.ops.draftglass.delete_style()
    settings.seed, settings.seed_locked = 5, True
    bpy.ops.draftglass.apply_style(name="Mine")
    assert (settings.prompt, settings.strength) == ("a tower of glass", pytest.approx(0.7))
    assert settings.seed == 5, "the seed was locked"
    bpy.ops.draftglass.rename_style(name="Ours")
    shared = tmp_path / "shared.json"
    bpy.ops.draftglass.export_style(filepath=str(shared))
    bpy.ops.draftglass.delete_style()
    assert not [one for one in addon.library().styles if one.own]
    bpy.ops.draftglass.import_styles(filepath=str(shared))
    assert addon.applied(scene).preset.name == "Ours"
    shared.write_text("nonsense")
    with pytest.raises(RuntimeError, match=r"shared\.json is no style"):
        bpy.ops.draftglass.import_styles(filepath=str(shared))
    with pytest.raises(RuntimeError, match="there are: "):
        bpy.ops.draftglass.apply_style(name="Nowhere")


def test_a_style_keeps_the_picture_as_its_thumbnail(addon: Any, scene: Any) -> None:
    from addon.keeping import decode_size

    image = np.zeros((256, 384, 3), np.uint8)
    image[:, 192:] = (200, 100, 50)
    data = addon.thumbnail(image)
    assert decode_size(data) == (128, 128)
    assert decode_size(addon.thumbnail(image[:100, :64])) == (64, 64)
    preset = addon.preset_of(scene, "Mine", False, SimpleNamespace(image=image))
    assert preset.thumbnail == data and preset.seed is None


def test_each_shipped_style_has_a_preview_of_its_own(addon: Any, scene: Any) -> None:
    assert len(addon._enum_items(None, None)) >= 13
    assert len(addon._previews) == len(addon.library().styles) + 1  # and that of no style
