"""One client's history: the kept pictures that the next one is made over. torch; no models."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

from addon.geometry.camera import rotation
from addon.geometry.motion import motions

from .anchors import Anchor, Made, Scene
from .matching import Likely, Match, Motions, among, match, moved_since
from .strips import strips
from .windows import greatest, mean

BUDGET = 128 * 2**20
"""Bytes of kept pictures for one client; two of them are kept whatever they take."""
MOST = 8
"""Kept pictures: each costs time for what the ones before it do not show."""
GROWN = 0.03
"""Share of a picture by which more has to be new in it than in others since the last that was kept, for it to be kept:
with each picture's own, what comes into view would be made of many narrow strips."""
SHARP = 0.5
"""Kept pixels to one as of which a surface stays as it is; one of fewer is made anew over what is there."""
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
REMEMBERED = 64
"""Ids of pictures that a request may be ``after``."""


@dataclass(frozen=True, eq=False)
class Recalled:
    """What is known of a scene. Flat: N pixels.

    ``colours``: fp32, 3 x N. ``known``: bool. ``strength``: fp32: by how much a known pixel should be made over.
    ``made``: how. ``again``: bool: known pixels that are to be made anew, now that they can be made in one piece.
    ``cut``: bool: a pixel on a silhouette that comes from another view, so that its edge is as jagged as the depth's
    pixels.
    """

    colours: torch.Tensor
    known: torch.Tensor
    strength: torch.Tensor
    made: Made
    again: torch.Tensor
    cut: torch.Tensor


