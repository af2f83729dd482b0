"""Keeping and the way back, in Blender's module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from addon.keeping import KeepError, encode, read_recipe, read_request
from addon.wire import pack
from tests.bpy.pictures import show, shown, view_of


@pytest.fixture
def addon(scene: Any, tmp_path: Path) -> Iterator[Any]:
    """The add-on, registered, which keeps to a folder of the test's."""
    from addon.blender import registration

    registration.register()
    scene.draftglass_keep.folder = str(tmp_path / "kept")
    yield scene
    registration.unregister()


def turn(view: Any, scene: Any) -> None:
    """Another view, other settings."""
    view.view_perspective = "PERSP"
    view.view_rotation = (0.5, 0.5, 0.5, 0.5)
    view.view_location = (3, 4, 5)
    view.view_distance = 2.0
    view.update()
    scene.draftglass.prompt, scene.draftglass.steps = "something else", 1


def test_a_kept_picture_is_an_image_packed_and_a_file_that_knows_how_it_was_made(addon: Any, tmp_path: Path) -> None:
    import bpy

    addon.draftglass.prompt = "a castle"
    picture = show(shown())
    assert bpy.ops.draftglass.keep() == {"FINISHED"}
    (path,) = (tmp_path / "kept").glob("*.png")
    assert path.name == "a_castle_001.png"
    data = path.read_bytes()
    recipe = read_recipe(data)
    assert recipe.model == "embedded" and recipe.made["blender"] == bpy.app.version_string
    assert recipe.settings["prompt"] == "a castle" and recipe.style["steps"] == 4
    request = read_request(data)
    assert request is not None and pack(request) == pack(picture.request)
    image = bpy.data.images["a_castle"]
    assert bytes(image.packed_file.data) == data and image.filepath == str(path)
    path.unlink()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    image = bpy.data.images["a_castle"]
    assert tuple(image.size) == (96, 64)
    pixels = np.empty(96 * 64 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    back = np.rint(pixels.reshape(64, 96, 4)[::-1, :, :3] * 255).astype(np.uint8)
    assert (back == picture.image).all(), "the Image does not hold the picture"


def test_keeping_twice_keeps_once_and_writes_over_nothing(addon: Any, tmp_path: Path) -> None:
    import bpy

    show(shown())
    assert bpy.ops.draftglass.keep() == {"FINISHED"}
    assert bpy.ops.draftglass.keep() == {"CANCELLED"}
    bpy.data.images.remove(bpy.data.images["a_castle"])  # as an undo does
    assert bpy.ops.draftglass.keep() == {"FINISHED"}
    assert bpy.data.images["a_castle"].packed_file is not None
    show(shown(settle=False))
    assert bpy.ops.draftglass.keep() == {"FINISHED"}
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["a_castle_001.png", "a_castle_002.png"]


def test_nothing_to_keep(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import bpy

    from addon.blender.live import switch as live

    monkeypatch.setattr(live, "_newest", None)
    assert not bpy.ops.draftglass.keep.poll()
    assert not bpy.ops.draftglass.restore_picture.poll()


def test_where_pictures_go_by_default(addon: Any, tmp_path: Path) -> None:
    import bpy

    from addon.blender.pictures.keep import keep_folder

    addon.draftglass_keep.folder = ""
    assert keep_folder(addon).name == "Draftglass" and keep_folder(addon).is_absolute()
    addon.draftglass_keep.folder = "//here"
    assert keep_folder(addon).name == "Draftglass", "there is no file yet to be beside of"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "town.blend"))
    assert keep_folder(addon) == tmp_path / "here"
    for nothing in ("", " \n "):
        addon.draftglass_keep.folder = nothing
        assert keep_folder(addon) == tmp_path / "town_pictures"
    for words, place in (("~/pics", Path.home() / "pics"), ("pics", tmp_path / "pics"), ("./a/../b", tmp_path / "b")):
        addon.draftglass_keep.folder = words
        assert keep_folder(addon) == place
    addon.draftglass_keep.folder = "~nobody-of-that-name/pics"
    show(shown())
    with pytest.raises(RuntimeError, match="belongs to a user who does not exist on this machine: choose another"):
        bpy.ops.draftglass.keep()


