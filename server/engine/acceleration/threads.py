"""Uses fewer threads while other programs need the CPU. torch, no models.

Threads that compute together wait for each other after every layer. Where another program, Blender as it draws, holds
one of their cores, all wait for the one that stands still, and spend the others' time in waiting. Measured on two cores
beside one busy thread, embedded model, 256 x 256, 2 steps: 0.2 pictures a second by two threads, 13 by one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

import torch

from ..cache import Recent

SLOW = 1.8
"""Times the usual that a frame takes beside others: with a thread less it takes 1.5 times as long, of two or three."""
IN_A_ROW = 3
"""Slow frames until a thread is given up: one may have had other things to do."""
KNOWN_AFTER = 12
"""Frames of a kind until it is known what is usual."""
SHORTEST, LONGEST = 8, 128
"""Frames until the thread is tried again, at first and at most."""


class Threads:
    """How many threads frames are computed with: ``most`` while nobody else wants the cores; None for a GPU's."""

    def __init__(self, most: int | None) -> None:
        self.most = self.now = most or 1
        self._usual: Recent[list[float]] = Recent(16)  # by kind of frame: the shortest seconds, and how many there were
        self._slow = self._until_tried = 0
        self._pause = SHORTEST
        self._steady = most is None or bool(os.environ.get("OMP_NUM_THREADS"))  # the user's own choice
        self._set()

    @contextmanager
    def frame(self, kind: Hashable) -> Iterator[None]:
        """Around the computing of a frame; those of one ``kind`` take equally long."""
        self._set()
        begun = time.perf_counter()
        yield
        self.took(kind, time.perf_counter() - begun)

    def _set(self) -> None:
        if not self._steady and torch.get_num_threads() != self.now:
            torch.set_num_threads(self.now)

    def took(self, kind: Hashable, seconds: float) -> None:
        """A frame of ``kind`` took so long with as many threads as there are :attr:`now`."""
        if self._steady or self.most == 1:
            return
        usual = self._usual.get((kind, self.now), lambda: [seconds, 0.0])
        usual[0], usual[1] = min(usual[0], seconds), usual[1] + 1
        self._slow = self._slow + 1 if seconds > SLOW * usual[0] and usual[1] > KNOWN_AFTER else 0
        if self._slow >= IN_A_ROW and self.now > 1:
            self.now, self._slow = self.now - 1, 0
            self._until_tried, self._pause = self._pause, min(LONGEST, 2 * self._pause)
        elif self.now < self.most:
            self._until_tried -= 1
            if self._until_tried <= 0:
                self.now, self._slow, self._until_tried = self.now + 1, 0, self._pause
        elif self._until_tried > 0:
            self._until_tried -= 1
            if self._until_tried == 0:  # it went well for as long as it was left: others are gone
                self._pause = SHORTEST
