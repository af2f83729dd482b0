"""Tests of the one place where requests are put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from addon.live.requests import PlainDraft, build_request
from addon.wire import PLANES, Control, ProtocolError, Region, Style

IMAGE = np.zeros((16, 24, 3), np.uint8)
DEPTH = np.full((16, 24), 9, np.uint16)


@dataclass(frozen=True, eq=False)
class Full(PlainDraft):
    """A draft with every plane of the table."""

    ids: Any = None
    strength: Any = None
    normals: Any = None
    objects: Any = ()


FULL = Full(IMAGE, DEPTH, 2.0, ids=DEPTH, strength=DEPTH.astype(np.uint8), normals=IMAGE, objects=[(9, np.eye(4))])
STEADY = {"image", "inverse_depth", "ids", "strength", "objects"}


@pytest.mark.parametrize(
    ("style", "regions", "planes"),
    [
        (Style(), (), {"image", "strength"}),
        (Style(controls=(Control("depth", 1.0), Control("normals", 0))), (), {"image", "strength", "inverse_depth"}),
        (Style(controls=(Control("lines", 1.0, "normals"),)), (), {"image", "strength", "normals"}),
        (Style(), (Region(9, "a door"),), {"image", "strength", "ids"}),
        (Style(steady=0.5), (), STEADY),
    ],
    ids=["nothing", "depth", "lines from normals", "regions", "steady"],
)
def test_a_request_has_the_planes_that_it_makes_use_of(style: Style, regions: Any, planes: set[str]) -> None:
    request = build_request(7, FULL, style, regions=regions)
    assert set(request.frame.planes) == planes
    assert (request.frame.id, request.frame.near, request.style, request.regions) == (7, 2.0, style, regions)


def test_every_plane_of_the_table_can_be_sent() -> None:
    controls = (Control("depth", 1.0), Control("normals", 1.0))
    request = build_request(7, FULL, Style(controls=controls, steady=1.0), regions=(Region(9, "a door"),))
    assert set(request.frame.planes) == set(PLANES)


def test_the_frame_of_a_view_at_rest_gets_its_steps() -> None:
    assert build_request(1, FULL, Style(steps=2), settle_steps=6).style.steps == 6
    request = build_request(1, FULL, Style(steps=8), settle_steps=6)
    assert request.settle and request.style.steps == 8
    moving = build_request(1, FULL, Style(steps=2))
    assert not moving.settle and moving.style.steps == 2


def test_only_a_steady_style_builds_on_another_picture() -> None:
    assert build_request(5, FULL, Style(steady=0.5), after=4).after == 4
    assert build_request(5, FULL, Style(), after=4).after is None


def test_a_plane_that_is_asked_for_and_not_there_is_told() -> None:
    with pytest.raises(ProtocolError, match="frame 5 has no plane 'normals', but its request asks for the control"):
        build_request(5, PlainDraft(IMAGE, DEPTH), Style(controls=(Control("normals"),)))
