"""Views of .blend files of many kinds: what an orbit shows of each, and what is said where nothing is seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bpy.blend_kinds import (
    Maker,
    curve_of_wire,
    disabled,
    excluded,
    hidden_collection,
    inside_a_room,
    library,
    long_lens,
    orthographic,
    parented,
    shifted_portrait,
    types_off,
    under_a_dome,
    wires,
)

SIDE = 128


@pytest.fixture
def make(tmp_path: Path, blender: Any) -> Any:
    """Makes a file by a function, opens it as the command line does, and gives the scene with what was told."""
    from addon.blender.scene_file.choice import Wanted
    from addon.blender.scene_file.scene import OfflineScene

    def opened(build: Callable[[Maker], None], frames: Any = None, **wanted: str) -> tuple[Any, list[str]]:
        blender.ops.wm.read_factory_settings(use_empty=True)
        build(Maker(blender, blender.context.scene, tmp_path))
        path = tmp_path / "file.blend"
        blender.ops.wm.save_as_mainfile(filepath=str(path))
        if (tmp_path / "kit.blend").exists():
            (tmp_path / "kit.blend").unlink()
        offline = OfflineScene(path, SIDE, frames is None, wanted=Wanted(**wanted))
        offline.ready()
        return offline, offline.begin(frames or ())

    return opened


def views(offline: Any, count: int = 4) -> list[Any]:
    drafts = []
    for view in range(count):
        offline.place(view / count, None, None)
        drafts.append(offline.draw())
    return drafts


def share(draft: Any) -> float:
    return float((draft.inverse_depth > 0).mean())


def is_blank(draft: Any) -> bool:
    return share(draft) < 0.002 or float(draft.image.reshape(-1, 3).std(0).max()) < 1.5


def workbench(bpy: Any, offline: Any, folder: Path) -> np.ndarray:
    """The silhouette that Workbench renders through the scene's camera, H x W."""
    from PIL import Image

    scene, render = offline._scene, offline._scene.render
    render.engine, render.film_transparent, render.filepath = "BLENDER_WORKBENCH", True, str(folder / "render.png")
    render.resolution_x = render.resolution_y = SIDE
    render.resolution_percentage, render.pixel_aspect_x, render.pixel_aspect_y = 100, 1, 1
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGBA"
    for _ in range(2):  # what a first render of a scene leaves out at times is there in the second
        bpy.ops.render.render(write_still=True, scene=scene.name)
    with Image.open(folder / "render.png") as file:
        return np.asarray(file)[..., 3] > 127


@pytest.mark.parametrize(
    "build",
    [parented, orthographic, shifted_portrait, long_lens, inside_a_room, under_a_dome],
    ids=lambda one: one.__name__,
)
def test_an_orbit_begins_with_the_cameras_own_view_and_has_no_blank_one(
    build: Any, make: Any, blender: Any, tmp_path: Path
) -> None:
    offline, told = make(build)
    drafts = views(offline)
    assert not told and not any(map(is_blank, drafts))
    drawn, rendered = drafts[0].inverse_depth > 0, workbench(blender, offline, tmp_path)
    assert (drawn & rendered).sum() / (drawn | rendered).sum() >= 0.99


def test_the_middle_of_what_is_seen_stays_in_its_place_at_the_cameras_height(make: Any) -> None:
    """A ground far larger than the town, and a box far off: an orbit about the box round all would miss the town."""

    def build(make: Maker) -> None:
        make.town()
        make.box("Ground", (400, 300, -0.1), (1000, 800, 0.2))
        make.box("Far", (5000, 0, 0))
        make.camera((12, -12, 6))

    offline, _ = make(build)
    eyes = [np.linalg.inv(np.array(draft.view))[:3, 3] for draft in views(offline)]
    assert [eye[2] for eye in eyes] == pytest.approx([6] * 4, abs=1e-3)
    middle = np.mean(eyes, 0)
    assert math.dist(middle[:2], (0, 0)) < 4
    assert [math.dist(eye, middle) for eye in eyes] == pytest.approx([math.dist(eyes[0], middle)] * 4, abs=1e-3)


