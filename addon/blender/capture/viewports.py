"""Which 3D View live follows, found anew at each heartbeat. Imports bpy.

References to areas and regions die with a file load or a closed window, so only their addresses are kept, to be
compared with those of the areas that there are now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy


@dataclass(frozen=True)
class Viewport:
    """A 3D View on the screen. Valid within one heartbeat only."""

    window: bpy.types.Window
    area: bpy.types.Area
    space: bpy.types.SpaceView3D
    region: bpy.types.Region
    view: bpy.types.RegionView3D

    @property
    def scene(self) -> bpy.types.Scene:
        """The scene that its window shows."""
        return self.window.scene

    @property
    def view_layer(self) -> bpy.types.ViewLayer:
        """The view layer that its window shows."""
        return self.window.view_layer


@dataclass
class _Place:
    """A 3D View by addresses. ``region``: which of the four in quad view was chosen, 0 for none.

    ``main``: the region that was found in it last, which is the same in the area that shows it maximised.
    """

    area: int
    region: int = 0
    main: int = 0

    def is_in(self, area: bpy.types.Area) -> bool:
        """Whether ``area`` is this one, or shows it maximised."""
        return area.as_pointer() == self.area or any(
            region.type == "WINDOW" and region.as_pointer() == self.main for region in area.regions
        )

    def is_gone(self) -> bool:
        """Whether no workspace has it any more; what Blender makes next may get its addresses."""
        areas = [area for screen in bpy.data.screens for area in screen.areas]
        return all(area.as_pointer() != self.area for area in areas) and not any(map(self.is_in, areas))


class Followed:
    """Remembers which 3D View, and which of its four in quad view, live was started in."""

    def __init__(self, area: bpy.types.Area | None = None, region: bpy.types.Region | None = None) -> None:
        self._places: list[_Place] = []  # what was chosen, then what stands in for it while it is not on the screen
        if area is not None and area.type == "VIEW_3D":
            quadrants = [one.as_pointer() for one in area.regions if one.type == "WINDOW"]
            chosen = region.as_pointer() if region is not None and len(quadrants) > 1 else 0
            chosen = chosen if chosen in quadrants else 0
            self._places = [_Place(area.as_pointer(), chosen)]
        self._main = 0  # the region that was found last
        self._quadrants: dict[int, tuple[float, ...]] = {}  # by region, in quad view: how each was turned

    def find(self) -> Viewport | None:
        """The 3D View followed; None without any.

        While it is not on the screen, as in another workspace, the largest one, which is kept to until it is back, or
        for good where it was closed.
        """
        areas = [(window, area) for window, area in _areas("VIEW_3D") if area.width > 8 and area.height > 8]
        if not areas:
            return None
        for place in list(self._places):
            for window, area in areas:
                if place.is_in(area):
                    return self._viewport(window, area, place)
            if place.is_gone():
                self._places.remove(place)
        window, area = max(areas, key=lambda pair: pair[1].width * pair[1].height)
        place = _Place(area.as_pointer())
        self._places[1:] = [place]
        return self._viewport(window, area, place)

    def move(self, area: bpy.types.Area, region: bpy.types.Region) -> None:
        """What was found last is in ``area`` from now on, and ``region`` is its region there."""
        for place in self._places:
            if place.main == self._main:
                place.area, place.main = area.as_pointer(), region.as_pointer()
                place.region = place.main if place.region else 0

    def _viewport(self, window: bpy.types.Window, area: bpy.types.Area, place: _Place) -> Viewport | None:
        space = area.spaces.active
        regions = [
            region for region in area.regions if region.type == "WINDOW" and min(region.width, region.height) > 8
        ]
        if not regions:
            return None
        views = {region.as_pointer(): view for region, view in _views(space, area)}
        chosen = next((region for region in regions if region.as_pointer() == place.region), None)
        if chosen is None:  # in quad view: the one that is not bound to an axis
            free = space.region_3d
            chosen = next((region for region in regions if views.get(region.as_pointer()) == free), regions[-1])
        if len(regions) == 1:
            place.region = 0  # which is one of four when it is divided again
        turned = self._turned(views) if len(regions) > 1 else set()
        if turned and chosen.as_pointer() not in turned:
            chosen = next(region for region in regions if region.as_pointer() in turned)
            place.region = chosen.as_pointer()
        place.area = area.as_pointer()
        place.main = self._main = chosen.as_pointer()
        return Viewport(window, area, space, chosen, views.get(chosen.as_pointer(), space.region_3d))

    def _turned(self, views: dict[int, bpy.types.RegionView3D]) -> set[int]:
        """Which quadrants the user has turned since the last look, by address of their regions."""
        before = self._quadrants
        self._quadrants = {at: tuple(value for row in view.view_matrix for value in row) for at, view in views.items()}
        return {at for at, turned in self._quadrants.items() if before.get(at, turned) != turned}


def _areas(kind: str) -> Iterator[tuple[bpy.types.Window, bpy.types.Area]]:
    manager = bpy.context.window_manager
    for window in manager.windows if manager is not None else ():
        for area in window.screen.areas:
            if area.type == kind:
                yield window, area


def image_editors() -> Iterator[tuple[bpy.types.Window, bpy.types.Area]]:
    """Every Image Editor on the screen, with its window."""
    return _areas("IMAGE_EDITOR")


def _views(
    space: bpy.types.SpaceView3D, area: bpy.types.Area
) -> Iterator[tuple[bpy.types.Region, bpy.types.RegionView3D]]:
    """Each main region of the area with its view."""
    regions = [region for region in area.regions if region.type == "WINDOW"]
    quads = list(space.region_quadviews)
    for index, region in enumerate(regions):
        data = getattr(region, "data", None)
        if data is not None:
            yield region, data
        elif len(quads) == len(regions):
            yield region, quads[index]
        else:
            yield region, space.region_3d


def is_busy(window: bpy.types.Window) -> bool:
    """Whether one of Blender's own modal operators runs there: a move, a stroke. Other add-ons' run for hours."""
    python_class = bpy.types.Operator.bl_rna_get_subclass_py
    return any(python_class(operator.bl_idname) is None for operator in window.modal_operators)


CHARACTER_PIXELS, MARGIN_CHARACTERS = 7, 6
"""At a UI scale of 1: of the panels' font on average, and for icon, box and scroll bar."""


def characters(context: bpy.types.Context) -> int:
    """How many characters of a sentence a line of the sidebar holds."""
    pixels = CHARACTER_PIXELS * context.preferences.system.ui_scale
    return max(12, int(context.region.width / pixels) - MARGIN_CHARACTERS)


def redraw_panels() -> None:
    """Let the sidebars show the new state; only the sidebars, or each picture would redraw the viewport."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager is not None else ():
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "IMAGE_EDITOR"}:
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
