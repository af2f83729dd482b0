"""The settings and their limits, what they ask of the picture and where that lies in the viewport; styles; the menu."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def addon(scene: Any, tmp_path: Path) -> Iterator[Any]:
    """The add-on, registered, with the shipped styles and an empty folder for the user's own."""
    from addon.blender import registration
    from addon.blender.ui import styles
    from addon.presets import Library

    registration.register()
    styles.use_library(Library(tmp_path / "styles"))
    yield styles
    registration.unregister()


def viewport(scene: Any, width: int = 1000, height: int = 500, perspective: str = "PERSP") -> Any:
    from mathutils import Matrix

    window = Matrix(((2, 0, 0.1, 0), (0, 4, -0.2, 0), (0, 0, -1, -0.2), (0, 0, -1, 0)))
    return SimpleNamespace(
        scene=scene,
        view_layer=scene.view_layers[0],
        region=SimpleNamespace(width=width, height=height),
        view=SimpleNamespace(view_perspective=perspective, window_matrix=window),
        space=SimpleNamespace(use_local_camera=False, camera=None, shading=SimpleNamespace(type="SOLID")),
    )


def test_every_setting_has_a_tooltip_and_limits(addon: Any, scene: Any) -> None:
    for group in (scene.draftglass, scene.draftglass_styles, scene.draftglass.models, scene.draftglass.film):
        for prop in group.bl_rna.properties:
            if prop.identifier in {"rna_type", "name"}:
                continue
            assert len(prop.description) > 15, prop.identifier
            if prop.type in {"INT", "FLOAT"}:
                assert prop.hard_min >= 0 and prop.hard_max <= 2**31 - 1, prop.identifier


def test_what_the_settings_can_hold_can_be_sent(addon: Any, scene: Any) -> None:
    from addon.blender.properties import style_of

    settings = scene.draftglass
    for end in ("hard_min", "hard_max"):
        for prop in settings.bl_rna.properties:
            if prop.type in {"INT", "FLOAT"} and not prop.is_readonly:
                setattr(settings, prop.identifier, getattr(prop, end))
        settings.prompt = settings.negative_prompt = "ß" * 2000
        style = style_of(settings, (256, 256))
        assert style.seed == settings.seed and style.steps == settings.steps


@pytest.mark.parametrize(("aspect", "size"), [("VIEWPORT", (512, 256)), ("SQUARE", (512, 512)), ("CAMERA", (320, 512))])
def test_the_picture_has_the_aspect_asked_for(addon: Any, scene: Any, aspect: str, size: tuple[int, int]) -> None:
    from addon.blender.capture.framing import size_of

    scene.draftglass.size, scene.draftglass.aspect = 512, aspect
    scene.render.resolution_x, scene.render.resolution_y = 1080, 1920
    assert size_of(viewport(scene)) == size


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize(
    "width, height, pixel", [(1920, 1080, 1.0), (1080, 1920, 1.0), (720, 576, 1.5), (1000, 1001, 1.0)]
)
def test_the_cameras_aspect_shows_all_of_the_cameras_frame(
    addon: Any, scene: Any, fit: str, width: int, height: int, pixel: float
) -> None:
    import bpy

    from addon.blender.capture.framing import projection_of, size_of

    scene.draftglass.aspect = "CAMERA"
    scene.camera.data.shift_x, scene.camera.data.sensor_fit = 0.2, fit
    scene.render.resolution_x, scene.render.resolution_y, scene.render.pixel_aspect_x = width, height, pixel
    bpy.context.view_layer.update()
    view = viewport(scene, perspective="CAMERA")
    frame = scene.camera.calc_matrix_camera(
        bpy.context.view_layer.depsgraph, x=width, y=height, scale_x=pixel, scale_y=1
    )
    taken = np.array(projection_of(view))
    for side, axis in (((1, 0), 0), ((-1, 0), 0), ((0, 1), 1), ((0, -1), 1)):
        corner = np.linalg.inv(frame) @ (*side, 0, 1)
        place = taken @ corner
        assert abs(place[axis] / place[3]) <= 1 + 1e-6, "the frame's edge is in the picture"
    picture = size_of(view)
    assert abs(taken[1][1] / taken[0][0]) == pytest.approx(picture[0] / picture[1]), "and nothing is stretched"
    assert max(abs(taken[axis][axis] / frame[axis][axis]) for axis in (0, 1)) == pytest.approx(1), (
        "nor wider than needed"
    )