def test_a_card_seen_from_its_edge_is_looked_at_from_elsewhere_and_that_is_said(make: Any) -> None:
    def build(make: Maker) -> None:
        mesh = make.bpy.data.meshes.new("Card")
        mesh.from_pydata([(-2, 0, 0), (2, 0, 0), (2, 0, 3), (-2, 0, 3)], [], [(0, 1, 2, 3)])
        make.scene.collection.objects.link(make.bpy.data.objects.new("Card", mesh))
        make.camera((0, -10, 1.5), (0, 0, 1.5))

    offline, told = make(build)
    assert not any(map(is_blank, views(offline))) and not told
    assert [sentence.split(",")[0] for sentence in offline.sentences()] == ["at 90\u00b0 and 270\u00b0 of the orbit"]


@pytest.mark.parametrize(
    "owner, name, value, words",
    [
        ("data", "clip_end", 5, "the clip end of the camera 'Camera' is 5 m, the nearest thing is at"),
        ("data", "clip_start", 50, "the clip start of the camera 'Camera' is 50 m, the farthest"),
        ("", "location", (800, 0, 0), "the camera 'Camera' has 'Keep' and 'Tower' outside its frame"),
        ("", "scale", (0, 0, 0), "the camera 'Camera' is scaled by 0 x 0 x 0"),
        ("", "location", (math.nan, 0, 0), "the camera 'Camera' stands nowhere"),
    ],
)
def test_a_camera_that_sees_nothing_is_told_and_the_orbit_looks_at_everything(
    owner: str, name: str, value: Any, words: str, make: Any
) -> None:
    from addon.blender.scene_file.errors import OfflineError

    def build(make: Maker) -> None:
        make.town()
        camera = make.camera()
        setattr(camera.data if owner else camera, name, value)

    offline, told = make(build)
    assert not any(map(is_blank, views(offline)))
    assert words in told[0] and "go round all that is drawn" in told[0]
    with pytest.raises(OfflineError, match=words.split(" is ")[0]):
        make(build, frames=range(1, 3))


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda make: None, "the scene 'Scene' is empty: there is nothing in it to be seen"),
        (hidden_collection, "'Keep' and 'Tower' are hidden"),
        (excluded, "'Keep' and 'Tower' are in collections that the view layer leaves out"),
        (disabled, "'Keep' is disabled in viewports"),
        (wires, "'Keep' is displayed as wire or bounds"),
        (curve_of_wire, "is empty: there is nothing in it to be seen, as 'Path' is without any faces"),
        (types_off, "'Keep' and 'Tower' are of a type that the 3D View leaves out"),
        (library, "kit.blend' can't be found"),
    ],
)
def test_why_nothing_can_be_seen(build: Any, words: str, make: Any) -> None:
    from addon.blender.scene_file.errors import OfflineError

    with pytest.raises(OfflineError) as refused:
        make(build)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_missing_or_off_beside_what_is_seen_is_told(make: Any) -> None:
    def build(make: Maker) -> None:
        library(make)
        make.town()
        curve = make.bpy.data.objects["Keep"].driver_add("location", 2)
        curve.driver.expression = "4.0 if bpy.data.objects.get('Tower') else 0.0"

    offline, told = make(build)
    assert not any(map(is_blank, views(offline)))
    assert "kit.blend' can't be found" in told[0] and "location of 'Keep'" in told[1]


def test_the_windows_layer_and_the_looks_of_its_largest_3d_view_are_taken(make: Any) -> None:
    def build(make: Maker) -> None:
        make.town(make.collection("House"))
        make.scene.view_layers[0].layer_collection.children["House"].exclude = True
        window = make.bpy.context.window_manager.windows[0]
        window.view_layer = make.scene.view_layers.new("House")
        for screen in make.bpy.data.screens:
            for area in screen.areas:
                if area.type == "VIEW_3D":
                    area.spaces.active.shading.show_xray = screen != window.screen

    offline, _ = make(build)
    assert not any(map(is_blank, views(offline))) and offline._layer.name == "House"
    assert not offline._choice.space.shading.show_xray