def test_a_folder_that_cannot_be_written_to(addon: Any, tmp_path: Path) -> None:
    import bpy

    from addon.blender.pictures import gallery

    (tmp_path / "file").write_text("in the way")
    addon.draftglass_keep.folder = str(tmp_path / "file" / "kept")
    show(shown())
    with pytest.raises(RuntimeError, match="kept in this file as the Image 'a_castle', but not in the folder"):
        bpy.ops.draftglass.keep()
    assert bpy.data.images["a_castle"].packed_file is not None
    (entry,) = gallery.entries()
    assert not entry.kept and entry.path is None
    addon.draftglass_keep.folder = str(tmp_path / "kept")
    bpy.ops.draftglass.keep()
    assert entry.kept and entry.path is not None and entry.path.exists()
    assert [image.name for image in bpy.data.images if image.name.startswith("a_castle")] == ["a_castle"], "one Image"


@pytest.mark.parametrize("perspective", ["PERSP", "ORTHO", "CAMERA"])
def test_settings_and_view_return(addon: Any, tmp_path: Path, perspective: str) -> None:
    import bpy

    viewport = view_of()
    viewport.view.view_perspective = perspective
    if perspective != "CAMERA":
        viewport.view.view_rotation = (0.8, 0.4, 0.2, 0.4)
        viewport.view.view_location, viewport.view.view_distance = (1, 2, 3), 12.0
        viewport.space.lens = 80
    viewport.space.clip_start, viewport.space.clip_end = 0.25, 400
    viewport.view.update()
    addon.draftglass.prompt, addon.draftglass.steps, addon.draftglass.seed = "a tower", 3, 77
    addon.frame_set(12)
    show(shown())
    bpy.ops.draftglass.keep()
    before = np.array(viewport.view.view_matrix), np.array(viewport.view.window_matrix)
    turn(viewport.view, addon)
    addon.frame_set(1)
    viewport.space.lens = 20
    viewport.space.clip_start, viewport.space.clip_end = 0.01, 1000
    viewport.space.shading.type = "WIREFRAME"
    assert np.abs(np.array(viewport.view.view_matrix) - before[0]).max() > 0.1
    (path,) = (tmp_path / "kept").glob("*.png")
    assert bpy.ops.draftglass.restore_file(filepath=str(path)) == {"FINISHED"}
    viewport.view.update()
    assert viewport.view.view_perspective == perspective
    assert np.array(viewport.view.view_matrix) == pytest.approx(before[0], abs=1e-4)
    if perspective != "CAMERA":
        assert viewport.space.lens == 80
        assert viewport.view.view_distance == pytest.approx(12.0, abs=1e-3)
    assert (addon.draftglass.prompt, addon.draftglass.steps, addon.draftglass.seed) == ("a tower", 3, 77)
    assert addon.frame_current == 12
    assert (viewport.space.clip_start, viewport.space.clip_end) == (0.25, 400)
    assert viewport.space.shading.type == "SOLID"


def test_a_camera_that_is_gone_leaves_its_view(addon: Any) -> None:
    import bpy

    viewport = view_of()
    viewport.view.view_perspective = "CAMERA"
    viewport.view.update()
    entry_view = np.array(viewport.view.view_matrix)
    show(shown())
    bpy.ops.draftglass.keep()
    addon.camera.location.x += 5
    bpy.context.view_layer.update()
    assert bpy.ops.draftglass.restore_picture() == {"FINISHED"}
    viewport.view.update()
    assert viewport.view.view_perspective == "PERSP"
    assert np.array(viewport.view.view_matrix) == pytest.approx(entry_view, abs=1e-4)