def test_the_cameras_aspect_is_for_the_cameras_view(addon: Any, scene: Any) -> None:
    from addon.blender.capture.framing import projection_of

    scene.draftglass.aspect = "CAMERA"
    view = viewport(scene, perspective="CAMERA")
    assert not np.allclose(projection_of(view), view.view.window_matrix)
    assert np.allclose(projection_of(viewport(scene)), view.view.window_matrix), "not in camera view"
    view.space.use_local_camera = True  # which this space has none of
    assert np.allclose(projection_of(view), view.view.window_matrix)


def test_where_a_picture_lies() -> None:
    from mathutils import Matrix

    from addon.blender.capture.framing import place_of

    view = viewport(SimpleNamespace(view_layers=[None]))
    window = view.view.window_matrix
    assert place_of(window, window, 1000, 500) == pytest.approx((0, 0, 1000, 500))
    # the middle square, as a capture crops it
    square = Matrix.Diagonal((2, 1, 1, 1)) @ window
    assert place_of(square, window, 1000, 500) == pytest.approx((250, 0, 750, 500))
    # any point of a view falls on the same pixel of the region, by the picture's projection and by the region's
    rng = np.random.default_rng(1)
    for flat in (False, True):
        matrices = []
        for _ in range(2):
            matrix = np.zeros((4, 4))
            matrix[0, 0], matrix[1, 1], matrix[2, 2] = rng.uniform(0.5, 3, 3) * (1, 1, -1)
            matrix[:2, 3 if flat else 2] = rng.uniform(-0.5, 0.5, 2)
            matrix[3, 3 if flat else 2] = 1 if flat else -1
            matrices.append(matrix)
        left, bottom, right, top = place_of(*matrices, 800, 600)
        for point in rng.uniform(-1, 1, (20, 3)) - (0, 0, 3):
            at = [matrix @ (*point, 1) for matrix in matrices]
            (x, y), (u, v) = ((clip[:2] / clip[3] + 1) / 2 for clip in at)
            assert (left + x * (right - left), bottom + y * (top - bottom)) == pytest.approx((u * 800, v * 600))


def test_dice_and_lock(addon: Any, scene: Any) -> None:
    import bpy

    seeds = set()
    for _ in range(5):
        bpy.ops.draftglass.new_seed()
        seeds.add(scene.draftglass.seed)
    assert len(seeds) > 1
    scene.draftglass.seed_locked = True
    with pytest.raises(RuntimeError, match="locked"):
        bpy.ops.draftglass.new_seed()


def test_small_pictures_keep_nearer_to_the_aspect(addon: Any) -> None:
    from addon.blender.capture.framing import picture_size

    assert picture_size(256, 16, 10) == (256, 160)
    assert picture_size(512, 16, 9) == (512, 320), "the whole of the frame, and more"
    assert picture_size(1024, 1, 50) == (64, 1024)


def test_loras_go_with_the_style(addon: Any, scene: Any) -> None:
    import bpy

    from addon.blender.capture.origin import dump, restore_group
    from addon.blender.properties import style_of
    from addon.wire import Lora

    settings = scene.draftglass
    for name in ("ink", "clay", "off"):
        bpy.ops.draftglass.add_lora(name=name)
    settings.models.loras["clay"].weight = -0.5
    settings.models.loras["off"].use = False
    assert style_of(settings, (256, 256)).loras == (Lora("ink", 1.0), Lora("clay", -0.5))
    with pytest.raises(RuntimeError, match="ink is already in use"):
        bpy.ops.draftglass.add_lora(name="ink")
    kept = dump(settings)
    bpy.ops.draftglass.remove_lora(index=0)
    assert [lora.name for lora in settings.models.loras] == ["clay", "off"]
    assert restore_group(settings, kept) == []
    assert style_of(settings, (256, 256)).loras == (Lora("ink", 1.0), Lora("clay", -0.5))
    with pytest.raises(RuntimeError, match="There is no LoRA 9"):
        bpy.ops.draftglass.remove_lora(index=9)


