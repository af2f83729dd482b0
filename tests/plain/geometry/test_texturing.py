"""Unwrapping, packing, filling and what of a view is made: arithmetic alone. No bpy."""

from __future__ import annotations

import numpy as np
import pytest

from addon.geometry.charts import unwrap
from addon.geometry.fill import extended, push_pull
from addon.geometry.orbit import dome
from addon.geometry.packing import pack
from addon.geometry.shading import divide_out, to_linear, to_srgb
from addon.geometry.spread import spread
from addon.geometry.trimap import MAKE, REFINE, strength_of, trimap

RANDOM = np.random.default_rng(3)


def test_packed_charts_lie_apart_within_the_square() -> None:
    sizes = RANDOM.uniform(0, 40, (60, 2))
    packed = pack(sizes, 32, 1024, 3)
    assert packed.scale == 1 and packed.size in (256, 512)
    taken = np.zeros((packed.size, packed.size), int)
    for (x, y), (width, height) in zip(packed.corners.astype(int), np.ceil(sizes).astype(int), strict=True):
        taken[y - 3 : y + height + 3, x - 3 : x + width + 3] += 1
        assert x >= 3 and y >= 3 and x + width + 3 <= packed.size and y + height + 3 <= packed.size
    assert taken.max() == 1
    assert pack(sizes, 32, 128, 3).scale < 1


def test_a_roof_becomes_flat_charts_of_true_size() -> None:
    """Two slopes and a face without area."""
    slope = np.array([(0, 0, 0), (4, 0, 0), (4, 1, 2), (0, 1, 2)], float)
    places = np.concatenate([slope, slope * (1, -1, 1), np.zeros((3, 3))])
    face = np.repeat([0, 1, 2], [4, 4, 3])
    normals = np.array([(0, -2, 1), (0, 2, 1), (0, 0, 0)]) / np.sqrt(5)
    charts = unwrap(places, face, np.arange(11), normals, np.array([4 * np.sqrt(5)] * 2 + [0.0]))
    first, second = charts.of_face[:2]
    assert first != second
    assert sorted(charts.sizes[first]) == pytest.approx([np.sqrt(5), 4])
    edges = np.linalg.norm(np.diff(charts.corners[:4], axis=0), axis=1)
    assert edges == pytest.approx([4, np.sqrt(5), 4])


def test_gaps_are_filled_and_what_is_known_stays() -> None:
    colours = RANDOM.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    weights = (RANDOM.uniform(size=(64, 64)) < 0.3).astype(np.float32)
    filled = colours.copy()
    push_pull(filled, weights)
    assert np.array_equal(filled[weights == 1], colours[weights == 1])
    plain = np.where(weights[..., None] > 0, np.uint8(200), np.uint8(0)) * np.ones((1, 1, 3), np.uint8)
    push_pull(plain, weights)
    assert plain.min() >= 199
    high = np.zeros((38, 64, 3), np.uint8)
    high[5:9, 20:50] = 90
    push_pull(high, (high[..., 0] > 0).astype(np.float32))
    assert (high == 90).all(), "of any even height"


def test_a_slope_goes_on_beyond_the_rim() -> None:
    slope = np.repeat((np.arange(16) * 10 + 20)[None, :, None], 16, 0).repeat(3, 2).astype(np.uint8)
    weights = np.zeros((16, 16), np.float32)
    weights[4:12, 4:12] = 1
    colours = np.where(weights[..., None] > 0, slope, np.uint8(0))
    extended(colours, weights)
    assert np.array_equal(colours[5:11, 2:14], slope[5:11, 2:14]) and (weights[5:11, 2:14] == 1).all()


def test_colours_spread_along_edges_and_no_farther() -> None:
    colours, known = np.array([[1.0], [0], [0], [0.5], [0]], np.float32), np.array([True, False, False, True, False])
    result, reached = spread(colours, known, np.array([0, 1, 2]), np.array([1, 2, 3]))
    assert reached.tolist() == [True, True, True, True, False]
    assert 1 > result[1, 0] > result[2, 0] > 0.5


def test_what_is_empty_is_made_what_is_seen_better_refined_and_the_rest_kept() -> None:
    target = np.ones((32, 32), bool)
    cosine, clear, now = (np.full((32, 32), value, np.uint8) for value in (128, 255, 140))
    target[:8], cosine[:, :8], now[:, 28:] = False, 0, 220
    parts = trimap(cosine > 0, target, cosine, clear, now, np.ones((32, 32), bool))
    assert (parts[8:, :8] == MAKE).all() and (parts[8:, 28:] == REFINE).all() and not parts[:, 8:28].any()
    strength = strength_of(parts, target, 4)
    assert (strength[:8] == MAKE).all() and (strength[8:, :8] == MAKE).all()
    assert strength[20, 9] > 0 and strength[20, 17] == 0


def test_light_is_divided_out_by_object() -> None:
    ids = np.repeat([[1, 2]], 32, 0).repeat(32, 1).astype(np.uint16)
    shade = np.tile(np.linspace(0.2, 1, 32, dtype=np.float32), 2)[None, :, None]
    unlit = np.full((32, 64, 3), 180, np.uint8)
    lit = to_srgb(to_linear(unlit) * shade)
    picture = np.where((ids == 1)[..., None], lit, unlit)
    flat = divide_out(picture, lit, unlit, ids)
    assert flat[:, :32].std() < 4 < lit[:, :32].std()
    assert np.abs(flat[:, 32:].astype(int) - 180).max() <= 1


def test_a_dome_looks_from_above_evenly() -> None:
    directions = dome(64)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(np.ones(64)) and directions[:, 2].min() > 0.1
    nearest = np.sort(directions @ directions.T, axis=1)[:, -2]
    assert np.degrees(np.arccos(nearest)).min() > 8
