"""Finds which of a view's pixels a kept picture shows, too. torch and addon.geometry; no models, no requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from addon.geometry.motion import motions
from addon.geometry.surfaces import far_enough

from .anchors import Anchor, Scene
from .views import Seen, look
from .windows import greatest

BLURRED, COARSE = 0.2, 4.0
"""Kept pixels to one: below the first and above the second, a surface is not known."""
APART = 8
"""Pixels between two for which is found out whether looking for those round them is worth its time."""

Motions = Mapping[int, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Match:
    """Pixels of a scene in a kept picture. n each.

    ``fits``: whether it has them, bool. ``nearest``: the flat index of the kept pixel that each lies in, int64, right
    where it fits.
    """

    seen: Seen
    fits: torch.Tensor
    nearest: torch.Tensor


def moved_since(scene: Scene, anchor: Anchor) -> Motions:
    """What of that which ``scene`` shows was elsewhere in ``anchor``; see ``motions``."""
    moved = motions(scene.objects, anchor.objects)
    if not moved or scene.ids is None:
        return {}
    shown = set(torch.unique(scene.ids).tolist())
    return {number: motion for number, motion in moved.items() if number in shown}


def among(ids: torch.Tensor, some: Sequence[int]) -> torch.Tensor:
    """Whether each of ``ids`` (int32, N, 16 bits at most) is one of ``some``, bool."""
    table = torch.zeros(2**16, dtype=torch.bool, device=ids.device)
    table[list(some)] = True
    return table.index_select(0, ids)


def match(scene: Scene, anchor: Anchor, at: torch.Tensor | None, moved: Motions) -> Match:
    """Look for the pixels ``at`` (int64, n; None: all) of ``scene`` in ``anchor``."""
    surfaces, relief, ids, rim = scene.surfaces, anchor.relief, scene.ids, scene.surfaces.rim
    if at is not None:
        ids, rim = None if ids is None else ids.index_select(0, at), rim.index_select(0, at)
    seen = look(surfaces, relief, at, moved, ids)
    fits = seen.visible & seen.finer_than(BLURRED) & seen.coarser_than(COARSE)
    x, y = torch.where(fits, seen.x, 0), torch.where(fits, seen.y, 0)
    # what is nearer to the border there than here was made worse: an autoencoder has nothing beyond it to go by
    border = torch.minimum(torch.minimum(x, relief.width - x), torch.minimum(y, relief.height - y))
    fits &= border + 1 >= rim
    column, row = x.floor_().clamp_(0, relief.width - 1), y.floor_().clamp_(0, relief.height - 1)
    nearest = row.mul_(relief.width).add_(column).long()
    fits &= anchor.valid.index_select(0, nearest)
    here = surfaces.edges if at is None else surfaces.edges.index_select(0, at)
    fits &= far_enough(anchor.clearance.index_select(0, nearest), here)
    if ids is not None and anchor.ids is not None:
        fits &= (ids == anchor.ids.index_select(0, nearest)) | ~seen.clear
    return Match(seen, fits, nearest)


class Likely:
    """Where a kept picture may have something of a scene: in the neighbourhood of a few pixels that it has."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        height, width, device = scene.height, scene.width, scene.draft.device
        rows, columns = (torch.arange(count, device=device) // APART for count in (height, width))
        self._size = int(rows[-1]) + 1, int(columns[-1]) + 1
        self._cell = (rows[:, None] * self._size[1] + columns).view(-1)
        rows, columns = (
            (torch.arange(count, device=device) * APART + APART // 2).clamp_(max=most - 1)
            for count, most in zip(self._size, (height, width), strict=True)
        )
        self._probes = (rows[:, None] * width + columns).view(-1)

    def of(self, at: torch.Tensor | None, anchor: Anchor, moved: Motions) -> torch.Tensor:
        """Those of ``at`` (int64; None: all) that are worth looking for in ``anchor``."""
        fits = match(self._scene, anchor, self._probes, moved).fits
        near = greatest(fits.view(self._size), 1).view(-1)
        if at is None:
            return near.index_select(0, self._cell).nonzero()[:, 0]
        return at[near.index_select(0, self._cell.index_select(0, at))]
