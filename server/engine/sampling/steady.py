"""What a steady picture is made over, from its frame and the client's history. torch and the wire; no models."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from addon.geometry.camera import Camera, inverse_distances
from addon.wire import Frame

from ..images import resize_to
from .anchors import Made, Scene
from .history import AT_REST, Recalled
from .repaint import SOLID, Repaint, painted
from .strips import breadth
from .views import Surfaces
from .windows import greatest, mean

SHADES = 16
"""Steps of each channel in a palette."""
SAMPLED = 5
"""Of the known pixels every so-manieth tells the palette."""
SPREAD = ((3, 0.05), (7, 1e-4))
"""Widths in such steps, and how much colours so far away count where nearer ones are missing."""


def scene_of(frame: Frame, draft: torch.Tensor) -> Scene | None:
    """``frame`` at the size of its picture, of which ``draft`` is uint8 H x W x 3; None where it has no geometry."""
    if frame.inverse_depth is None:
        return None
    try:
        camera = Camera.of(frame.view, frame.projection)
    except ValueError:
        return None
    height, width = draft.shape[:2]
    inverse = torch.from_numpy(inverse_distances(_picked(frame.inverse_depth, height, width), frame.near))
    ids = None
    if frame.ids is not None:
        ids = torch.from_numpy(_picked(frame.ids, height, width).astype(np.int32)).view(-1).to(draft.device)
    # a copy: what was uploaded may lie in a buffer that the next frame is written over
    channels = draft.reshape(-1, 3).T.contiguous()
    return Scene(Surfaces.of(camera, inverse.to(draft.device)), channels, ids, frame.objects)


def plane_of(frame: Frame, draft: torch.Tensor) -> torch.Tensor | None:
    """The frame's own strength, fp32 H x W, 0 to 1, at the size of ``draft``, uint8 H x W x 3."""
    if frame.strength is None:
        return None
    plane = torch.from_numpy(frame.strength.astype(np.float32) / 255).to(draft.device)
    return resize_to(plane[None, None], *draft.shape[:2])[0, 0]


def repaint(scene: Scene, recalled: Recalled, steady: float, settles: bool, plane: torch.Tensor | None) -> Repaint:
    """What to make a picture over. ``steady``: above 0, to 1. ``settles``: the view is at rest.

    ``plane``: the client's own strength, fp32, H x W, 0 to 1, which counts then for all that can be seen.
    """
    size = scene.height, scene.width
    known, new = recalled.known, (~recalled.known).nonzero()[:, 0]
    base = recalled.colours
    if len(new):
        base[:, new] = filled(scene.draft, base, known, new)
    base = base.view(3, *size)
    if bool(recalled.cut.any()):
        smooth = torch.stack([mean(channel, 1) for channel in base])
        base = torch.where(recalled.cut.view(size), (base + smooth) / 2, base)
    base = base.permute(1, 2, 0).contiguous()
    if plane is not None:
        return painted(base, plane)
    gaps = (~known | recalled.again).view(size)
    over = recalled.strength.clamp(min=1 - steady)
    if settles:
        over = torch.maximum(over, AT_REST * recalled.made.rough)
    over = over.view(size)
    # what surrounds a gap is made with it, so that both fit, and less so farther away
    strength = torch.maximum(mean(greatest(gaps, 4).float(), 4), over)
    share = torch.maximum(greatest(gaps, 1).float(), (over / SOLID).clamp(max=1))
    return Repaint(base, strength, torch.maximum(mean(share, 2), gaps.float()))


def how_made(scene: Scene, recalled: Recalled, over: Repaint, settles: bool) -> Made:
    """How the pixels of a picture of ``scene`` were made that was made over ``over``."""
    share, kept, new = over.share.reshape(-1), recalled.made, ~recalled.known
    gaps = new | recalled.again
    rough = torch.zeros_like(share) if settles else torch.maximum(share, kept.rough)
    around = breadth(gaps, scene.height, scene.width)
    clearance = torch.where((share > 0.5) | new, scene.surfaces.edges, kept.clearance)
    return Made(rough, clearance, torch.where(gaps, around, kept.breadth))


def filled(draft: torch.Tensor, picture: torch.Tensor, known: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """What the pixels ``new`` may look like, fp32, 3 x n: what the picture made of their drafts' colours elsewhere.

    ``draft``: uint8, 3 x N. ``picture``: fp32, 3 x N, where ``known``, bool, N.
    """
    some = known.nonzero()[::SAMPLED, 0]
    codes = []
    for pixels in (some, new):
        red, green, blue = (channel.index_select(0, pixels).long() // (256 // SHADES) for channel in draft)
        codes.append((red * SHADES + green) * SHADES + blue)
    sums = torch.zeros((4, SHADES**3), device=draft.device)
    for into, channel in zip(sums, picture, strict=False):
        into.index_add_(0, codes[0], channel.index_select(0, some))
    sums[3].index_add_(0, codes[0], torch.ones_like(picture[0, : len(some)]))
    cube = sums.view(1, 4, SHADES, SHADES, SHADES)
    for width, weight in SPREAD:
        cube = cube + weight * F.avg_pool3d(sums.view(cube.shape), width, 1, width // 2)
    found = cube[0].view(4, -1)[:, codes[1]]
    return torch.where(found[3] > 1e-6, found[:3] / found[3].clamp(min=1e-6), draft[:, new].float())


def _picked(plane: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """``plane`` at another size by its nearest pixels: nothing between two surfaces, or two ids, means anything."""
    if plane.shape == (height, width):
        return plane
    rows = (np.arange(height) * 2 + 1) * plane.shape[0] // (2 * height)
    columns = (np.arange(width) * 2 + 1) * plane.shape[1] // (2 * width)
    return plane[rows[:, None], columns]
