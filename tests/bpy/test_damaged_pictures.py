"""Pictures of ours whose words were damaged or written by somebody else: what is there stays as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.bpy.pictures import show, shown, view_of
from tests.bpy.test_keep import addon, turn  # noqa: F401


@pytest.mark.parametrize(
    ("damage", "missed"),
    [
        ({"frame": 2**40}, ["frame"]),
        ({"view": {"perspective": ["PERSP"], "distance": float("inf"), "lens": "wide", "clip": [5, 1]}}, []),
        ({"view": {"distance": 1e30, "clip": "near"}}, []),
        ({"settings": {"models": {"loras": 5}}}, ["loras"]),
        ({"settings": {"models": {"loras": [{"name": 5}]}}}, ["loras"]),
        ({"settings": {"models": {"loras": [{"name": "\ud800"}]}}}, ["loras"]),
        ({"view": {"projection": [[10**400] * 4] * 4, "shading": "SUNNY"}}, []),
        ({"view": {"shading": ["SOLID"]}}, []),
        ({"settings": {"models": 7, "strength": float("nan"), "seed": 2**70, "prompt": 3}},
         ["models", "strength", "seed", "prompt"]),
        ({"settings": {"prompt": "水" * 9000}}, []),
    ],
)  # fmt: skip
def test_damaged_values_leave_what_is_there(
    addon: Any,  # noqa: F811
    damage: dict[str, Any],
    missed: list[str],
) -> None:
    import bpy

    from addon.blender.pictures import gallery
    from addon.blender.pictures.keep import recipe_of, restore

    viewport = view_of()
    viewport.view.update()
    show(shown())
    recipe = recipe_of(gallery.entries()[0].shown if gallery.entries() else shown())
    view = {**recipe.view, "matrix": [list(row) for row in viewport.view.view_matrix], **damage.get("view", {})}
    given = {name: value for name, value in damage.items() if name != "view"}
    settings = addon.draftglass
    settings.models.loras.add().name = "ink"
    distance, strength, clip = viewport.view.view_distance, settings.strength, viewport.space.clip_end
    told = replace(recipe, scene=addon.name, **{"view": view, "settings": {"steps": 3}, **given})
    assert restore(told, bpy.context) == missed
    assert viewport.view.view_distance == pytest.approx(distance) and settings.strength == strength
    assert viewport.space.clip_end == clip and settings.models.loras[0].name == "ink"
    assert settings.prompt.encode(), "whole letters"


def test_a_shading_that_the_render_engine_lacks_is_left(addon: Any) -> None:  # noqa: F811
    import bpy

    viewport = view_of()
    viewport.space.shading.type = "MATERIAL"
    show(shown())
    bpy.ops.draftglass.keep()
    turn(viewport.view, addon)
    viewport.space.shading.type = "SOLID"
    addon.render.engine = "BLENDER_WORKBENCH"
    assert bpy.ops.draftglass.restore_picture() == {"FINISHED"}
    viewport.view.update()
    assert viewport.space.shading.type == "SOLID"
    assert viewport.view.view_distance != pytest.approx(2.0), "the view has moved all the same"
