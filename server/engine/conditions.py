"""What a UNet makes of timesteps and words before any pixel comes, made once and kept. torch, no requests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

import torch

from .cache import Recent
from .pipeline import Call, Guide
from .quick_unet import QuickUnet

KEPT_FRAMES = 16
"""Sets of calls and words. Each is some tuples."""
KEPT_TIMES = 64
"""Timesteps: some 10 kB each."""
KEPT_WORDS = 8
"""Prompts: 4 MB each with SD1.5, 15 MB with SDXL."""

Made = TypeVar("Made")


class KeptFor(Generic[Made]):
    """Values kept for the very same objects that they were made of: the engine hands in the same ones each frame.

    What an object holds must not change.
    """

    def __init__(self, size: int) -> None:
        self._kept: Recent[tuple[Sequence[Any], Made]] = Recent(size)

    def get(self, of: Sequence[Any], make: Callable[[], Made], *more: Hashable) -> Made:
        """The value for the objects ``of`` and the plain values ``more``; what is not there is made."""
        # an id is nobody else's while its object is kept too
        return self._kept.get((*map(id, of), *more), lambda: (of, make()))[1]

    def clear(self) -> None:
        self._kept.clear()


class Conditions:
    """Adds to calls and guides what ``quick`` takes in place of timesteps and words; leaves them alone without it."""

    def __init__(self, quick: QuickUnet | None) -> None:
        self._quick = quick
        self._frames: KeptFor[tuple[Sequence[Call], Guide]] = KeptFor(KEPT_FRAMES)
        self._shifts: KeptFor[torch.Tensor] = KeptFor(KEPT_TIMES)
        self._keys: KeptFor[torch.Tensor] = KeptFor(KEPT_WORDS)

    def forget(self) -> None:
        """The UNet's weights are others now."""
        self._frames.clear()
        self._shifts.clear()
        self._keys.clear()

    def add(self, calls: Sequence[Call], guide: Guide, picture_weight: float = 0.0) -> tuple[Sequence[Call], Guide]:
        """``calls`` with their shifts and ``guide`` with its keys; ``picture_weight``: of the style picture."""
        if self._quick is None:
            return calls, guide
        quick = self._quick
        return self._frames.get((calls, guide), lambda: self._make(quick, calls, guide, picture_weight), picture_weight)

    def _make(
        self, quick: QuickUnet, calls: Sequence[Call], guide: Guide, picture_weight: float
    ) -> tuple[Sequence[Call], Guide]:
        keys = self._keys.get((guide.text,), lambda: quick.keys(guide.text))
        picture, of_picture = guide.picture, None
        if picture is not None and picture_weight > 0:
            of_picture = self._keys.get((picture,), lambda: quick.picture_keys(picture), picture_weight)
        made = []
        for call in calls:
            given = (call.timestep, guide.pooled, guide.times, guide.embedded)
            shifts = self._shifts.get(given, lambda given=given: quick.shifts(*given))  # type: ignore[misc]
            made.append(replace(call, shifts=shifts))
        return made, replace(guide, keys=keys, picture_keys=of_picture)
