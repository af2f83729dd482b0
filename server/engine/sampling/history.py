"""What was painted before, for one client: kept pictures that the next one is made over. torch; no models."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from addon.geometry.camera import rotation
from addon.geometry.motion import motions

from .anchors import Anchor, Scene
from .views import Relief, look
from .windows import greatest, mean

BUDGET = 128 * 2**20
"""Bytes of kept pictures for one client; two of them are kept whatever they take."""
MOST = 8
"""Kept pictures: each costs time for what the ones before it do not show."""
LITTLE = 0.004
"""Share of a picture below which what is new in it is no reason to keep it for longer than until the next."""
SHARP, BLURRED, COARSE = 0.5, 0.2, 4.0
"""Kept pixels to one: as of which a surface stays as it is; is made anew over what is there; is not known."""
OVER = 0.6
"""Strength by which a surface that is seen nearer than it was kept is made over."""
AT_REST = 0.25
"""Strength by which a picture at rest improves what few steps made."""
NOISE = 3.0
"""Levels of 255 by which drafts of an unchanged scene may differ."""
SHADE, TINT = (0.02, 2.0, 0.6), (0.0, 40.0, 14.0)
"""How much of its colour, and how many levels in hue, shading may change: as it is, for each radian, and at most."""
EXACT = 0.01
"""Pixels by which a kept one may be off and be taken as it is."""
RIM = 8
"""Pixels along a picture's border that are kept there only: an autoencoder has nothing beyond it to go by."""
REMEMBERED = 64
"""Ids of pictures that a request may be ``after``."""


@dataclass(frozen=True, eq=False)
class Recalled:
    """What is known of a scene. Flat: N pixels.

    ``colours``: fp32, N x 3. ``known``: bool. ``strength``: fp32: by how much a known pixel should be made over.
    ``rough``: fp32: how far few steps made it. ``cut``: bool: a pixel on a silhouette that comes from another view, so
    that its edge is as jagged as the depth's pixels.
    """

    colours: torch.Tensor
    known: torch.Tensor
    strength: torch.Tensor
    rough: torch.Tensor
    cut: torch.Tensor


