"""Inputs of several frames laid one below the other, for UNet calls in one go. torch only.

One call for several frames has fewer and larger kernels, so that a GPU makes more pictures a second; each comes later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from .pipeline import Call, Depth, Guide


def join_calls(calls: Sequence[Call]) -> Call:
    """The same call of several frames: their noise differs, the numbers do not."""
    if len(calls) == 1:
        return calls[0]
    noises = [call.noise for call in calls if call.noise is not None]
    return replace(calls[0], noise=torch.cat(noises) if noises else None)


def join_guides(guides: Sequence[Guide]) -> Guide | None:
    """The guides of several frames, negative rows first; None where their texts are not of one length."""
    first = guides[0]
    if len(guides) == 1:
        return first
    if any(guide.text.shape != first.text.shape for guide in guides):
        return None
    return Guide(
        torch.cat(_rows([guide.text for guide in guides])),
        _join([guide.pooled for guide in guides]),
        _join([guide.times for guide in guides]),
        _join([guide.picture for guide in guides]),
        first.guidance,
        _join([guide.embedded for guide in guides]),
    )


def join_depths(depths: Sequence[Depth]) -> Depth:
    """The depths of several frames, in the rows that :func:`join_guides` gives them."""
    first = depths[0]
    if len(depths) == 1:
        return first
    features = None
    if first.features is not None:
        levels = zip(*(depth.features or () for depth in depths), strict=True)
        features = tuple(torch.cat(_rows(level)) for level in levels)
    return Depth(features, _join([depth.plane for depth in depths]), first.weight)


def _join(parts: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """B x ... of each frame to (frames * B) x ...: row 0 of each frame, then row 1 of each."""
    given = [part for part in parts if part is not None]
    return torch.cat(_rows(given)) if given else None


def _rows(parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [part[row : row + 1] for row in range(parts[0].shape[0]) for part in parts]
