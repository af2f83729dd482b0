"""Ids, normals and matrices of a capture, in Blender's module, held to what rays find."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.bpy.rays import cast, inner, matrices_of
from tests.bpy.shapes import GREEN, ball, cube


@pytest.fixture
def shoot(scene: Any) -> Any:
    """Captures with ids and normals from the scene's camera, all by one capturer."""
    import bpy

    from addon.blender.capture.offscreen import Capturer, view_from_camera

    capturer = Capturer(patient=True)

    def shot(width: int = 96, height: int = 96, **named: Any) -> Any:
        bpy.context.view_layer.update()
        return capturer.draw(view_from_camera(scene, width, height, **named), width, height, ids=True, normals=True)

    yield shot
    capturer.free()


def check_against_rays(scene: Any, draft: Any) -> None:
    """No wrong pixel but at edges, one pixel wide; distances and normals too."""
    hits, distances, matrices, _ = cast(scene, draft)
    labels = np.unique(np.round(matrices, 3).reshape(-1, 16), axis=0, return_inverse=True)[1].reshape(hits.shape)
    sure = inner(labels)
    assert sure.mean() > 0.5
    assert ((draft.ids > 0) == hits)[sure].all()
    both = sure & hits
    assert np.abs(matrices_of(draft)[both] - matrices[both]).max() < 1e-4
    found = 65535 * draft.near / draft.inverse_depth[both]
    assert (np.abs(found - distances[both]) / distances[both] < 1e-2).mean() > 0.999
    assert not draft.normals[draft.ids == 0].any()


def normals_of(draft: Any) -> np.ndarray:
    """Decoded, in the world."""
    decoded = draft.normals.astype(np.float64) / 127.5 - 1
    return decoded @ np.array(draft.view)[:3, :3]


def test_off_there_are_none_and_the_rest_has_the_same_bits(scene: Any, shoot: Any) -> None:
    from addon.blender.capture.offscreen import Capturer, view_from_camera

    ball(scene, (0, 0, 0))
    capturer = Capturer()
    plain = capturer.draw(view_from_camera(scene, 96, 96), 96, 96)
    assert plain.ids is None and plain.normals is None and not len(plain.objects)
    draft = shoot()
    assert (draft.image == plain.image).all() and (draft.inverse_depth == plain.inverse_depth).all()
    assert (draft.near, draft.view, draft.projection) == (plain.near, plain.view, plain.projection)
    capturer.free()


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.2)])
@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_against_rays(scene: Any, shoot: Any, kind: str, shift: tuple[float, float]) -> None:
    for number in range(4):
        one = cube(scene, (number * 2 - 3, number * 3.0, number - 2.0), GREEN)
        one.rotation_euler, one.scale = (number, 0.5, 1.0), (1, 1 + number, -0.7)
    ball(scene, (0.5, 2, 0.5), radius=1.3)
    lens = scene.camera.data
    lens.type, lens.ortho_scale, (lens.shift_x, lens.shift_y) = kind, 8, shift
    draft = shoot()
    assert draft.ids.dtype == np.uint16 and draft.normals.dtype == np.uint8
    check_against_rays(scene, draft)


def test_normals_are_those_of_the_surface_that_is_seen(scene: Any, shoot: Any) -> None:
    mirrored = cube(scene, (-1, 0, 0))
    mirrored.scale, mirrored.rotation_euler = (-1, 2, 0.5), (0.3, 0.2, 0.8)
    inside_out = cube(scene, (1.2, 0, 0))
    inside_out.data.flip_normals()
    draft = shoot()
    hits, _, _, normals = cast(scene, draft)
    eye = np.array(scene.camera.matrix_world.translation)
    facing = np.where((normals @ (0, -1.0, 0))[..., None] < 0, -normals, normals)  # the camera looks along +Y
    sure = inner(draft.ids) & hits
    cosine = (normals_of(draft) * facing)[sure].sum(-1)
    assert eye[1] == -10
    assert np.median(cosine) > 0.9999
    assert (cosine > 0.99).mean() > 0.9  # edges between faces of one cube aside


def off_a_ball(draft: Any) -> float:
    """The median angle, in degrees, between the normals and those of a perfect ball of radius 1 at the origin."""
    y, x = np.nonzero(inner(draft.ids) & (draft.ids > 0))
    distance = 65535 * draft.near / draft.inverse_depth[y, x]
    across = (x + 0.5) / 48 - 1, 1 - (y + 0.5) / 48
    scale = draft.projection[0][0], draft.projection[1][1]
    seen = np.stack([across[0] * distance / scale[0], across[1] * distance / scale[1], -distance], 1)
    places = seen @ np.array(draft.view)[:3, :3] + (0, -10, 0)
    cosine = (normals_of(draft)[y, x] * places).sum(1) / np.linalg.norm(places, axis=1)
    return float(np.median(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))


def test_smooth_shading_is_smooth(scene: Any, shoot: Any) -> None:
    rough = ball(scene, (0, 0, 0))
    flat = shoot()
    rough.data.shade_smooth()
    rough.data.update()
    smooth = shoot()
    assert off_a_ball(smooth) < 0.7
    assert off_a_ball(flat) > 1


def test_an_instance_keeps_its_id_and_its_matrix_tells_where_it_went(scene: Any, shoot: Any) -> None:
    import bpy

    left, right = cube(scene, (-1.5, 0, 0)), cube(scene, (1.5, 0, 0))
    first = shoot()
    ids = first.ids[48, 24], first.ids[48, 72]
    assert 0 not in ids and ids[0] != ids[1]
    left.location.z = 1
    left.name = "Renamed"
    cube(scene, (0, 5, 0))
    second = shoot()
    assert (second.ids[48, 72], second.ids[30, 24]) == (ids[1], ids[0])
    assert len(second.objects) == 3
    world = second.objects["world"][second.objects["id"] == ids[0]][0]
    assert world[:3, 3] == pytest.approx((-1.5, 0, 1))
    bpy.data.objects.remove(right)
    third = shoot()
    assert ids[1] not in third.objects["id"]
    cube(scene, (1.5, 0, 0))
    assert shoot().ids[48, 72] not in {0, *ids, *third.objects["id"]}


