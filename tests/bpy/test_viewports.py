"""Which 3D View live follows while others come and go. The areas are real; which are on the screen, the test says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def screen(scene: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Areas of the screen made 3D Views, the smallest first; ``show`` says which of them are on the screen."""
    import bpy

    from addon.blender.capture import viewports

    areas = sorted(bpy.context.window.screen.areas, key=lambda area: area.width * area.height)
    areas = [area for area in areas if area.height > 50]
    for area in areas:
        area.type = "VIEW_3D"
    shown: list[Any] = []
    monkeypatch.setattr(viewports, "_areas", lambda kind: [(bpy.context.window, area) for area in shown])

    def show(*now: Any) -> None:
        shown[:] = now

    return SimpleNamespace(areas=areas, show=show)


def main_region(area: Any) -> Any:
    return next(region for region in area.regions if region.type == "WINDOW")


def sidebar(area: Any) -> Any:
    return next(region for region in area.regions if region.type == "UI")


def maximised(area: Any) -> Any:
    """As Blender shows it: another area with the same regions."""
    return SimpleNamespace(
        as_pointer=lambda: 1, type="VIEW_3D", width=2000, height=1000, regions=area.regions, spaces=area.spaces
    )


@pytest.mark.parametrize("part", [main_region, sidebar])
def test_one_that_was_maximised_is_followed_afterwards(screen: Any, part: Any) -> None:
    from addon.blender.capture.viewports import Followed

    small, large = screen.areas[0], screen.areas[-1]
    followed = Followed(small, part(small))
    screen.show(small, large)
    assert followed.find().area == small
    screen.show(maximised(small))
    assert followed.find().region == main_region(small)
    screen.show(small, large)
    assert followed.find().area == small
    screen.show(maximised(large))
    assert followed.find().region == main_region(large)
    screen.show(small, large)
    assert followed.find().area == small


def test_one_that_is_in_another_workspace_is_followed_when_it_is_back(screen: Any) -> None:
    from addon.blender.capture.viewports import Followed

    small, other, large = screen.areas[0], screen.areas[1], screen.areas[-1]
    followed = Followed(small, main_region(small))
    screen.show(small, large)
    assert followed.find().area == small
    screen.show(other)
    assert followed.find().area == other
    screen.show(other, large)
    assert followed.find().area == other, "what stands in is kept to"
    screen.show()
    assert followed.find() is None
    screen.show(large, small)
    assert followed.find().area == small


def test_started_elsewhere_the_largest_is_followed_from_then_on(screen: Any) -> None:
    from addon.blender.capture.viewports import Followed

    small, large = screen.areas[0], screen.areas[-1]
    followed = Followed()
    screen.show(small)
    assert followed.find().area == small
    screen.show(large, small)
    assert followed.find().area == small


def test_one_that_moved_into_another_area_is_followed_there(screen: Any) -> None:
    from addon.blender.capture.viewports import Followed

    small, other, large = screen.areas[0], screen.areas[1], screen.areas[-1]
    followed = Followed(other, main_region(other))
    screen.show(other, large)
    assert followed.find().area == other
    followed.move(small, main_region(small))
    screen.show(small, large, other)
    assert followed.find().area == small


def made(area: Any, address: int) -> Any:
    """A 3D View as ``area``, in no workspace that the file has, at ``address``; its regions come after that."""
    regions = [
        SimpleNamespace(as_pointer=lambda: address + 1, type="HEADER", width=900, height=26),
        SimpleNamespace(as_pointer=lambda: address + 2, type="WINDOW", width=900, height=700),
    ]
    return SimpleNamespace(
        as_pointer=lambda: address, type="VIEW_3D", width=900, height=726, regions=regions, spaces=area.spaces
    )


@pytest.mark.parametrize("address", [8, 9])
def test_one_that_was_closed_is_not_taken_for_another_at_its_address(screen: Any, address: int) -> None:
    """Blender gives what it has freed to what it makes next: the area itself, or its region to the header."""
    from addon.blender.capture.viewports import Followed

    large = screen.areas[-1]
    followed, first = Followed(made(large, 8)), made(large, 8)
    screen.show(first, large)
    assert followed.find().area == first
    screen.show(large)
    assert followed.find().area == large
    another = made(large, address)
    screen.show(another, large)
    assert followed.find().area == large