def test_the_sampler_goes_with_the_style(addon: Any, scene: Any) -> None:
    from addon.blender.properties import style_of

    settings, sent = scene.draftglass, []
    settings.eta = 0.5
    for settings.sampler in ("AUTO", "LCM", "TCD"):
        style = style_of(settings, (256, 256))
        sent.append((style.sampler, style.eta))
    assert sent == [("", None), ("lcm", None), ("tcd", 0.5)]


def test_a_model_brings_what_suits_it(addon: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import bpy

    from addon.blender.live import models
    from addon.wire import Entry

    suiting = Entry("sd15", family="SD1.5", installed=True, steps=4, guidance=1.5, strength=0.6)
    known = {"sd15": suiting, "broken": Entry("broken", steps=9)}
    monkeypatch.setattr(models, "entry_of", known.get)
    bpy.ops.draftglass.use_model(name="sd15")
    settings = scene.draftglass
    assert (settings.models.model, settings.steps, settings.size) == ("sd15", 4, 512)
    assert (settings.guidance, settings.strength) == (pytest.approx(1.5), pytest.approx(0.6))
    bpy.ops.draftglass.use_model(name="unheard of")
    assert (settings.models.model, settings.steps) == ("unheard of", 4)
    bpy.ops.draftglass.use_model(name="broken")
    assert (settings.models.model, settings.steps) == ("broken", 4), "one that can't be used changes no settings"
    with pytest.raises(RuntimeError, match="Live is off"):
        bpy.ops.draftglass.pull_model(name="sd15")


def test_an_operator_has_a_label_and_a_tooltip(addon: Any) -> None:
    import bpy

    for name in dir(bpy.ops.draftglass):
        rna = getattr(bpy.ops.draftglass, name).get_rna_type()
        assert rna.name and len(rna.description) > 10, name


def test_everything_in_the_menu_is_there(addon: Any) -> None:
    import bpy

    from addon.blender.ui.main_panel import DRAFTGLASS_MT_menu

    known = {f"draftglass.{name}" for name in dir(bpy.ops.draftglass)}
    assert {name for name in DRAFTGLASS_MT_menu.operators if name} <= known


def test_the_key_says_why_live_cannot_start_as_the_button_does(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import bpy

    from addon.blender.live import switch as live
    from addon.blender.server import setup
    from addon.blender.ui import live_operators

    chosen = SimpleNamespace(server_url="ws://127.0.0.1:8765/live", token="", token_file="", server_python="")
    monkeypatch.setattr(live, "preferences", lambda: chosen)
    monkeypatch.setattr(setup, "is_needed", lambda: False)
    monkeypatch.setattr(live_operators.DRAFTGLASS_OT_play, "poll", classmethod(lambda cls, context: True))
    with pytest.raises(RuntimeError) as error:
        bpy.ops.draftglass.play()
    setup.manager.problem = None
    assert str(error.value).strip() == "Error: The address of a server is given, but no token."


def test_words_of_the_embedded_model_are_offered_and_others_named(addon: Any, scene: Any) -> None:
    import bpy

    from addon.blender.ui import prompt_words

    settings = scene.draftglass
    assert (settings.size, settings.settle_size) == (256, 512), "in motion and at rest, for the embedded model"
    settings.prompt = "a sandstone castle with a dragon on grass"
    assert prompt_words.is_small(scene) and prompt_words.vocabulary().unknown(settings.prompt) == ("dragon",)
    bpy.ops.draftglass.add_word(kind="buildings", word="ice")
    assert settings.prompt == "an ice castle with a dragon on grass"
    settings.models.model = "sd15"
    assert not prompt_words.is_small(scene)
