"""A scene textured all round, one view after the other. Imports bpy, mathutils, numpy.

    job = Around(sticker, capturer, view, (512, 512), AroundSettings(views=8), render)
    for done in job.run():
        ...

Each view starts from the textured scene as it looks from there. What is textured well is kept, what this view sees
better is refined, and only what is empty is made, all in one picture by strength for each pixel: so neighbours agree.
Whoever stops iterating keeps what is done; any view can be taken back alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field, replace

import bpy
import numpy as np
from numpy.typing import NDArray

from ...geometry.orbit import dome
from ...geometry.surfaces import beside_edges
from ...geometry.trimap import MAKE, strength_of, trimap
from ...problems import Problem
from ...problems.sticking import NothingToStickTo
from ..capture.draft import Draft
from ..capture.offscreen import Capturer
from ..capture.view import View
from .choice import AroundSettings, Chooser
from .coverage import LITTLE, Coverage
from .looking import Look, Looker
from .materials import back_to_own, material_name
from .projection import Seen, away_from
from .sticking import NothingStuck, Sticker, by_image, view_as
from .targets import targets
from .textures import Texture
from .unwrap import Place

REACH = 64
"""The side of a picture has so many times the reach of what is made anew beyond what is empty."""
NEWER = 1.0
"""How much more a newer picture counts: not at all, as what it should change is said by its strength."""
TONE = 24.0
"""Of 255, by how much a picture's colours are moved at most to match what is there."""


@dataclass(frozen=True, eq=False)
class ViewDone:
    """One view that was stuck.

    ``number``: from 0. ``view``: as it was captured. ``draft``: what the picture was made of, with ``strength``, how
    much of each pixel was made anew, uint8, H x W, None for all. ``picture``: uint8, H x W x 3.
    ``new``: how much of what it shows was empty before, 0 to 1. ``seconds``: for the picture, and for all else.
    """

    number: int
    view: View
    draft: Draft
    picture: NDArray[np.uint8]
    new: float
    render_seconds: float
    seconds: float


