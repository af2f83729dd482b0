"""Geometry against what is known of a scene: planes and boxes seen by rays of our own; and torch against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from addon.geometry.camera import Camera, inverse_distances, positions
from addon.geometry.motion import motions
from addon.geometry.surfaces import REACH, Surfaces
from addon.geometry.visibility import look
from addon.wire.frame import OBJECT
from server.engine.sampling import views
from tests.plain.geometry.scene import BOX, GROUND, SIZE, drawn, orthographic, perspective, placed, rays

CAMERAS = [
    Camera.of(placed((0.0, -6.0, 0.5)), perspective()),
    Camera.of(placed((0.8, -6.0, 0.7), 0.1), perspective()),
    Camera.of(placed((-0.5, -5.0, 0.2), -0.05), perspective(0.3)),
    Camera.of(placed((0.3, -9.0, 1.0)), orthographic()),
    Camera.of(placed((0.6, -8.0, 1.2)), orthographic(0.1)),
]


@pytest.mark.parametrize("camera", CAMERAS)
def test_positions_lie_where_the_rays_meet_the_surfaces(camera: Camera) -> None:
    inverse, _ = drawn(camera)
    start, along = rays(camera)
    found = positions(camera, inverse)
    surface = inverse > 0
    place = found[surface][:, :3] / found[surface][:, 3:]
    assert np.allclose(place, (start + along / np.where(surface, inverse, 1)[..., None])[surface], atol=2e-4)
    assert (found[~surface][:, 3] == 0).all()


@pytest.mark.parametrize("now", CAMERAS)
@pytest.mark.parametrize("then", CAMERAS)
def test_what_another_view_shows_is_found_where_it_is_and_nothing_behind_it(now: Camera, then: Camera) -> None:
    here, ids = drawn(now)
    there, ids_there = drawn(then)
    seen = look(Surfaces.of(now, here), Surfaces.of(then, there))
    visible = seen.visible & (here > 0)
    place = positions(now, here)[visible].astype(np.float64)
    clip = place @ then.view.T @ then.projection.T
    assert np.allclose(seen.x[visible], (clip[:, 0] / clip[:, 3] + 1) * SIZE / 2, atol=2e-2)
    assert np.allclose(seen.y[visible], (1 - clip[:, 1] / clip[:, 3]) * SIZE / 2, atol=2e-2)
    x, y = (np.clip(np.floor(each[visible]), 0, SIZE - 1).astype(int) for each in (seen.x, seen.y))
    clear = Surfaces.of(then, there).edges[y, x] > 0  # beside an edge two surfaces share a pixel
    assert clear.mean() > 0.5 and (ids[visible] == ids_there[y, x])[clear].mean() > 0.98
    # all that is in the other picture and far from edges is found, unless something stands before it
    x, y = (np.clip(np.nan_to_num(each), 0, SIZE - 1).astype(int) for each in (seen.x, seen.y))
    hidden, far = ids_there[y, x], Surfaces.of(then, there).edges[y, x] == REACH
    inside = (seen.x > 2) & (seen.y > 2) & (seen.x < SIZE - 2) & (seen.y < SIZE - 2)
    own = inside & far & (ids == BOX) & (hidden == BOX) & (seen.coarsest > 0.3)
    assert own.any() and seen.visible[own].all()


def test_the_view_itself_shows_all_of_it_at_its_own_pixels() -> None:
    for camera in CAMERAS:
        inverse, _ = drawn(camera)
        surfaces = Surfaces.of(camera, inverse)
        seen = look(surfaces, surfaces)
        assert seen.visible.all()
        middles = np.arange(SIZE) + 0.5
        assert np.allclose(seen.x, middles[None], atol=1e-3) and np.allclose(seen.y, middles[:, None], atol=1e-3)
        assert np.allclose(seen.finest, 1, atol=1e-2) and np.allclose(seen.coarsest, 1, atol=1e-2)


def test_half_as_near_has_half_the_detail_and_grazing_has_little() -> None:
    near, far = Camera.of(placed((0, -3.0, 0)), perspective()), Camera.of(placed((0, -5.5, 0)), perspective())
    planes = [(camera, drawn(camera)) for camera in (near, far)]
    seen = look(*(Surfaces.of(camera, inverse) for camera, (inverse, _) in planes))
    middle = seen.coarsest[SIZE // 2, SIZE // 2]
    assert middle == pytest.approx(2.5 / 5.0, rel=0.02)
    side = Camera.of(placed((-9.0, -0.9, 0.0), -np.pi / 2 + 0.02), perspective())
    front, _ = drawn(near)
    grazed = look(Surfaces.of(near, front), Surfaces.of(side, drawn(side)[0]))
    assert grazed.coarsest[SIZE // 2, SIZE // 2] < 0.1


def test_the_background_goes_by_its_direction() -> None:
    now, then = (Camera.of(placed((x, -6.0, 0.5), yaw), perspective()) for x, yaw in ((0.0, 0.0), (3.0, 0.1)))
    empty = np.zeros((SIZE, SIZE), np.float32)
    seen = look(Surfaces.of(now, empty), Surfaces.of(then, empty))
    at = SIZE // 2
    # 0.1 radians to the right of the middle, at 2 times the tangent, of half a picture
    assert seen.x[at, at] == pytest.approx((1 + 2 * np.tan(0.1)) * SIZE / 2 + 0.5, abs=0.6)
    assert seen.visible[at, at]


def test_what_moved_is_found_where_it_was() -> None:
    camera = CAMERAS[0]
    (here, ids), (there, ids_there) = drawn(camera, (0.4, 0, 0)), drawn(camera)
    matrices = [np.eye(4), np.eye(4)]
    matrices[0][0, 3] = 0.4
    moved = motions(*(np.array([(GROUND, np.eye(4)), (BOX, matrix)], OBJECT) for matrix in matrices))
    assert list(moved) == [BOX]
    surfaces = Surfaces.of(camera, here), Surfaces.of(camera, there)
    seen = look(*surfaces, ids, moved)
    box = ids == BOX
    assert seen.visible[box].mean() > 0.95
    x, y = (np.clip(np.floor(each[box & seen.visible]), 0, SIZE - 1).astype(int) for each in (seen.x, seen.y))
    assert (ids_there[y, x] == BOX).mean() > 0.97
    # ground that the box stood before then is not seen in the old picture
    assert not seen.visible[(ids == GROUND) & (ids_there == BOX)].any()


@pytest.mark.parametrize("now", CAMERAS)
@pytest.mark.parametrize("then", CAMERAS)
def test_torch_finds_the_same(now: Camera, then: Camera) -> None:
    (here, ids), (there, _) = drawn(now), drawn(then)
    motion = np.eye(4)
    motion[:3, 3] = 0.1, 0.05, 0.0
    one = look(Surfaces.of(now, here), Surfaces.of(then, there), ids, {BOX: motion})
    flat = torch.from_numpy(ids.astype(np.int64)).view(-1)
    surfaces = [views.Surfaces.of(c, torch.from_numpy(plane)) for c, plane in ((now, here), (then, there))]
    other = views.look(surfaces[0], surfaces[1].relief, moved={BOX: motion}, ids=flat)
    agree = one.visible.reshape(-1) == other.visible.numpy()
    assert agree.mean() > 0.999
    both = one.visible.reshape(-1) & other.visible.numpy()
    for name in ("x", "y", "inverse"):
        assert np.allclose(
            getattr(one, name).reshape(-1)[both], getattr(other, name).numpy()[both], rtol=1e-2, atol=1e-2
        )
    for limit in (0.2, 0.5, 0.8, 1.6, 4.0):
        finer, coarser = one.coarsest.reshape(-1)[both] > limit, one.finest.reshape(-1)[both] < limit
        assert (finer == other.finer_than(limit).numpy()[both]).mean() > 0.995
        assert (coarser == other.coarser_than(limit).numpy()[both]).mean() > 0.995
    some = torch.arange(0, SIZE * SIZE, 7)
    part = views.look(surfaces[0], surfaces[1].relief, some, {BOX: motion}, flat[some])
    assert torch.equal(part.visible, other.visible[some])


def test_inverse_distances() -> None:
    plane = np.array([[65535, 0, 32768]], np.uint16)
    assert np.allclose(inverse_distances(plane, 4.0), [[0.25, 0, 0.125002]], atol=1e-6)
