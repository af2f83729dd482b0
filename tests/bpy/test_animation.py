"""*Render > Draftglass Animation* in Blender's module against a real server; the tests call its heartbeat."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.blender.serving import Server
from tests.bpy.shapes import cube

PATIENCE = 300.0


@pytest.fixture
def film(scene: Any, tmp_path: Path) -> Iterator[Any]:
    """The settings of a film of four frames round a cube, the third by another camera; kept in the test's folder."""
    import bpy

    from addon.blender import registration

    registration.register()
    settings = scene.draftglass
    settings.size, settings.settle_size, settings.settle_steps, settings.seed = 64, 0, 1, 3
    scene.draftglass_keep.folder = str(tmp_path)
    scene.render.resolution_x = scene.render.resolution_y = 100
    scene.frame_start, scene.frame_end, scene.frame_current = 1, 4, 2
    cube(scene, (0, 0, 0))
    scene.camera.keyframe_insert("location", frame=1)
    scene.camera.location.x = 0.6
    scene.camera.keyframe_insert("location", frame=4)
    other = bpy.data.objects.new("other", scene.camera.data)
    scene.collection.objects.link(other)
    other.location, other.rotation_euler = (0.3, -8, 0), scene.camera.rotation_euler
    for frame, camera in ((1, scene.camera), (3, other)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    settings.film.makes = "SEQUENCE"
    yield settings.film
    registration.unregister()


def begun(server: Server) -> Any:
    """The film, by the server that the preferences would name."""
    from addon.blender.capture.viewports import Followed
    from addon.blender.film.film import Film
    from addon.live import Address

    address = Address(server.url, token_file=server.token_file)
    return Film(Followed(), lambda: address)


def made(film: Any, frames: int = 99) -> Any:
    """``film`` after heartbeats until it has ended, or has ``frames``."""
    from addon.blender.film.film import ENDED

    end = time.monotonic() + PATIENCE
    while film.beat() not in ENDED and film.done < frames:
        assert time.monotonic() < end, film.sentence
        time.sleep(0.002)
    return film


def pixels(folder: Path, frame: int) -> Any:
    with Image.open(folder / f"{frame:04d}.png") as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_film_is_cancelled_and_goes_on_and_becomes_a_video(
    film: Any, scene: Any, server: Server, tmp_path: Path
) -> None:
    import bpy

    part = made(begun(server), 2)
    part.cancel()
    assert part.beat().value == "cancelled" and "2 of 4" in part.sentence
    assert sorted(path.name for path in (tmp_path / "film").iterdir()) == ["0001.png", "0002.png", "film.json"]
    assert scene.frame_current == 2, "the scene stands at another frame than before"
    before = (tmp_path / "film" / "0001.png").stat().st_mtime_ns
    film.makes = "VIDEO"
    whole = made(begun(server))
    assert whole.state.value == "done", whole.sentence
    assert whole.result == tmp_path / "film.mp4"
    assert (tmp_path / "film" / "0001.png").stat().st_mtime_ns == before, "a frame that was there is made again"
    clip = bpy.data.movieclips.load(str(whole.result))
    assert clip.frame_duration == 4 and tuple(clip.size) == (64, 64)
    names = [f"{n:04d}.png" for n in range(1, 5)]
    assert sorted(path.name for path in (tmp_path / "film").iterdir()) == [*names, "film.json"]


def test_the_same_film_comes_out_again_and_starts_anew_at_a_cut(
    film: Any, scene: Any, server: Server, tmp_path: Path
) -> None:
    import bpy

    first = made(begun(server)).result
    told = json.loads((first / "film.json").read_text("utf-8"))
    assert told["frames"] == [1, 4, 1] and told["cuts"] == [3] and told["style"]["steady"] == 1
    scene.draftglass.prompt, scene.draftglass.seed, film.steady, scene.frame_end = "else", 9, 0.2, 2
    assert bpy.ops.draftglass.animation_settings(filepath=str(first / "film.json")) == {"FINISHED"}
    assert (scene.draftglass.seed, film.steady, scene.frame_end) == (3, 1, 4)
    film.goes_on = False
    second = made(begun(server)).result
    assert second == tmp_path / "film_002"
    assert all(np.array_equal(pixels(first, frame), pixels(second, frame)) for frame in range(1, 5))
    scene.frame_start = 3
    cut = made(begun(server)).result
    assert np.array_equal(pixels(cut, 3), pixels(first, 3)), "frame 3 has something of the camera before it"
    scene.frame_start = 2
    later = made(begun(server)).result
    assert not np.array_equal(pixels(later, 2), pixels(first, 2)), "frame 2 has nothing of frame 1"


def test_what_is_wrong_is_said(film: Any, scene: Any, server: Server, tmp_path: Path) -> None:
    from addon.problems.errors import ProblemError

    (tmp_path / "taken").write_text("no folder")
    scene.draftglass_keep.folder = str(tmp_path / "taken")
    failed = made(begun(server))
    assert failed.state.value == "failed" and str(tmp_path / "taken") in failed.sentence
    scene.timeline_markers.clear()
    scene.camera = None
    with pytest.raises(ProblemError, match="has no camera"):
        begun(server)
    film.view = "VIEWPORT"
    begun(server).cancel()
