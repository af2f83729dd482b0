"""Frames whose UNet calls are made in one go give the pictures that they give one by one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from addon.wire import Request
from server.engine import EngineError, StableDiffusionLcm
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, assert_same, engine, psnr

PROMPTS = ("a red castle", "a blue house at night", "")


def three(**style: Any) -> list[Request]:
    return [
        make_request(prompt=prompt, seed=seed, frame_seed=seed, negative_prompt=negative, **style)
        for seed, (prompt, negative) in enumerate(zip(PROMPTS, ("grey", "", "fog"), strict=True))
    ]


def check(model: StableDiffusionLcm, requests: list[Request]) -> None:
    alone = [model.render(request).image for request in requests]
    together = [rendered.image for rendered in model.render_batch(requests)]
    for one, other in itertools.combinations(alone, 2):
        assert psnr(one, other) < 30, "equal pictures would hide that two were exchanged"
    for one, same in zip(together, alone, strict=True):
        assert_same(one, same)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("control", [None, "adapter", "controlnet"])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_each_picture_is_its_own(family: str, control: str | None, guidance: float) -> None:
    model = engine(family, **({} if control is None else {"control": control}))
    check(model, three(steps=2, strength=0.6, guidance=guidance, depth=0.0 if control is None else 0.8))


@pytest.mark.parametrize("steps", [1, 4])
def test_steps_and_pure_depth(steps: int) -> None:
    check(engine("SD1.5", control="adapter"), three(steps=steps, strength=1.0, depth=1.0))


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_style_picture(guidance: float) -> None:
    model = engine("SD1.5", ip_adapter="ip")
    model.use_reference(np.random.default_rng(3).integers(0, 256, (32, 32, 3), np.uint8), 0.8)
    check(model, three(steps=2, strength=0.6, guidance=guidance))
    model.use_reference(None)


def test_a_longer_prompt_beside_it_changes_no_picture() -> None:
    model = engine("SD1.5")
    requests = [make_request(prompt=prompt, seed=7, steps=1) for prompt in ("a hut", "a very old stone tower, " * 30)]
    alone = [model.render(request).image for request in requests]
    for one, other in zip(model.render_batch(requests), alone, strict=True):
        assert np.array_equal(one.image, other)


def test_steps_are_told_once_for_all_and_errors_name_what_is_wrong() -> None:
    model = engine("SD1.5")
    told: list[tuple[int, int]] = []
    made = model.render_batch(three(steps=2), lambda step, steps: told.append((step, steps)))
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert all(rendered.timings["engine"] >= rendered.timings["unet"] > 0 for rendered in made)
    with pytest.raises(EngineError, match="no depth adapter"):
        model.render_batch(three(depth=1.0))
