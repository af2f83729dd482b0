"""What a UNet computes from timesteps and prompts alone, computed once and cached. torch, no requests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

import torch

from ..acceleration.quick_unet import QuickControl, QuickUnet
from ..cache import Recent
from ..sampling.pipeline import Call, Guide

KEPT_FRAMES = 16
"""Sets of calls and words. Each is some tuples."""
KEPT_TIMES = 64
"""Timesteps: some 10 kB each."""
KEPT_WORDS = 8
"""Prompts: 4 MB each with SD1.5, 15 MB with SDXL."""

Made = TypeVar("Made")


MOST_KEPT = 256 * 2**20
"""Bytes; the keys of a usual prompt in all layers of SDXL take 40 million."""


class KeptFor(Generic[Made]):
    """Values kept for the very same objects that they were made of: the engine hands in the same ones each frame.

    What an object holds must not change.
    """

    def __init__(self, size: int) -> None:
        self._kept: Recent[tuple[Sequence[Any], Made]] = Recent(size, MOST_KEPT)

    def get(self, of: Sequence[Any], make: Callable[[], Made], *more: Hashable) -> Made:
        """The value for the objects ``of`` and the plain values ``more``; what is not there is made."""
        # an id is nobody else's while its object is kept too
        return self._kept.get((*map(id, of), *more), lambda: (of, make()))[1]

    def clear(self) -> None:
        self._kept.clear()


class Conditions:
    """Adds to calls and guides what ``quick`` and ``control`` take in place of timesteps and words; nothing without."""

    def __init__(self, quick: QuickUnet | None, control: QuickControl | None = None) -> None:
        self._quick, self._control = quick, control
        self._frames: KeptFor[tuple[Sequence[Call], Guide]] = KeptFor(KEPT_FRAMES)
        self._shifts: KeptFor[torch.Tensor] = KeptFor(KEPT_TIMES)
        self._keys: KeptFor[torch.Tensor] = KeptFor(KEPT_WORDS)

    def forget(self) -> None:
        """The weights are others now."""
        self._frames.clear()
        self._shifts.clear()
        self._keys.clear()

    def add(self, calls: Sequence[Call], guide: Guide, picture_weight: float = 0.0) -> tuple[Sequence[Call], Guide]:
        """``calls`` with their shifts and ``guide`` with its keys; ``picture_weight``: of the style picture."""
        return self._frames.get((calls, guide), lambda: self._make(calls, guide, picture_weight), picture_weight)

    def _make(self, calls: Sequence[Call], guide: Guide, picture_weight: float) -> tuple[Sequence[Call], Guide]:
        quick, control, picture = self._quick, self._control, guide.picture
        if quick is not None:
            keys = self._keys.get((quick, guide.text), lambda: quick.keys(guide.text))
            seen = None
            if picture is not None and picture_weight > 0:
                seen = self._keys.get((quick, picture), lambda: quick.picture_keys(picture), picture_weight)
            calls = [replace(call, shifts=self._shifts_of(quick, call, guide)) for call in calls]
            guide = replace(guide, keys=keys, picture_keys=seen)
        if control is not None:
            keys = self._keys.get((control, guide.text), lambda: control.keys(guide.text))
            calls = [replace(call, control_shifts=self._shifts_of(control, call, guide)) for call in calls]
            guide = replace(guide, control_keys=keys)
        return calls, guide

    def _shifts_of(self, net: QuickUnet | QuickControl, call: Call, guide: Guide) -> torch.Tensor:
        given = call.timestep, guide.pooled, guide.times, guide.embedded
        return self._shifts.get((net, *given), lambda: net.shifts(*given))