class History:
    """The pictures of one client that are kept, for the engine's thread. Nothing is kept of another style."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._anchors: list[Anchor] = []
        self._made: deque[int] = deque(maxlen=REMEMBERED)
        self._style: Hashable = None
        self._rest: tuple[Scene, torch.Tensor] | None = None  # the view that rests, and its draft as it came to rest

    @property
    def newest(self) -> int | None:
        """The id of the newest picture, None while there is none."""
        return self._made[-1] if self._made else None

    @property
    def nbytes(self) -> int:
        """What the kept pictures take."""
        return sum(anchor.nbytes for anchor in self._anchors)

    def __len__(self) -> int:
        return len(self._anchors)

    def begin(self, after: int | None, style: Hashable) -> bool:
        """Whether a picture in ``style`` can build on picture ``after`` and those since; if not, all is forgotten."""
        if after is not None and after in self._made and style == self._style:
            return True
        self.clear()
        self._style = style
        return False

    def clear(self) -> None:
        """Forget everything."""
        self._anchors.clear()
        self._made.clear()
        self._style = self._rest = None

    def recall(self, scene: Scene) -> Recalled:
        """What earlier pictures show of ``scene``, unless it has changed since."""
        count, device = scene.height * scene.width, scene.draft.device
        colours = torch.zeros((count, 3), device=device)
        known = torch.zeros(count, dtype=torch.bool, device=device)
        strength, rough = torch.zeros(count, device=device), torch.zeros(count, device=device)
        cut = torch.zeros_like(known)
        changed = self._changed_at_rest(scene)
        # first what is as sharp as it has to be, then what is better than nothing; the oldest is made from the fewest
        for anchor in self._anchors:
            anchor.used = 0
        for least in (SHARP, BLURRED):
            for anchor in self._anchors:
                at = (~known).nonzero()[:, 0]
                if not len(at):
                    break
                every = len(at) == count  # all of them need no picking
                moved = _moved(scene, anchor)
                ids = None if scene.ids is None else scene.ids[at]
                seen = look(scene.surfaces, anchor.relief, None if every else at, moved, ids)
                fits = seen.visible & (seen.coarsest > min(least, SHARP)) & (seen.finest < COARSE)
                hit = fits.nonzero()[:, 0]
                nearest = anchor.nearest(seen, hit)
                fits = anchor.valid[nearest] & (rim(nearest, anchor.relief) + 1 >= rim(at[hit], scene.surfaces.relief))
                if ids is not None and anchor.ids is not None:
                    fits &= (ids[hit] == anchor.ids[nearest]) | ~seen.clear[hit]
                hit, nearest = hit[fits], nearest[fits]
                pixels = at[hit]
                turned = scene.surfaces.relief.camera.turned(anchor.relief.camera)
                turns = torch.full((len(hit),), turned, device=device)
                for number, motion in moved.items():
                    assert ids is not None
                    turns[ids[hit] == number] += rotation(motion)
                other = _differs(scene.draft[pixels], anchor.darkest[nearest], anchor.brightest[nearest], turns)
                other &= (scene.surfaces.edges[pixels] > 0) & seen.clear[hit]  # there, the draft mixes two surfaces
                changed[pixels[other]] = True
                colours[pixels], known[pixels] = anchor.colours(seen, hit), True
                away = (seen.x[hit] - 0.5).frac() + (seen.y[hit] - 0.5).frac()
                cut[pixels] = (scene.surfaces.edges[pixels] == 0) & ((away - away.round()).abs() > EXACT)
                rough[pixels] = anchor.rough[nearest].float() / 255
                if least < SHARP:
                    strength[pixels] = OVER
                anchor.used += len(hit)
        changed = self._forget(scene, changed)
        known &= ~changed
        return Recalled(colours, known, strength, rough, cut)

    def keep(self, number: int, scene: Scene, picture: torch.Tensor, rough: torch.Tensor, new: float) -> None:
        """Remember ``picture``, uint8 H x W x 3, number ``number``.

        ``rough``: fp32, N: how far few steps made it; nowhere at all, it is better than all that it was made from.
        ``new``: the share of it that was not known.
        """
        settled = not bool(rough.any())
        if self._rest is None or not _same_view(scene, self._rest[0]):
            self._rest = scene, scene.draft
        if len(self._anchors) > 1 and self._anchors[-1].new < LITTLE:
            self._anchors.pop()
        anchor = Anchor.of(scene, picture, (rough * 255).to(torch.uint8), new)
        if settled:
            self._anchors.insert(0, anchor)
            anchor.used = len(rough)
        else:
            self._anchors.append(anchor)
        while len(self._anchors) > 2 and (len(self._anchors) > MOST or self.nbytes > self._budget):
            self._anchors.remove(min(self._anchors[:-1], key=lambda each: each.used))
        self._made.append(number)

    def _changed_at_rest(self, scene: Scene) -> torch.Tensor:
        """bool, N: where the draft of a view that stands still is no longer what it was as it came to rest."""
        draft = scene.draft
        if self._rest is None or not _same_view(scene, self._rest[0]):
            return torch.zeros(len(draft), dtype=torch.bool, device=draft.device)
        first = self._rest[1]
        differs = changed = (draft.int() - first.int()).abs().amax(1) > NOISE
        moved = motions(scene.objects, self._rest[0].objects)
        if moved and scene.ids is not None:  # what has come to lie elsewhere brings its own colour along
            changed = differs & ~torch.isin(scene.ids, torch.tensor(list(moved), device=draft.device))
        self._rest = scene, torch.where(differs[:, None], draft, first)
        return changed

    def _forget(self, scene: Scene, changed: torch.Tensor) -> torch.Tensor:
        """Take what ``changed`` (bool, N) out of every picture; return it without specks, and grown by two pixels.

        An object of which much has changed is forgotten where it is hidden now, too.
        """
        if not bool(changed.any()):
            return changed
        spread = mean(changed.view(scene.height, scene.width).float(), 1)
        changed = greatest(spread > 0.5, 2).view(-1)
        at = changed.nonzero()[:, 0]
        if not len(at):
            return changed
        others: list[int] = []
        if scene.ids is not None:
            numbers, all_of = torch.unique(scene.ids, return_counts=True)
            which, counts = torch.unique(scene.ids[at], return_counts=True)
            share = counts / all_of[torch.searchsorted(numbers, which)]
            others = which[(share > 0.5) & (which > 0)].tolist()
        for anchor in self._anchors:
            moved = _moved(scene, anchor)
            ids = None if scene.ids is None else scene.ids[at]
            seen = look(scene.surfaces, anchor.relief, at, moved, ids)
            hit = seen.visible.nonzero()[:, 0]
            gone = torch.zeros_like(anchor.valid)
            gone[anchor.nearest(seen, hit)] = True
            anchor.valid &= ~greatest(gone.view(anchor.relief.height, -1), 1).view(-1)
            if others and anchor.ids is not None:
                anchor.valid &= ~torch.isin(anchor.ids, torch.tensor(others, device=anchor.ids.device))
        return changed


def _moved(scene: Scene, anchor: Anchor) -> dict[int, NDArray[np.float64]]:
    """What of that which ``scene`` shows was elsewhere in ``anchor``; see ``motions``."""
    moved = motions(scene.objects, anchor.objects)
    if not moved or scene.ids is None:
        return {}
    shown = set(torch.unique(scene.ids).tolist())
    return {number: motion for number, motion in moved.items() if number in shown}


def rim(at: torch.Tensor, of: Relief) -> torch.Tensor:
    """How many pixels ``at`` (flat) are away from a picture's rim, at most ``RIM``: what is there is made worse."""
    column, row = at % of.width, at // of.width
    across = torch.minimum(column, of.width - 1 - column)
    return torch.minimum(across, torch.minimum(row, of.height - 1 - row)).clamp_(max=RIM)


def _same_view(one: Scene, other: Scene) -> bool:
    a, b = one.surfaces.relief, other.surfaces.relief
    same = (a.height, a.width) == (b.height, b.width)
    return same and bool((a.camera.view == b.camera.view).all() and (a.camera.projection == b.camera.projection).all())


def _differs(draft: torch.Tensor, darkest: torch.Tensor, brightest: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Whether colours (uint8, n x 3) are others than those round them then, by more than shading explains.

    Light makes a colour brighter or darker, all channels by the same factor, the more so the more a surface has turned
    against the view, ``turns`` radians; what is left beside that factor is another hue.
    """
    now = draft.float()
    beyond = (now - brightest.float()).clamp(min=0) - (darkest.float() - now).clamp(min=0)
    factor = (beyond * now).sum(1) / (now * now).sum(1).clamp(min=1)
    hue = (beyond - factor[:, None] * now).abs().amax(1)
    shade = factor.abs()
    allowed = (SHADE[0] + SHADE[1] * turns).clamp(max=SHADE[2])
    tint = NOISE + (TINT[0] + TINT[1] * turns).clamp(max=TINT[2])
    return ((shade > allowed) & (shade * now.amax(1) > NOISE)) | (hue > tint)