@dataclass(eq=False)
class Around:
    """What is done, and what is to come. ``render``: makes the picture of a draft, of its size.

    ``view``: the first one, with the projection of all pictures. ``size``: width and height of the pictures.
    ``only``: the objects to be textured, None for all that any view shows.
    """

    sticker: Sticker
    capturer: Capturer
    view: View
    size: tuple[int, int]
    settings: AroundSettings
    render: Callable[[Draft], NDArray[np.uint8]] | None = None
    only: Collection[bpy.types.Object] | None = None
    done: list[ViewDone] = field(default_factory=list)
    refusals: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        """Nothing is drawn yet."""
        self._looker: Looker | None = None
        self._places: list[Place] = []
        self._before: dict[str, Texture] = {}
        self._chooser: Chooser | None = None
        self._coverage: Coverage | None = None
        self._known: NDArray[np.bool_] = np.zeros((0, 0), bool)  # of the view under way: what had a texture before

    def run(self) -> Iterator[ViewDone]:
        """Stick one view after the other. Raises NothingStuck, CannotWrite, and what ``render`` raises."""
        assert self.render is not None, "else steps() is for you"
        steps, count = self.steps(), len(self.done)
        try:
            draft = next(steps)
            while True:
                draft = steps.send(None if draft is None else self.render(draft))
                if len(self.done) > count:
                    count = len(self.done)
                    yield self.done[-1]
        except StopIteration:
            if len(self.done) > count:
                yield self.done[-1]

    def steps(self) -> Generator[Draft | None, NDArray[np.uint8] | None, None]:
        """As :meth:`run`, for those who must not wait: yields each draft and is sent its picture.

        Yields None between pieces of work of its own, and is sent None then.
        """
        if not self._places:
            yield from self._begin()
        assert self._chooser is not None and self._coverage is not None
        view: View | None = self.view
        while view is not None:
            made = self._prepared(view)
            if made is not None:
                draft, new, seconds = made
                asked = time.perf_counter()
                picture = yield draft
                assert picture is not None, "a draft is answered by its picture"
                rendered = time.perf_counter() - asked
                spent, picture = self._lay(view, draft, picture)
                seconds += spent
                number = self.done[-1].number + 1 if self.done else 0
                self.done.append(ViewDone(number, view, draft, picture, new, rendered, seconds))
                yield None
            if len(self.done) >= self.settings.views:
                break
            view = yield from self._chooser.next(self._coverage.gain)
        if self.settings.views > 1:
            self._paint_rest()

    def take_back(self, number: int) -> None:
        """Let the scene be as if the view ``number`` had never been stuck."""
        self.done = [one for one in self.done if one.number != number]
        for group in by_image(self._places):
            before = self._before[group[0].name]
            self.sticker.texture(group)
            texture = Texture(before.colours.copy(), before.states.copy(), changed=True)
            self.sticker.set_texture(group[0].name, texture)
        for one in self.done:
            seen = self.sticker.see(one.view, *self.size)
            self.sticker.lay(self._places, seen, one.picture, one.draft.strength, NEWER)
        for group in by_image(self._places):
            texture = self.sticker.texture(group)
            if not texture.states[..., 0].any():  # no view shows these any more
                texture.changed = False
                for place in group:
                    back_to_own(place.thing)
        self.sticker.keep(self._places)

    def covered(self, directions: int = 64) -> tuple[float, float]:
        """Of what can be seen from a dome of ``directions``: the share with a texture of its own, and with any."""
        assert self._chooser is not None and self._coverage is not None, "run() comes first"
        return self._coverage.share(self._chooser.views(dome(directions)))

    def free(self) -> None:
        """Give the GPU's memory back; the sticker's and the capturer's is their owners'."""
        if self._looker is not None:
            self._looker.free()

    def _begin(self) -> Generator[None, None, None]:
        """Find what is to be textured from anywhere, and where."""
        self.view.view_layer.update()
        first = self.sticker.see(self.view, *self.size)
        self._chooser = Chooser(self.settings, first, self.size)
        views: dict[Seen, int] = {first: self.size[0]}
        planned = []
        for view in self._chooser.planned():
            planned.append((view, self.sticker.see(view, *self._chooser.small)))
            views[planned[-1][1]] = self.size[0]
            yield
        chosen = [targets(seen, self.only) for seen in views]
        things = {thing.name: thing for one in chosen for thing in one.things}
        refusals = {problem: None for one in chosen for problem in one.refusals}
        places: list[Place] = []
        if things:
            places, others = self.sticker.places(list(things.values()), views)
            refusals |= dict.fromkeys(others)
        self.refusals = tuple(refusals)
        if not places:
            raise NothingStuck(self.refusals[0] if self.refusals else NothingToStickTo(self.only is not None))
        self._places, self._looker = places, Looker(places)
        self._coverage = Coverage(self.sticker, self._looker, self._chooser, places)
        for view, seen in planned:
            self._coverage.add(view, seen)
            yield
        for group in by_image(places):
            texture = self.sticker.texture(group)
            self._before[group[0].name] = Texture(texture.colours.copy(), texture.states.copy())
        yield

    def _prepared(self, view: View) -> tuple[Draft, float, float] | None:
        """The draft of one view, how much of it is empty, and seconds; None where that is too little."""
        began = time.perf_counter()
        look, seen = self._look(view, self.size)
        parts = self._parts(look, seen)
        new = _share(parts == MAKE, look.target)
        if self.done and new < self.settings.least_gain:
            return None
        reach = max(2, max(self.size) // REACH)
        strength = strength_of(parts, look.target, reach) if look.stuck.any() else None
        draft = self.capturer.draw(view, *self.size)
        image = np.where(look.stuck[..., None], look.colours, draft.image)
        self._known = look.stuck & (look.cosine > 0)
        draft = replace(draft, image=np.ascontiguousarray(image), strength=strength)
        return draft, new, time.perf_counter() - began

    def _lay(self, view: View, draft: Draft, picture: NDArray[np.uint8]) -> tuple[float, NDArray[np.uint8]]:
        """Lay it; how long that took, and the picture as it was laid, which is what a replay needs."""
        began = time.perf_counter()
        if draft.strength is not None:
            picture = matched(picture, draft.image, self._known, draft.strength)
        picture = self.sticker.flat(view, picture)
        seen = self.sticker.see(view, *self.size)  # drawn again: what was drawn in between may have changed it
        self.sticker.lay(self._places, seen, picture, draft.strength, NEWER)
        self.sticker.keep(self._places)
        return time.perf_counter() - began, picture

    def _paint_rest(self) -> None:
        """Give objects that no view has shown the mean colour of those with the same material, or of all."""
        means: dict[str, list[NDArray[np.float64]]] = {}
        empty = []
        for group in by_image(self._places):
            texture = self.sticker.texture(group)
            seen = texture.states[..., 0] > 0
            if not seen.any():
                empty.append(group)
                continue
            mean = texture.colours[seen].mean(0)
            for name in {material_name(group[0].thing), ""}:
                means.setdefault(name, []).append(mean)
        for group in empty if means else ():
            known = means.get(material_name(group[0].thing), means[""])
            texture = self.sticker.texture(group)
            texture.colours[:] = np.mean(known, 0).astype(np.uint8)
            self.sticker.set_texture(group[0].name, replace(texture, changed=True))
        self.sticker.keep([place for group in empty for place in group])

    def _look(self, view: View, size: tuple[int, int]) -> tuple[Look, Seen]:
        seen = self.sticker.see(view, *size)
        assert self._looker is not None, "run() comes first"
        return self._looker.look(seen, *size), seen

    def _parts(self, look: Look, seen: Seen) -> NDArray[np.uint8]:
        step = seen.number.shape[0] // look.cosine.shape[0]
        distance = seen.distance[step // 2 :: step, step // 2 :: step]
        inverse = np.where(distance > 0, 1 / np.maximum(distance, 1e-9), 0).astype(np.float32)
        clear = away_from(beside_edges(inverse), self.sticker.settings.band) == 1
        return trimap(look.target & (look.cosine > 0), look.target, look.well, look.clear, look.now, clear)


def _share(empty: NDArray[np.bool_], target: NDArray[np.bool_]) -> float:
    """How much of what a view shows is ``empty``; a view that shows next to nothing counts as little."""
    return float((target & empty).sum() / max(target.sum(), LITTLE * target.size))


def matched(
    picture: NDArray[np.uint8], base: NDArray[np.uint8], known: NDArray[np.bool_], strength: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """``picture`` with its colours moved to those of ``base`` where that is ``known`` and was made over."""
    both = known & (strength > 0)
    if both.sum() < both.size // 200:
        return picture
    shift = np.clip(base[both].mean(0) - picture[both].mean(0), -TONE, TONE)
    share = np.minimum(strength.astype(np.float32) / 64, 1)[..., None]
    return np.clip(picture + shift * share + 0.5, 0, 255).astype(np.uint8)


__all__ = ["Around", "AroundSettings", "ViewDone", "view_as"]