def test_ids_follow_the_animation(scene: Any, shoot: Any) -> None:
    thing = cube(scene, (-1.5, 0, 0))
    thing.keyframe_insert("location", frame=1)
    thing.location.x = 1.5
    thing.keyframe_insert("location", frame=9)
    scene.frame_set(1)
    first = shoot()
    scene.frame_set(9)
    second = shoot()
    assert first.ids[48, 28] == second.ids[48, 68] > 0 == second.ids[48, 28]
    assert [draft.objects["world"][0][0, 3] for draft in (first, second)] == pytest.approx([-1.5, 1.5])


def instancer(scene: Any, thing: Any, places: list[tuple[float, float, float]]) -> Any:
    """An object whose vertices each bear an instance of ``thing``."""
    import bpy

    mesh = bpy.data.meshes.new("Places")
    mesh.from_pydata(places, [], [])
    maker = bpy.data.objects.new("Places", mesh)
    maker.instance_type = "VERTS"
    scene.collection.objects.link(maker)
    thing.parent = maker
    return maker


def test_instances_of_vertices_and_collections_are_told_apart(scene: Any, shoot: Any) -> None:
    import bpy

    instancer(scene, cube(scene, (0, 0, 0), size=0.6), [(x, 0, z) for x in (-1.5, 0, 1.5) for z in (-1, 0)])
    kit = bpy.data.collections.new("Kit")
    kit.objects.link(ball(scene, (0, 30, 0), radius=0.4))
    for x in (-1.5, 0, 1.5):
        holder = bpy.data.objects.new("ModelInUse", None)
        holder.instance_type, holder.instance_collection, holder.location = "COLLECTION", kit, (x, -30, 1.2)
        scene.collection.objects.link(holder)
    draft = shoot()
    check_against_rays(scene, draft)
    assert len(draft.objects) >= 9
    again = shoot()
    assert (again.ids == draft.ids).all()


def test_what_the_draft_does_not_show_has_no_id(scene: Any, shoot: Any) -> None:
    import bpy

    behind = cube(scene, (0, 5, 0), size=3)
    hidden = cube(scene, (0, 0, 0), GREEN)
    for change in (
        lambda: setattr(hidden, "display_type", "WIRE"),
        lambda: setattr(hidden, "display_type", "BOUNDS"),
        lambda: setattr(hidden, "hide_viewport", True),
        lambda: hidden.hide_set(True),
        lambda: bpy.context.view_layer.layer_collection.children["Away"].__setattr__("exclude", True),
    ):
        away = bpy.data.collections.get("Away") or bpy.data.collections.new("Away")
        if away.name not in scene.collection.children:
            scene.collection.children.link(away)
            away.objects.link(hidden)
            scene.collection.objects.unlink(hidden)
        assert len(shoot().objects) == 2
        change()
        draft = shoot()
        assert len(draft.objects) == 1
        assert draft.objects["world"][0][:3, 3] == pytest.approx(behind.location)
        hidden.display_type, hidden.hide_viewport = "TEXTURED", False
        hidden.hide_set(False)


def test_in_front_lies_over_all_and_xray_changes_nothing(scene: Any, shoot: Any) -> None:
    from addon.blender.capture import spaces

    cube(scene, (0, -4, 0), size=2)
    far = cube(scene, (0, 5, 0))
    far.show_in_front = True
    draft = shoot()
    number = int(draft.ids[48, 48])
    assert draft.objects["world"][draft.objects["id"] == number][0][:3, 3] == pytest.approx((0, 5, 0))
    for _, space in spaces.view_spaces():
        space.shading.show_xray = True
    assert (shoot().ids == draft.ids).all()


def test_faces_turned_away_are_left_out_where_the_draft_leaves_them_out(scene: Any, shoot: Any) -> None:
    from addon.blender.capture import spaces

    for x, mirror in ((-1.5, 1), (1.5, -1)):
        box = cube(scene, (x, 0, 0), size=1.5)
        box.scale.x = mirror
        box.rotation_euler.z = math.radians(30)
    box.data.flip_normals()
    for _, space in spaces.view_spaces():
        space.shading.show_backface_culling = True
    draft = shoot()
    assert ((draft.ids > 0) == (draft.inverse_depth > 0)).all()
    distance = 65535 * draft.near / np.maximum(draft.inverse_depth, 1)
    assert distance[48, 20] < 10 < distance[48, 76]  # the inside of the box that is inside out


def test_hair_has_an_id_of_its_own(scene: Any, shoot: Any) -> None:
    import bpy

    cube(scene, (0, 3, 0), size=4)
    hair = bpy.data.hair_curves.new("Hair")
    hair.add_curves([2] * 40)
    hair.attributes["position"].data.foreach_set(
        "vector", np.ravel([(x / 20 - 1, -2, z) for x in range(40) for z in (-1, 1)])
    )
    thing = bpy.data.objects.new("Hair", hair)
    scene.collection.objects.link(thing)
    draft = shoot()
    near = 65535 * draft.near / np.maximum(draft.inverse_depth, 1) < 9
    near &= draft.inverse_depth > 0
    assert near.sum() > 100
    number = set(draft.ids[near].tolist())
    assert len(number) == 1 and 0 not in number
    assert len(set(draft.ids[~near].tolist()) - {0}) == 1
    assert not number & set(draft.ids[~near].tolist())
