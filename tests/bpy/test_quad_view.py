"""In quad view live follows the quadrant that the user turns. The area is made up: Blender divides one in a window."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from addon.blender.capture import viewports
from addon.blender.capture.viewports import Followed

TOP, FRONT, RIGHT, FREE = range(4)


class View:
    """One quadrant's; two that look alike are two all the same."""

    def __init__(self) -> None:
        from mathutils import Matrix

        self.view_matrix = Matrix.Identity(4)


def pointed(address: int, **values: Any) -> Any:
    return SimpleNamespace(as_pointer=lambda: address, **values)


@pytest.fixture
def area(blender: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The only one on the screen, in quad view: three that are bound to an axis, and the free one."""
    views = [View() for _ in range(4)]
    regions = [
        pointed(11 + number, type="WINDOW", width=200, height=200, data=view) for number, view in enumerate(views)
    ]
    regions.append(pointed(99, type="UI", width=100, height=400, data=None))
    space = SimpleNamespace(region_3d=views[FREE], region_quadviews=views)
    found = pointed(
        1, type="VIEW_3D", width=400, height=400, regions=regions, spaces=SimpleNamespace(active=space), views=views
    )
    monkeypatch.setattr(viewports, "_areas", lambda _kind: [(None, found)])
    return found


def turn(area: Any, *numbers: int) -> None:
    for number in numbers:
        area.views[number].view_matrix[0][3] += 1.0


def followed_in(followed: Followed, area: Any) -> int:
    found = followed.find()
    assert found is not None and found.view is area.views[area.regions.index(found.region)]
    return area.regions.index(found.region)


def test_started_from_the_sidebar_it_is_the_free_one(area: Any) -> None:
    assert followed_in(Followed(area, area.regions[4]), area) == FREE


def test_started_before_it_was_divided_it_is_the_free_one(area: Any) -> None:
    """Blender makes the whole region that of the front view then."""
    divided = list(area.regions)
    area.regions[:] = [divided[FRONT], divided[4]]
    followed = Followed(area, divided[FRONT])
    found = followed.find()
    assert found is not None and found.region is divided[FRONT]
    area.regions[:] = divided
    assert followed_in(followed, area) == FREE
    turn(area, RIGHT)
    assert followed_in(followed, area) == RIGHT
    area.regions[:] = [divided[FRONT], divided[4]]
    followed.find()
    area.regions[:] = divided
    assert followed_in(followed, area) == FREE


def test_it_is_the_one_that_is_turned_wherever_live_was_started(area: Any) -> None:
    for start in (TOP, FRONT, FREE, 4):
        followed = Followed(area, area.regions[start])
        first = followed_in(followed, area)
        assert first == (FREE if start == 4 else start)
        turn(area, RIGHT)
        assert followed_in(followed, area) == RIGHT
        assert followed_in(followed, area) == RIGHT, "it does not stay there"
        turn(area, FREE)
        assert followed_in(followed, area) == FREE


def test_one_that_moves_along_with_others_is_kept_to(area: Any) -> None:
    followed = Followed(area, area.regions[FRONT])
    assert followed_in(followed, area) == FRONT
    turn(area, TOP, FRONT, RIGHT)  # as Blender does to those that are locked together
    assert followed_in(followed, area) == FRONT
