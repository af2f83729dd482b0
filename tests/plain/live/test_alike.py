"""Two captures of one view are told from two of different ones."""

from __future__ import annotations

import numpy as np
import pytest

from addon.geometry.alike import DEPTH_LEVELS, IMAGE_LEVELS, are_alike


@pytest.mark.parametrize(("kind", "levels", "side"), [(np.uint8, IMAGE_LEVELS, 3), (np.uint16, DEPTH_LEVELS, 1)])
def test_noise_is_no_change_and_one_pixel_is(kind: type, levels: int, side: int) -> None:
    first = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (64, 48, side), kind)
    first[0, 0], first[0, 1] = 0, np.iinfo(kind).max  # no wrapping around at the ends
    assert are_alike(first, first.copy())
    for at, step in (((0, 0), levels), ((0, 1), -levels)):
        noisy = first.copy()
        noisy[at] = noisy[at].astype(int) + step
        assert are_alike(first, noisy) and are_alike(noisy, first)
        changed = first.copy()
        changed[at] = changed[at].astype(int) + np.sign(step) * (levels + 1)
        assert not are_alike(first, changed) and not are_alike(changed, first)


def test_other_sizes_and_missing_planes_differ() -> None:
    plane = np.zeros((8, 8, 3), np.uint8)
    assert not are_alike(plane, plane[:4])
    assert not are_alike(plane, None) and not are_alike(None, plane)
    assert are_alike(None, None)
