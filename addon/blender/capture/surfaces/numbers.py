"""The ids of instances: 1 to 65,535, the same from frame to frame. numpy only: no bpy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

MOST = 65_535
"""A plane of ids is uint16, and 0 is no instance."""


class Numbers:
    """Gives each instance that is seen a number, which it keeps as long as it exists, seen or not.

    What goes leaves its number unused, so that nothing else is taken for it, until there are no more. Only then, after
    65,535 instances have been seen, are the numbers of those out of sight given anew; and of more than 65,535 in
    one frame, those with the fewest pixels have number 0.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._given: dict[bytes, int] = {}
        self._last = 0  # the highest number ever given
        self._keys: NDArray[np.int32] | None = None
        self._known = np.zeros(0, np.uint16)

    def of(self, keys: NDArray[np.int32], pixels: NDArray[np.intp]) -> NDArray[np.uint16]:
        """The number of each row of ``keys`` (int32, N x K, no two equal): uint16, N; 0 for those without ``pixels``.

        ``pixels``: N, how many each one has in the frame.
        """
        if self._keys is not keys:
            self._keys, self._known = keys, np.zeros(len(keys), np.uint16)
        seen = np.flatnonzero(pixels)
        new = seen[self._known[seen] == 0]
        if len(new):
            self._give(keys, seen, new[np.argsort(-pixels[new], kind="stable")])
        return np.where(pixels > 0, self._known, np.uint16(0))

    def _give(self, keys: NDArray[np.int32], seen: NDArray[np.intp], new: NDArray[np.intp]) -> None:
        names = {row: keys[row].tobytes() for row in new.tolist()}
        fresh = [row for row, name in names.items() if name not in self._given]
        numbers: Iterable[int] = range(self._last + 1, self._last + len(fresh) + 1)
        if self._last + len(fresh) > self._most:
            kept = {self._given[name] for name in names.values() if name in self._given}
            kept |= set(self._known[seen].tolist()) - {0}
            self._given = {name: number for name, number in self._given.items() if number in kept}
            self._known[~np.isin(self._known, list(kept))] = 0
            numbers = sorted(set(range(1, self._most + 1)) - kept)
        self._last = min(self._last + len(fresh), self._most)
        self._given |= {names[row]: number for row, number in zip(fresh, numbers, strict=False)}
        for row, name in names.items():
            self._known[row] = self._given.get(name, 0)