def test_a_drop_is_taken_where_it_has_a_meaning(addon: Any) -> None:
    """Dropping itself needs a window: tests/blender/test_keep.py."""
    import bpy

    handler = bpy.types.FileHandler.bl_rna_get_subclass_py("DRAFTGLASS_FH_picture")
    assert handler.bl_file_extensions == ".png" and handler.bl_import_operator == "draftglass.restore_file"
    viewport = view_of()
    outliner = next(area for area in viewport.window.screen.areas if area.type == "OUTLINER")
    regions = {region.type: region for region in viewport.area.regions}
    with bpy.context.temp_override(window=viewport.window, area=viewport.area, region=regions["UI"]):
        assert handler.poll_drop(bpy.context)
    with bpy.context.temp_override(window=viewport.window, area=viewport.area, region=regions["WINDOW"]):
        assert not handler.poll_drop(bpy.context), "a reference dropped on the viewport is asked about"
    with bpy.context.temp_override(window=viewport.window, area=outliner):
        assert not handler.poll_drop(bpy.context)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("no.png", None, "cannot be read"),
        ("other.png", encode(np.zeros((4, 4, 3), np.uint8)), "does not say how it was made"),
        ("text.png", b"hello", "not a PNG file"),
    ],
)
def test_what_cannot_be_restored_is_said(
    addon: Any, tmp_path: Path, name: str, data: bytes | None, sentence: str
) -> None:
    import bpy

    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.draftglass.restore_file(filepath=str(tmp_path / name))


def test_settings_of_another_version_are_named(addon: Any) -> None:
    from addon.blender.capture.origin import dump, restore_group

    values = dump(addon.draftglass)
    assert values["steps"] == addon.draftglass.steps and "rna_type" not in values
    assert restore_group(addon.draftglass, {**values, "of_tomorrow": 3, "steps": "four"}) == ["steps", "of_tomorrow"]


@pytest.mark.parametrize("told", [{}, {"matrix": 3}, {"matrix": [[1, 2], [3]]}, {"matrix": [["a"] * 4] * 4},
                                  {"matrix": [[float("inf")] * 4] * 4}])  # fmt: skip
def test_a_view_that_is_none_moves_nothing(addon: Any, told: dict[str, Any]) -> None:
    from addon.blender.capture.origin import restore_view

    viewport = view_of()
    before = [list(row) for row in viewport.view.view_matrix]
    assert not restore_view(viewport.space, viewport.view, told)
    assert [list(row) for row in viewport.view.view_matrix] == before


def test_a_full_disk_is_said(addon: Any, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # not on Windows

    from addon.blender.pictures.keep import keep

    picture = shown()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(KeepError, match="File too large"):
            keep(picture, addon)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.glob("kept/*")) == [], "half a file is left"


def test_the_view_goes_to_the_one_that_live_follows(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the Image Editor's sidebar, that is; there the context has no 3D View."""
    import bpy

    from addon.blender.capture.viewports import Followed
    from addon.blender.live import switch as live

    screen = bpy.context.window.screen
    small = next(area for area in screen.areas if area.type == "OUTLINER")
    large = next(area for area in screen.areas if area.type == "VIEW_3D")
    small.type = "VIEW_3D"
    before = [list(row) for row in large.spaces.active.region_3d.view_matrix]
    show(shown())
    entry_view = np.array(large.spaces.active.region_3d.view_matrix)
    small.spaces.active.region_3d.view_location = (9, 9, 9)
    monkeypatch.setattr(live, "_session", SimpleNamespace(followed=Followed(small)))
    editor = next(area for area in screen.areas if area.type not in {"VIEW_3D"})
    large.spaces.active.region_3d.view_location = (5, 5, 5)
    large.spaces.active.region_3d.update()
    moved = [list(row) for row in large.spaces.active.region_3d.view_matrix]
    with bpy.context.temp_override(window=bpy.context.window, area=editor):
        bpy.ops.draftglass.restore_picture()
    monkeypatch.undo()
    small.spaces.active.region_3d.update()
    assert moved != before and [list(row) for row in large.spaces.active.region_3d.view_matrix] == moved
    assert np.array(small.spaces.active.region_3d.view_matrix) == pytest.approx(entry_view, abs=1e-3)
