"""Inverse depth from made-up depth buffers: no drawing. Each buffer is computed from distances by the projection."""

from __future__ import annotations

import numpy as np
import pytest

from addon.geometry.inverse_depth import inverse_depth, moved_back, to_buffer

PERSPECTIVE = ((2.0, 0, 0, 0), (0, 2.0, 0, 0), (0, 0, -1000.01 / 999.99, -2 * 0.01 * 1000 / 999.99), (0, 0, -1.0, 0))
"""Clipped at 0.01 and 1000, as Blender's viewport is."""
ORTHOGRAPHIC = ((0.2, 0, 0, 0), (0, 0.2, 0, 0), (0, 0, -2 / 2000.0, 0.0), (0, 0, 0, 1.0))
"""A view 10 high, clipped 1000 before and 1000 behind the eye."""


def buffer(distances: list[float], projection: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """What a GPU would write for surfaces at these distances."""
    values = []
    for distance in distances:
        z, w = projection[2][2] * -distance + projection[2][3], projection[3][2] * -distance + projection[3][3]
        values.append((z / w + 1) / 2)
    return np.array([values], np.float64).astype(np.float32)


def test_perspective_is_near_over_distance() -> None:
    plane, near, _ = inverse_depth(buffer([2.0, 4.0, 8.0, 16.0], PERSPECTIVE), PERSPECTIVE)
    assert near == pytest.approx(2.0, rel=1e-4)
    assert plane[0] == pytest.approx([65535, 32768, 16384, 8192], abs=12)
    assert plane.dtype == np.uint16


def test_far_surfaces_stay_exact_to_what_float32_holds() -> None:
    distances = [50.0, 100.0, 200.0]
    plane, *_ = inverse_depth(buffer(distances, PERSPECTIVE), PERSPECTIVE)
    assert 65535 * 50 / plane[0].astype(float) == pytest.approx(distances, rel=1e-2)


def test_orthographic_takes_the_views_height_for_the_nearest() -> None:
    plane, near, back = inverse_depth(buffer([-5.0, 5.0, 25.0], ORTHOGRAPHIC), ORTHOGRAPHIC)
    assert near == pytest.approx(10.0)
    assert back == pytest.approx(15.0, rel=1e-3)
    assert 65535 * 10 / plane[0].astype(float) == pytest.approx([10, 20, 40], rel=1e-3)


def test_an_orthographic_eye_farther_behind_sees_the_same() -> None:
    view = ((1.0, 0, 0, 3.0), (0, 0, 1.0, 2.0), (0, -1.0, 0, -7.0), (0, 0, 0, 1.0))
    other, projection = moved_back(view, ORTHOGRAPHIC, 15.0)
    point = np.array((2.0, 5.0, -1.0, 1.0))
    assert -(np.array(other) @ point)[2] == pytest.approx(-(np.array(view) @ point)[2] + 15)
    clip = [np.array(p) @ np.array(v) @ point for p, v in ((ORTHOGRAPHIC, view), (projection, other))]
    assert clip[1] == pytest.approx(clip[0])


@pytest.mark.parametrize("projection", [PERSPECTIVE, ORTHOGRAPHIC])
def test_what_goes_into_a_buffer_comes_out(projection: tuple[tuple[float, ...], ...]) -> None:
    distances = [2.0, 4.0, 30.0]
    assert to_buffer(np.array([distances], np.float32), projection) == pytest.approx(buffer(distances, projection))


@pytest.mark.parametrize("projection", [PERSPECTIVE, ORTHOGRAPHIC])
def test_background_is_zero(projection: tuple[tuple[float, ...], ...]) -> None:
    depth = buffer([3.0, 6.0], projection)
    depth[0, 1] = 1.0
    plane, *_ = inverse_depth(depth, projection)
    assert plane.tolist() == [[65535, 0]]


def test_nothing_but_background_has_a_near_of_one() -> None:
    plane, near, _ = inverse_depth(np.ones((8, 8), np.float32), PERSPECTIVE)
    assert near == 1.0
    assert not plane.any()
    assert plane.shape == (8, 8)


def test_a_surface_at_the_eye_gives_finite_numbers() -> None:
    plane, near, _ = inverse_depth(np.array([[0.0, 0.5, 0.999]], np.float32), PERSPECTIVE)
    assert 0 < near < 0.02
    assert plane[0, 0] == 65535