def test_things_that_come_later_are_no_empty_scene_and_blank_frames_are_told(make: Any) -> None:
    def build(make: Maker) -> None:
        keep = make.box("Keep", (0, 0, 1))
        make.camera()
        for frame, hidden in ((1, True), (5, False)):
            keep.hide_viewport = hidden
            keep.keyframe_insert("hide_viewport", frame=frame)
        make.scene.frame_set(1)

    offline, told = make(build, frames=range(3, 7))
    blank = []
    for frame in range(3, 7):
        offline.place(None, frame, None)
        blank.append(is_blank(offline.draw()))
    assert blank == [True, True, False, False] and not told
    assert offline.sentences() == ["at frame 3 and 4, nothing is seen: 'Keep' is disabled in viewports"]


def test_scene_camera_and_layer_go_by_name(make: Any) -> None:
    from addon.blender.scene_file.errors import OfflineError

    def build(make: Maker) -> None:
        make.town()
        make.camera(name="Left \u57ce")
        make.camera((0, -30, 5), name="Right")
        other = make.bpy.data.scenes.new("Zweite")
        other.collection.objects.link(make.bpy.data.objects["Tower"])

    offline, _ = make(build, camera="Left \u57ce", view_layer="ViewLayer")
    assert offline._scene.camera.name == "Left \u57ce"
    offline, _ = make(build, scene="Zweite")
    assert offline._scene.name == "Zweite" and share(views(offline, 1)[0]) > 0.05
    for wanted, words in (
        ({"camera": "Rihgt"}, "there is no camera 'Rihgt' in the file; near it: 'Right'"),
        ({"camera": "Keep"}, "'Keep' is no camera"),
        ({"scene": "Dritte"}, "there is no scene 'Dritte' in the file"),
        ({"view_layer": "Haus"}, "there is no view layer 'Haus' in the scene 'Scene'"),
        ({"camera": "Zzz"}, "there is no camera 'Zzz' in the file; there is '"),
    ):
        with pytest.raises(OfflineError, match=words):
            make(build, **wanted)


def test_many_instances_are_not_all_looked_at(make: Any) -> None:
    from addon.blender.scene_file import bounds

    def build(make: Maker) -> None:
        grid = make.bpy.data.meshes.new("Points")
        grid.from_pydata([(x * 0.5, y * 0.5, 0) for x in range(120) for y in range(120)], [], [])
        plant = make.box("Plant", (0, 0, 0), (0.2, 0.2, 0.2))
        field = make.bpy.data.objects.new("Field", grid)
        make.scene.collection.objects.link(field)
        plant.parent, field.instance_type = field, "VERTS"

    offline, _ = make(build)
    found = list(bounds.boxes(offline._choice))
    assert len(found) < bounds.MANY + 14_400 / bounds.EVERY + 10
    corners = np.concatenate([box.corners for box in found])
    assert corners[:, :2].min() < 1 and corners[:, :2].max() > 58
    assert not any(map(is_blank, views(offline)))


def test_markers_hand_over_to_another_camera_and_that_is_a_cut(blender: Any) -> None:
    from addon.blender.capture.cuts import camera_at, cuts

    blender.ops.wm.read_factory_settings(use_empty=True)
    scene = blender.context.scene
    one, two = (blender.data.objects.new(name, blender.data.cameras.new(name)) for name in ("one", "two"))
    for camera in (one, two):
        scene.collection.objects.link(camera)
    scene.camera = two
    assert cuts(scene, range(1, 9)) == set() and camera_at(scene, 3) == two
    for name, frame, camera in (("b", 6, one), ("a", 4, two), ("note", 5, None), ("c", 7, one)):
        scene.timeline_markers.new(name, frame=frame).camera = camera
    assert cuts(scene, range(1, 9)) == {6}
    assert cuts(scene, range(8, 0, -1)) == {5} and cuts(scene, (1, 7)) == {7}
    for frame in range(1, 9):
        scene.frame_set(frame)
        assert scene.camera == camera_at(scene, frame)
