"""The Image that live's pictures end up in: found again, packed when the view rests, nobody else's taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bpy.shapes import cube
from tests.bpy.test_out_of_the_way import beat_until, live, rest, server, start

__all__ = ["live", "server"]  # fixtures


def modified() -> list[str]:
    """The images that Blender would ask about when it is closed."""
    import bpy

    return [image.name for image in bpy.data.images if image.is_dirty]


def picture_of(image: Any) -> np.ndarray:
    """uint8, top row first."""
    pixels = np.empty((image.size[1], image.size[0], 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    return np.round(pixels[::-1, :, :3] * 255).astype(np.uint8)


def test_a_new_name_does_not_lose_live(live: Any, scene: Any) -> None:
    import bpy

    start(live)
    rest(live)
    image = bpy.data.images["Draftglass"]
    image.name = "town"
    copy = image.copy()
    copy.name = "Draftglass"
    before = picture_of(copy)
    cube(scene, (0, 0, 0))
    sent = live.stats()["frames_sent"]
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    rest(live)
    live.stop()
    assert (picture_of(bpy.data.images["town"]) == live.picture().image).all()
    assert (picture_of(copy) == before).all(), "a copy that a person made is written over"
    assert sorted(image.name for image in bpy.data.images) == ["Draftglass", "town"]


def test_someone_elses_image_of_the_same_name_stays_as_it_is(live: Any, scene: Any) -> None:
    import bpy

    other = bpy.data.images.new("Draftglass", 32, 16)
    start(live)
    rest(live)
    live.stop()
    assert other.name == "Draftglass" and tuple(other.size) == (32, 16) and not other.is_dirty
    own = next(image for image in bpy.data.images if image != other)
    assert (picture_of(own) == live.picture().image).all()


def test_it_is_found_again_in_a_saved_file(live: Any, scene: Any, tmp_path: Path) -> None:
    import bpy

    start(live)
    rest(live)
    bpy.data.images["Draftglass"].name = "town"
    path = str(tmp_path / "town.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    kept = live.picture().image
    live.stop()
    bpy.ops.wm.open_mainfile(filepath=path)
    assert (picture_of(bpy.data.images["town"]) == kept).all(), "the picture is not in the file"
    bpy.context.scene.draftglass.size, bpy.context.scene.draftglass.settle_size = 64, 0
    start(live)
    cube(bpy.context.scene, (0, 0, 0))
    rest(live)
    assert [image.name for image in bpy.data.images if image.users] == ["town"]


@pytest.mark.parametrize("settle", [True, False])
def test_blender_has_nothing_to_ask_when_it_is_closed(live: Any, scene: Any, settle: bool) -> None:
    scene.draftglass.settle = settle
    start(live)
    rest(live)
    beat_until(live, lambda stats: live._session._display._tidy)
    import bpy

    assert modified() == []
    assert (picture_of(bpy.data.images["Draftglass"]) == live.picture().image).all()
    cube(scene, (0, 0, 0))
    sent = live.stats()["frames_sent"]
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    live.paused = True
    beat_until(live, lambda stats: live._session._display._tidy)
    assert modified() == []
    live.paused = False
    cube(scene, (1, 0, 0))
    beat_until(live, lambda stats: not live._session._display._tidy)
    live.stop()
    assert modified() == []


def test_a_save_in_mid_movement_has_what_is_seen_in_the_image(live: Any, scene: Any, tmp_path: Path) -> None:
    import bpy

    start(live)
    rest(live)
    shown = live.stats()["pictures_shown"]
    cube(scene, (0, 0, 0))
    beat_until(live, lambda stats: stats["pictures_shown"] > shown)
    live._session._display.keep()
    assert modified() == ["Draftglass"]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "town.blend"), copy=True)
    assert modified() == []


def test_packed_once_a_picture_and_not_in_the_loop(live: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.blender.display import live_image

    packed = []
    pack = live_image.pack
    monkeypatch.setattr(live_image, "pack", lambda: packed.append(pack()))
    start(live)
    shown = rest(live)["pictures_shown"]
    beat_until(live, lambda stats: live._session._display._tidy)
    before = len(packed)
    for number in range(30):
        cube(scene, (number * 0.1, 0, 0))
        live.tick()
    assert len(packed) == before, "packed while the view changes"
    beat_until(live, lambda stats: live._session._display._tidy and stats["pictures_shown"] > shown)
    rest(live)
    beat_until(live, lambda stats: live._session._display._tidy)
    before = len(packed)
    assert before >= 2
    for _ in range(100):
        live.tick()
    assert len(packed) == before, "packed again, for no new picture"


def test_the_pin_is_taken_out_where_live_had_set_it(live: Any, scene: Any) -> None:
    import bpy

    from addon.blender.display import live_image

    areas = [area for area in bpy.context.window.screen.areas if area.type != "VIEW_3D"][:2]
    for area in areas:
        area.type = "IMAGE_EDITOR"
    ours, theirs = (area.spaces.active for area in areas)
    live_image.pin(ours, live_image.make(64, 64))
    theirs.use_image_pin = True
    start(live)
    rest(live)
    assert ours.use_image_pin
    live.stop()
    assert not ours.use_image_pin and theirs.use_image_pin
    ours.use_image_pin = True  # by hand
    start(live)
    rest(live)
    live.stop()
    assert ours.use_image_pin


def test_saved_to_a_file_that_is_gone_when_the_scene_is_opened_again(live: Any, scene: Any, tmp_path: Path) -> None:
    import bpy

    start(live)
    rest(live)
    live.stop()
    area = next(area for area in bpy.context.window.screen.areas if area.type == "OUTLINER")
    area.type = "IMAGE_EDITOR"
    area.spaces.active.image = bpy.data.images["Draftglass"]
    with bpy.context.temp_override(window=bpy.context.window, area=area):
        assert bpy.ops.image.save_as(filepath=str(tmp_path / "mine.png")) == {"FINISHED"}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "town.blend"))
    (tmp_path / "mine.png").unlink()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "town.blend"))
    start(live)
    rest(live)
    live.stop()
    assert live.problem() is None
    (image,) = bpy.data.images
    assert (picture_of(image) == live.picture().image).all() and image.packed_file is not None


def test_made_a_movie_it_is_an_image_again(live: Any, scene: Any) -> None:
    import bpy

    start(live)
    rest(live)
    image = bpy.data.images["Draftglass"]
    image.source = "MOVIE"
    cube(scene, (0, 0, 0))
    sent = live.stats()["frames_sent"]
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    rest(live)
    live.stop()
    assert (picture_of(image) == live.picture().image).all()
