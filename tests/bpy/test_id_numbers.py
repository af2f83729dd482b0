"""The numbers that instances keep: no drawing."""

from __future__ import annotations

import numpy as np

from addon.blender.capture.surfaces.numbers import Numbers


def test_numbers_run_out_only_beyond_what_a_plane_can_tell_apart() -> None:
    def keys(*names: int) -> np.ndarray:
        return np.array([[name, 0] for name in names], np.int32)

    numbers = Numbers(most=4)
    first = numbers.of(keys(7, 8, 9), np.array([5, 0, 1]))
    assert first.tolist() == [1, 0, 2]
    assert numbers.of(keys(9, 8, 7), np.array([1, 1, 1])).tolist() == [2, 3, 1]
    assert numbers.of(keys(8), np.array([1])).tolist() == [3]
    assert numbers.of(keys(7, 10), np.array([1, 1])).tolist() == [1, 4]
    again = numbers.of(keys(7, 11, 12), np.array([1, 1, 1]))  # five: those out of sight give theirs
    assert again[0] == 1 and sorted(again.tolist()) == [1, 2, 3]
    many = numbers.of(keys(*range(20, 26)), np.array([1, 9, 9, 9, 9, 2]))
    assert many.tolist().count(0) == 2 and many[0] == many[5] == 0