class History:
    """The pictures of one client that are kept, for the engine's thread. Nothing is kept of another style."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._anchors: list[Anchor] = []
        self._made: deque[int] = deque(maxlen=REMEMBERED)
        self._style: Hashable = None
        self._least = float("inf")  # that was new in a picture since the last that was kept
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
        """Whether a picture in ``style`` can build on picture ``after`` and those since; if not, all are forgotten.

        Their ids stay known: with two pictures under way, the second one names what was forgotten for the first, and
        builds on that one then.
        """
        known = after is not None and after in self._made
        if not known or style != self._style:
            self._anchors.clear()
            self._rest = None
        self._style = style
        return bool(self._anchors)

    def clear(self) -> None:
        """Forget everything."""
        self._anchors.clear()
        self._made.clear()
        self._style = self._rest = None

    def recall(self, scene: Scene) -> Recalled:
        """What earlier pictures show of ``scene``, unless it has changed since."""
        count, device = scene.height * scene.width, scene.draft.device
        changed = self._changed_at_rest(scene)
        parts: list[_Part] = []
        poor: list[tuple[Anchor, Motions, torch.Tensor]] = []
        unknown, probes = torch.arange(count, device=device), Likely(scene)
        known = torch.zeros(count, dtype=torch.bool, device=device)
        # first what is as sharp as it has to be, then what is better than nothing; the oldest is made from the fewest
        for anchor in self._anchors:
            anchor.used = 0
            if not anchor.lasting and not _same_view(scene, self._rest):
                continue
            moved = moved_since(scene, anchor)
            at = probes.of(unknown, anchor, moved)
            if not len(at):
                continue
            found = match(scene, anchor, at, moved)
            sharp = found.fits & found.seen.finer_than(SHARP)
            parts.append(_part(scene, anchor, at, found, sharp, moved, changed))
            known.index_fill_(0, parts[-1].pixels, True)
            unknown = unknown[~known.index_select(0, unknown)]
            poor.append((anchor, moved, at[found.fits & ~sharp]))
        strength = torch.zeros(count, device=device)
        for anchor, moved, at in poor:
            at = at[~known.index_select(0, at)]
            if len(at):
                found = match(scene, anchor, at, moved)
                parts.append(_part(scene, anchor, at, found, found.fits, moved, changed))
                known.index_fill_(0, parts[-1].pixels, True)
                strength.index_fill_(0, parts[-1].pixels, OVER)
        colours, rough = torch.zeros((3, count), device=device), torch.zeros(count, device=device)
        clearance, breadth = (torch.zeros(count, dtype=torch.uint8, device=device) for _ in range(2))
        cut = torch.zeros_like(known)
        if parts:
            pixels = torch.cat([part.pixels for part in parts])
            for into, *channel in zip(colours, *(part.colours for part in parts), strict=True):
                into.index_copy_(0, pixels, torch.cat(channel))
            rough.index_copy_(0, pixels, torch.cat([part.made.rough for part in parts]))
            clearance.index_copy_(0, pixels, torch.cat([part.made.clearance for part in parts]))
            breadth.index_copy_(0, pixels, torch.cat([part.made.breadth for part in parts]))
            cut.index_fill_(0, torch.cat([part.cut for part in parts]), True)
        known &= ~self._forget(scene, changed)
        again = torch.zeros_like(known)
        if self._lasts(1 - float(known.float().mean())):  # else it would flicker until a picture is kept
            again = strips(known, breadth, scene.height, scene.width)
        return Recalled(colours, known, strength, Made(rough, clearance, breadth), again, cut)

    def keep(self, number: int, scene: Scene, picture: torch.Tensor, made: Made, new: float) -> None:
        """Remember ``picture``, uint8 H x W x 3, number ``number``.

        ``made``: how; nowhere rough, it is better than all that it was made from.
        ``new``: the share of it that was not known. Where that is little, it is kept only until the next, and only for
        a view that rests.
        """
        settled = not bool(made.rough.any())
        if not _same_view(scene, self._rest):
            self._rest = scene, scene.draft
        if self._anchors and not self._anchors[-1].lasting:
            self._anchors.pop()
        lasting = settled or self._lasts(new)
        self._least = float("inf") if lasting else min(self._least, new)
        anchor = Anchor.of(scene, picture, made, lasting)
        if settled:
            self._anchors.insert(0, anchor)
            anchor.used = len(made.rough)
        else:
            self._anchors.append(anchor)
        while len(self._anchors) > 2 and (len(self._anchors) > MOST or self.nbytes > self._budget):
            self._anchors.remove(min(self._anchors[:-1], key=lambda each: each.used))
        self._made.append(number)

    def _lasts(self, new: float) -> bool:
        return not self._anchors or new >= self._least + GROWN

    def _changed_at_rest(self, scene: Scene) -> torch.Tensor:
        """bool, N: where the draft of a view that stands still is no longer what it was as it came to rest."""
        draft = scene.draft
        if self._rest is None or not _same_view(scene, self._rest):
            return torch.zeros(draft.shape[1], dtype=torch.bool, device=draft.device)
        first = self._rest[1]
        differs = changed = ((draft.int() - first.int()).abs() > NOISE).any(0)
        moved = motions(scene.objects, self._rest[0].objects)
        if moved and scene.ids is not None:  # what has come to lie elsewhere brings its own colour along
            changed = differs & ~among(scene.ids, list(moved))
        self._rest = scene, torch.where(differs, draft, first)
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
            found = match(scene, anchor, at, moved_since(scene, anchor))
            gone = torch.zeros_like(anchor.valid)
            gone[found.nearest[found.fits]] = True
            anchor.valid &= ~greatest(gone.view(anchor.relief.height, -1), 1).view(-1)
            if others and anchor.ids is not None:
                anchor.valid &= ~among(anchor.ids, others)
        return changed


@dataclass(frozen=True, eq=False)
class _Part:
    """What comes from one kept picture. ``pixels``: of the scene, int64, n; ``colours``, 3 x n, and ``made``, n, as
    in :class:`Recalled`; ``cut``: some of ``pixels``."""

    pixels: torch.Tensor
    colours: torch.Tensor
    made: Made
    cut: torch.Tensor


def _part(
    scene: Scene,
    anchor: Anchor,
    at: torch.Tensor,
    found: Match,
    fits: torch.Tensor,
    moved: Motions,
    changed: torch.Tensor,
) -> _Part:
    """What ``fits`` of the pixels ``at``; marks in ``changed`` (bool, N) what has other colours by now."""
    hit = fits.nonzero()[:, 0]
    seen, pixels, nearest = found.seen, at.index_select(0, hit), found.nearest.index_select(0, hit)
    anchor.used += len(hit)
    turns = torch.full_like(seen.x[:1], scene.surfaces.relief.camera.turned(anchor.relief.camera))
    if moved and scene.ids is not None:
        ids, turns = scene.ids.index_select(0, pixels), turns.repeat(len(hit))
        for number, motion in moved.items():
            turns[ids == number] += rotation(motion)
    draft = [channel.index_select(0, pixels) for channel in scene.draft]
    other = _differs(draft, [channel.index_select(0, nearest) for channel in anchor.shades], turns)
    edges = scene.surfaces.edges.index_select(0, pixels)
    other &= (edges > 0) & seen.clear.index_select(0, hit)  # there, the draft mixes two surfaces
    changed.index_fill_(0, pixels[other], True)
    beside = (edges == 0).nonzero()[:, 0]
    x, y = (each.index_select(0, hit.index_select(0, beside)) - 0.5 for each in (seen.x, seen.y))
    cut = ((x - x.round()).abs() > EXACT) | ((y - y.round()).abs() > EXACT)
    rough, *whence = (each.index_select(0, nearest) for each in (anchor.rough, anchor.clearance, anchor.breadth))
    made = Made(rough.float() / 255, *whence)
    return _Part(pixels, anchor.colours(seen, hit), made, pixels.index_select(0, beside[cut]))


def _same_view(scene: Scene, rest: tuple[Scene, torch.Tensor] | None) -> bool:
    if rest is None:
        return False
    a, b = scene.surfaces.relief, rest[0].surfaces.relief
    same = (a.height, a.width) == (b.height, b.width)
    return same and bool((a.camera.view == b.camera.view).all() and (a.camera.projection == b.camera.projection).all())


def _differs(draft: Sequence[torch.Tensor], shades: Sequence[torch.Tensor], turns: torch.Tensor) -> torch.Tensor:
    """Whether colours (3 of uint8, n) are others than those round them then, by more than shading explains.

    Light makes a colour brighter or darker, all channels by the same factor, the more so the more a surface has turned
    against the view, ``turns`` radians (n, or 1); what is left beside that factor is another hue. ``shades``: the
    darkest then and the brightest, 6 of uint8, n.
    """
    now = [channel.float() for channel in draft]
    beyond = [
        (channel - brightest).clamp_(min=0) - (darkest - channel).clamp_(min=0)
        for channel, darkest, brightest in zip(now, shades[:3], shades[3:], strict=True)
    ]
    squares, products = torch.ones_like(now[0]), torch.zeros_like(now[0])
    for channel, more in zip(now, beyond, strict=True):
        squares.addcmul_(channel, channel)
        products.addcmul_(channel, more)
    factor = products / squares
    hue = torch.zeros_like(factor)
    for channel, more in zip(now, beyond, strict=True):
        hue = torch.maximum(hue, more.addcmul_(factor, channel, value=-1).abs_())
    shade = factor.abs_()
    allowed = (turns * SHADE[1]).add_(SHADE[0]).clamp_(max=SHADE[2])
    tint = (turns * TINT[1]).add_(TINT[0]).clamp_(max=TINT[2]).add_(NOISE)
    brightest = torch.maximum(torch.maximum(now[0], now[1]), now[2])
    return ((shade > allowed) & (shade * brightest > NOISE)) | (hue > tint)
