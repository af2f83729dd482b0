"""What a steady picture does not keep: halos beside edges, and narrow strips once there are many. No model."""

from __future__ import annotations

import numpy as np
import torch

from addon.geometry.surfaces import REACH
from addon.wire import Frame
from server.engine.sampling.anchors import Made, Scene
from server.engine.sampling.history import History
from server.engine.sampling.steady import scene_of
from server.engine.sampling.strips import breadth, strips
from tests.plain.engine.test_steady import shot
from tests.plain.geometry.scene import SIZE, placed

HALO = 3


def seen_from(x: float) -> Scene:
    frame: Frame = shot(0, placed((x, -6.0, 0.5))).frame
    scene = scene_of(frame, torch.from_numpy(frame.image.copy()))
    assert scene is not None
    return scene


def test_the_halo_beside_an_edge_does_not_spread_as_the_edge_moves_on() -> None:
    history, scene = History(), seen_from(0.0)
    halo = (scene.surfaces.edges < HALO).float() * 255
    picture = halo.view(SIZE, SIZE, 1).expand(-1, -1, 3).to(torch.uint8)
    history.begin(None, "a style")
    history.keep(0, scene, picture, Made.wholly(scene, False), 1.0)
    for number in range(1, 25):  # half a pixel each; every other picture is kept, and passes on what it has taken
        scene = seen_from(0.03 * number)
        assert history.begin(number - 1, "a style")
        recalled = history.recall(scene)
        colours = torch.where(recalled.known, recalled.colours[0], 0)
        picture = colours.view(SIZE, SIZE, 1).expand(-1, -1, 3).round().to(torch.uint8)
        clearance = torch.where(recalled.known, recalled.made.clearance, scene.surfaces.edges)
        made = Made(recalled.made.rough, clearance, torch.full_like(clearance, 255))
        history.keep(number, scene, picture, made, float(number % 2 == 0))
    assert len(history) > 4 and recalled.known.float().mean() > 0.5
    left = colours[scene.surfaces.edges == REACH]
    assert (left > 64).float().mean() < 0.002
    assert (colours[scene.surfaces.edges < HALO] > 64).any(), "where the edge is still near, it stays"


def test_strips_are_made_again_once_they_are_broad_together() -> None:
    side = 64
    made = torch.full((side, side), 255, dtype=torch.uint8)
    known = torch.ones(side * side, dtype=torch.bool)
    for first in range(20, 52, 4):
        new = torch.zeros((side, side), dtype=torch.bool)
        new[:, first : first + 4] = True
        made[new] = breadth(new.view(-1), side, side).view(side, side)[new]
        again = strips(known, made.view(-1), side, side).view(side, side)
        assert bool(again.any()) == (first >= 32), "four strips of four are more than half of 28 pixels"
        if again.any():
            break
    assert not again[:, :20].any() and not again[:, first + 4 :].any()
    made[again] = breadth(again.view(-1), side, side).view(side, side)[again]
    assert not strips(known, made.view(-1), side, side).any(), "and only once"
    assert np.array_equal(made[:, :20].numpy(), np.full((side, 20), 255))
