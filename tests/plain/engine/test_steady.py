"""Pictures made over what was painted before: what stays, what is made anew, and what is forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from addon.geometry.camera import Camera, inverse_distances
from addon.geometry.surfaces import REACH, Surfaces
from addon.geometry.visibility import look
from addon.wire import Control, Frame, Request, Style
from server.engine import ModelSpec, StableDiffusionLcm
from server.engine.sampling import views
from tests.plain.engine.families import FAMILIES, engine
from tests.plain.geometry.scene import BOX, GROUND, SIZE, drawn, orthographic, perspective, placed

EMBEDDED = Path(__file__).resolve().parents[3] / "server" / "models" / "embedded"
DEPTH = (Control("depth", 1.0),)
COLOURS = np.array([[120, 160, 220], [90, 140, 70], [170, 90, 60]], np.uint8)  # of background, ground and box
Offset = tuple[float, float, float]
HERE = placed((0.0, -6.0, 0.5))


@pytest.fixture(scope="module")
def painter() -> StableDiffusionLcm:
    """A model that has learnt to paint what it sees, which random weights have not."""
    return StableDiffusionLcm.load(ModelSpec(EMBEDDED), "cpu", dtype=torch.float32)


def shot(
    number: int,
    view: NDArray[np.float64] = HERE,
    box: Offset = (0.0, 0.0, 0.0),
    after: int | None = None,
    colours: NDArray[np.uint8] = COLOURS,
    ids: bool = True,
    settle: bool = False,
    projection: NDArray[np.float64] | None = None,
    strength_plane: NDArray[np.uint8] | None = None,
    **style: Any,
) -> Request:
    """The scene as a request; its box moved by ``box``."""
    camera = Camera.of(view, perspective() if projection is None else projection)
    inverse, of = drawn(camera, box)
    near = 1 / float(inverse.max())
    plane = np.round(inverse * near * 65535).astype(np.uint16)
    world = np.eye(4)
    world[:3, 3] = box
    objects = [(GROUND, np.eye(4)), (BOX, world)] if ids else ()
    frame = Frame(
        number,
        colours[of],
        plane,
        near,
        camera.view.tolist(),
        camera.projection.tolist(),
        ids=of if ids else None,
        objects=objects,
        strength=strength_plane,
    )
    given = {"strength": 0.9, "steps": 2, "seed": 3, "steady": 1.0, "width": SIZE, "height": SIZE, **style}
    return Request(frame, Style("a sandstone castle on grass at noon", **given), settle, after=after)


def moved(number: int) -> NDArray[np.float64]:
    """The view from a little farther right with each number."""
    return placed((0.06 * number, -6.0, 0.5 + 0.01 * number), 0.01 * number)


def error(
    now: Request, then: Request, picture: NDArray[np.uint8], before: NDArray[np.uint8], number: int | None = None
) -> float:
    """How far ``picture`` of ``now`` is from ``before`` of ``then``, where both show the same, in levels of 255.

    ``number``: of the one object that is looked at. Away from depth edges and from the picture's rim: what is new there
    is made together with what surrounds it.
    """
    surfaces = []
    for request in (now, then):
        frame = request.frame
        assert frame.inverse_depth is not None
        inverse = inverse_distances(frame.inverse_depth, frame.near)
        surfaces.append(Surfaces.of(Camera.of(frame.view, frame.projection), inverse))
    seen = look(*surfaces)
    clear = seen.visible & (surfaces[0].edges == REACH)
    clear[: views.RIM] = clear[-views.RIM :] = clear[:, : views.RIM] = clear[:, -views.RIM :] = False
    if number is not None:
        clear &= now.frame.ids == number
    x, y = (np.clip(np.round(each[clear] - 0.5), 0, SIZE - 1).astype(int) for each in (seen.x, seen.y))
    return float(np.abs(picture[clear].astype(int) - before[y, x]).mean())


def is_box(request: Request) -> NDArray[np.bool_]:
    ids = request.frame.ids
    assert ids is not None
    return ids == BOX


@pytest.mark.parametrize(("control", "guidance"), [(None, 1.0), ("controlnet", 2.5), ("adapter", 2.5)])
@pytest.mark.parametrize("family", FAMILIES)
def test_surfaces_keep_their_picture_as_the_camera_moves(family: str, control: str | None, guidance: float) -> None:
    model = engine(family, **({} if control is None else {"control": control}))
    history = model.history()
    style = {"guidance": guidance, "controls": (Control("depth", 0.8),) if control else ()}
    requests = [shot(n, moved(n), after=n - 1 if n else None, **style) for n in range(5)]
    steady = [model.render(request, history=history) for request in requests]
    fresh = [model.render(request) for request in requests]
    assert [made.after for made in steady] == [None, 0, 1, 2, 3]
    assert np.array_equal(steady[0].image, fresh[0].image)
    ours = error(requests[4], requests[0], steady[4].image, steady[0].image)
    theirs = error(requests[4], requests[0], fresh[4].image, fresh[0].image)
    assert ours < 0.3 * theirs


def test_orthographic_views_are_steady_too() -> None:
    model, projection = engine("SD1.5"), orthographic()
    history = model.history()
    requests = [
        shot(n, placed((n / 12, -9.0, 1.0)), after=n - 1 if n else None, projection=projection)
        for n in range(3)  # a pixel further each
    ]
    made = [model.render(request, history=history).image for request in requests]
    fresh = [model.render(request).image for request in requests]
    ours, theirs = (error(requests[2], requests[0], each[2], each[0], BOX) for each in (made, fresh))
    assert ours < 0.3 * theirs


def test_a_view_at_rest_keeps_each_bit() -> None:
    model = engine("SD1.5")
    history = model.history()
    first = model.render(shot(0), history=history)
    assert np.array_equal(model.render(shot(1, after=0), history=history).image, first.image)


def test_the_settle_picture_improves_once_what_few_steps_made(painter: StableDiffusionLcm) -> None:
    model = painter
    history = model.history()
    first = model.render(shot(0, controls=DEPTH), history=history).image
    settled = model.render(shot(1, after=0, settle=True, steps=4, controls=DEPTH), history=history).image
    fresh = model.render(shot(1, settle=True, steps=4, controls=DEPTH)).image
    assert not np.array_equal(settled, first)
    assert np.abs(settled.astype(int) - first).mean() < np.abs(fresh.astype(int) - first).mean()
    again = model.render(shot(2, after=1, settle=True, steps=4, controls=DEPTH), history=history).image
    assert np.array_equal(again, settled)
    assert np.array_equal(model.render(shot(3, after=2, controls=DEPTH), history=history).image, settled)


def test_an_object_takes_its_picture_along_and_leaves_none_behind(painter: StableDiffusionLcm) -> None:
    model = painter
    history = model.history()
    requests = [shot(0, controls=DEPTH), shot(1, box=(2.0, 0, 0), after=0, controls=DEPTH)]
    before, after = (model.render(request, history=history).image for request in requests)
    fresh = model.render(requests[1]).image
    here, was = is_box(requests[1]), is_box(requests[0])
    ghost = was & ~here
    assert np.abs(after.astype(int) - fresh)[ghost].mean() < 0.5 * np.abs(before.astype(int) - fresh)[ghost].mean()
    # two units at a distance of 5.5, twice as wide as far away, on a picture that is 96 wide
    shifted = np.roll(before, round(2.0 * 2 / 5.5 * SIZE / 2), 1)
    inner = here & np.roll(here, 4, 1) & np.roll(here, -4, 1) & np.roll(here, 4, 0) & np.roll(here, -4, 0)
    assert np.abs(after.astype(int) - shifted)[inner].mean() < 0.6 * np.abs(fresh.astype(int) - shifted)[inner].mean()


@pytest.mark.parametrize("ids", [True, False])
def test_what_was_recoloured_is_forgotten(painter: StableDiffusionLcm, ids: bool) -> None:
    model = painter
    history = model.history()
    model.render(shot(0, ids=ids, controls=DEPTH), history=history)
    model.render(shot(1, moved(1), after=0, ids=ids, controls=DEPTH), history=history)
    blue = COLOURS.copy()
    blue[BOX] = 60, 80, 190
    request = shot(2, moved(1), after=1, colours=blue, ids=ids, controls=DEPTH)
    made, fresh = model.render(request, history=history).image, model.render(request).image
    box = is_box(shot(2, moved(1)))
    assert np.abs(made.astype(int) - fresh)[box].mean() < 8
    # and stays so in the view that is older than the change
    later = model.render(shot(3, moved(0), after=2, colours=blue, ids=ids, controls=DEPTH), history=history).image
    assert (
        np.abs(later.astype(int) - model.render(shot(3, colours=blue, ids=ids, controls=DEPTH)).image)[
            is_box(shot(0))
        ].mean()
        < 20
    )


def test_other_light_makes_all_anew() -> None:
    model = engine("SD1.5")
    history = model.history()
    model.render(shot(0), history=history)
    request = shot(1, after=0, colours=(COLOURS * 0.8).astype(np.uint8))
    made = model.render(request, history=history)
    assert np.array_equal(made.image, model.render(request).image)


@pytest.mark.parametrize("change", [{"seed": 4}, {"strength": 0.8}, {"guidance": 2.0}, {"negative_prompt": "dark"}])
def test_another_style_is_wholly_new(change: dict[str, Any]) -> None:
    model = engine("SD1.5")
    history = model.history()
    model.render(shot(0), history=history)
    request = shot(1, after=0, **change)
    made = model.render(request, history=history)
    assert made.after is None and np.array_equal(made.image, model.render(request).image)


def test_a_picture_that_is_not_remembered_is_not_built_upon() -> None:
    model = engine("SD1.5")
    history = model.history()
    model.render(shot(7), history=history)
    for request in (shot(8, after=6), shot(9)):
        made = model.render(request, history=history)
        assert made.after is None and np.array_equal(made.image, model.render(request).image)


def test_two_pictures_under_way_at_a_new_beginning_cost_one_fresh_picture() -> None:
    model = engine("SD1.5")
    history = model.history()
    # the first two are asked for before there is any; as are, with another seed, the fifth and the sixth
    asked = [(None, 3), (None, 3), (0, 3), (1, 3), (2, 4), (3, 4), (4, 4)]
    made = [
        model.render(shot(n, moved(n), after=after, steps=1, seed=seed), history=history).after
        for n, (after, seed) in enumerate(asked)
    ]
    assert made == [None, None, 1, 2, None, 4, 5]


def test_less_than_fully_steady_lies_between() -> None:
    model = engine("SD1.5")
    far = []
    for steady in (1.0, 0.6, 0.2):
        history = model.history()
        model.render(shot(0, steady=steady), history=history)
        request = shot(1, moved(1), after=0, steady=steady)
        made, fresh = model.render(request, history=history).image, model.render(request).image
        far.append(float(np.abs(made.astype(int) - fresh).mean()))
    assert far[0] > far[1] > far[2]


def test_kept_pictures_stay_within_their_budget() -> None:
    model = engine("SD1.5")
    history = model.history()
    sizes = []
    for n in range(40):
        angle = n / 12
        view = placed((6 * np.sin(angle), -6 * np.cos(angle), 0.5), angle)
        model.render(shot(n, view, after=n - 1 if n else None, steps=1), history=history)
        sizes.append(history.nbytes)
    assert len(history) <= 8 and max(sizes[20:]) <= max(sizes[8:20])
    history.clear()
    assert history.nbytes == 0 and history.newest is None


def test_a_plane_of_strength_paints_a_part() -> None:
    model = engine("SD1.5")
    plane = np.zeros((SIZE, SIZE), np.uint8)
    plane[:, SIZE // 2 :] = 255
    request = shot(0, strength_plane=plane, steady=0.0)
    made = model.render(request)
    left = made.image[:, : SIZE // 2]
    assert np.array_equal(left, request.frame.image[:, : SIZE // 2])
    fresh = model.render(shot(0)).image
    assert (
        np.abs(made.image[:, -16:].astype(int) - fresh[:, -16:]).mean()
        < 0.5 * np.abs(request.frame.image[:, -16:].astype(int) - fresh[:, -16:]).mean()
    )
    everything = replace(request.frame, strength=np.full_like(plane, 255))
    assert np.abs(model.render(replace(request, frame=everything)).image.astype(int) - fresh).max() <= 1
