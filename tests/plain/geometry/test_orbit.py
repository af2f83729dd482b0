"""Orbits: what is aimed at, and where the eye goes. Figures by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from addon.geometry.orbit import (
    clipping,
    from_eye,
    middle_of_sight,
    perspective,
    sphere_round,
    turned,
    view_towards,
    with_clipping,
)


def eye_of(view: np.ndarray) -> np.ndarray:
    return from_eye(view, np.zeros(3))


def seen_by(view: np.ndarray, point: np.ndarray) -> np.ndarray:
    return view[:3, :3] @ point + view[:3, 3]


def test_a_turn_keeps_height_distance_and_the_middles_place_in_the_picture() -> None:
    middle = np.array([448000.0, 5411000.0, 120.0])
    view = view_towards(np.array([0.6, -0.64, 0.48]), middle + np.array([1.5, 0.5, 0.25]), 30.0)
    for turn in (0.1, 0.25, 0.5, 0.99):
        other = turned(view, middle, turn)
        assert eye_of(other)[2] == pytest.approx(eye_of(view)[2], abs=1e-6)
        assert seen_by(other, middle) == pytest.approx(seen_by(view, middle), abs=1e-6)
        before, after = (np.arctan2(*(eye_of(one) - middle)[1::-1]) for one in (view, other))
        assert math.cos(after - before) == pytest.approx(math.cos(math.tau * turn), abs=1e-6)
    assert turned(view, middle, 0.0) == pytest.approx(view, abs=1e-6)


def test_a_sheared_view_has_its_eye_where_all_of_it_comes_together() -> None:
    view = view_towards(np.array([0.0, -1.0, 0.0]), np.zeros(3), 10.0)
    view[0, :3] += 0.5 * view[1, :3]
    assert view @ (*eye_of(view), 1.0) == pytest.approx((0, 0, 0, 1))


def test_the_middle_is_of_the_thing_and_not_of_the_ground_or_the_sky() -> None:
    side = np.linspace(-0.99, 0.99, 80)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    distance = np.where(y > 0.3, 900.0, np.where(y < -0.3, 6 / (-y + 0.1), 20.0))  # a dome, a thing, a ground
    seen = np.stack([x * distance * 0.5, y * distance * 0.5, -distance], 1)
    middle = middle_of_sight(seen, np.stack([x, y], 1))
    assert -24 < middle[2] < -12 and abs(middle[0]) < 1.0 and abs(middle[1]) < 4


@pytest.mark.parametrize("near, far", [(0.1, 100.0), (2.5, 2.6)])
def test_clipping_planes_are_read_as_they_were_set(near: float, far: float) -> None:
    projection = perspective(0.4, near, far)
    assert clipping(projection) == pytest.approx((near, far))
    assert with_clipping(projection, 1.0, 7.0) == pytest.approx(perspective(0.4, 1.0, 7.0))
    at_the_edge = projection @ (0.0, 5 * math.tan(0.4), -5.0, 1.0)
    assert at_the_edge[1] / at_the_edge[3] == pytest.approx(1)
    flat = with_clipping(np.diag([0.2, 0.2, -1.0, 1.0]), -3.0, near + far)
    assert clipping(flat) == pytest.approx((-3.0, near + far))
    assert [(flat @ (0, 0, -depth, 1))[2] for depth in (-3.0, near + far)] == pytest.approx([-1, 1])


def test_one_point_has_a_sphere_too() -> None:
    middle, radius = sphere_round(np.array([[1.0, 2.0, 3.0]]))
    assert list(middle) == [1, 2, 3] and radius > 0
