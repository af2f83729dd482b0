"""How far pictures of moving views are from holding still, by the scene's exact geometry. numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addon.blender.capture.draft import Draft
from addon.geometry.camera import Camera, inverse_distances
from addon.geometry.motion import motions
from addon.geometry.surfaces import Surfaces
from addon.geometry.visibility import Seen, look

Picture = NDArray[np.uint8]
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
AROUND = 12
"""Pixels round a newly seen place that its colours are compared with."""


@dataclass(frozen=True, eq=False)
class View:
    """A draft with its surfaces."""

    draft: Draft

    @cached_property
    def surfaces(self) -> Surfaces:
        draft = self.draft
        assert draft.inverse_depth is not None
        return Surfaces.of(Camera.of(draft.view, draft.projection), inverse_distances(draft.inverse_depth, draft.near))

    def seen_in(self, other: View) -> Seen:
        """Where ``other`` shows what this view does."""
        moved = motions(self.draft.objects, other.draft.objects) if self.draft.ids is not None else {}
        return look(self.surfaces, other.surfaces, self.draft.ids, moved)


def warped(picture: Picture, seen: Seen) -> NDArray[np.float32]:
    """``picture`` of another view as this one sees it, bilinear, float32, H x W x 3; right where ``seen.visible``."""
    height, width = picture.shape[:2]
    x = np.clip(np.where(seen.visible, seen.x, 0.5) - 0.5, 0, width - 1.001)
    y = np.clip(np.where(seen.visible, seen.y, 0.5) - 0.5, 0, height - 1.001)
    left, top = x.astype(int), y.astype(int)
    right, down = (x - left)[..., None], (y - top)[..., None]
    planes = picture.astype(np.float32)
    upper = planes[top, left] * (1 - right) + planes[top, left + 1] * right
    lower = planes[top + 1, left] * (1 - right) + planes[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def error(views: Sequence[View], pictures: Sequence[Picture], back: int, every: int = 1) -> float:
    """Mean difference, of 255, between pictures and those ``back`` frames before them, where both see the same."""
    found = []
    for number in range(back, len(views), every):
        seen = views[number].seen_in(views[number - back])
        apart = np.abs(pictures[number] - warped(pictures[number - back], seen)).mean(-1)
        found.append(float(apart[seen.visible].mean()))
    return float(np.mean(found)) if found else float("nan")


def sharpness(picture: Picture) -> float:
    """The mean step of luminance between neighbours, of 255."""
    light = picture @ LUMINANCE
    return float(np.abs(np.diff(light, axis=0)).mean() + np.abs(np.diff(light, axis=1)).mean())


def strangeness(view: View, before: View, picture: Picture) -> float:
    """How far the colours of places that ``before`` did not show are from those round them, of 255."""
    new = ~view.seen_in(before).visible
    if not new.any():
        return float("nan")
    weight = (~new).astype(np.float32)
    around = _sums(picture * weight[..., None]) / np.maximum(_sums(weight[..., None]), 1)
    near = new & (_sums(weight[..., None])[..., 0] > 0)
    return float(np.abs(picture - around).mean(-1)[near].mean())


def drift(features: NDArray[np.float64], fresh: NDArray[np.float64]) -> float:
    """How far ``features`` (F) of a picture are from those of fresh ones of its view, by several seeds (N x F).

    Mean distance to them, in mean distances between two of them: a fresh picture by one more seed would have 1. Two
    alone tell little, as such distances vary by a third.
    """
    between = np.linalg.norm(fresh[:, None] - fresh, axis=-1)[np.triu_indices(len(fresh), 1)].mean()
    return float(np.linalg.norm(fresh - features, axis=-1).mean() / between) if between else float("nan")


def ghost(views: Sequence[View], pictures: Sequence[Picture], fresh: Sequence[Picture]) -> float:
    """How far the last picture is from ``fresh`` ones of its view where an object was at first and has left.

    As in :func:`drift`, by mean difference of their pixels. Not a number where nothing has moved away.
    """
    first, last = views[0].draft, views[-1].draft
    if first.ids is None or last.ids is None or first.view != last.view:
        return float("nan")
    moved = list(motions(last.objects, first.objects))
    left = np.isin(first.ids, moved) & ~np.isin(last.ids, moved)
    if not left.any():
        return float("nan")
    made, own = pictures[-1][left].astype(float), np.stack([picture[left] for picture in fresh]).astype(float)
    between = np.abs(own[:, None] - own).mean((2, 3))[np.triu_indices(len(own), 1)].mean()
    return float(np.abs(own - made).mean() / between) if between else float("nan")


def _sums(planes: NDArray[Any]) -> NDArray[np.float64]:
    """Of the square of ``2 * AROUND + 1`` pixels round each, H x W x C."""
    side = 2 * AROUND + 1
    padded = np.pad(planes.astype(np.float64), ((AROUND + 1, AROUND), (AROUND + 1, AROUND), (0, 0)))
    total = padded.cumsum(0).cumsum(1)
    return total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
