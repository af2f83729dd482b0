"""TCD beside LCM: steps and pictures against diffusers' TCDScheduler, and what a model was made for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import TCDScheduler

from server.engine import ModelSpec, StableDiffusionLcm
from server.engine.sampling.schedule import Schedule
from server.engine.spec import Sampler
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, ask, assert_same, engine, place, psnr, stock

CONFIGS: list[dict[str, Any]] = [
    {"prediction_type": "epsilon"},
    {"prediction_type": "v_prediction"},
    {"prediction_type": "sample"},
    {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("steps", "strength"), [(1, 1.0), (4, 1.0), (8, 1.0), (3, 0.6)])
def test_steps_are_those_of_tcd_scheduler(config: dict[str, Any], eta: float, steps: int, strength: float) -> None:
    theirs = TCDScheduler(beta_schedule="scaled_linear", **config)
    theirs.set_timesteps(steps, strength=strength)
    latent, output = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    generator, ours = torch.Generator().manual_seed(1), latent.clone()
    plan = Schedule({"beta_schedule": "scaled_linear", **config}).plan(steps, strength, Sampler("tcd", eta))
    assert [step.timestep for step in plan.steps] == theirs.timesteps.tolist()
    for step in plan.steps:
        state = generator.get_state()
        noise = torch.randn(latent.shape, generator=generator) if step.renoise else torch.zeros_like(latent)
        generator.set_state(state)
        ours = step.keep * ours + step.use * output + step.renoise * noise
        latent = theirs.step(output, torch.tensor(step.timestep), latent, eta, generator).prev_sample
        torch.testing.assert_close(ours, latent, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("eta", [0.0, 0.3])
def test_pictures_are_those_of_diffusers_with_tcd(family: str, eta: float) -> None:
    pipeline = stock(family, "Img2Img")
    usual = pipeline.scheduler
    pipeline.scheduler = TCDScheduler.from_config(usual.config)
    request = make_request(strength=0.5, steps=4, seed=3, sampler="tcd", eta=eta)
    try:
        theirs = ask(pipeline, request, eta=eta)
    finally:
        pipeline.scheduler = usual
    ours = engine(family).render(request).image
    assert_same(ours, theirs)
    assert psnr(ours, engine(family).render(make_request(strength=0.5, steps=4, seed=3)).image) < 40


def test_a_style_that_says_nothing_is_sampled_as_the_model_was_made_for() -> None:
    spec = ModelSpec(place("SD1.5", "tiny"), sampler=Sampler("tcd", 0.0))
    made = StableDiffusionLcm.load(spec, "cpu", dtype=torch.float32)

    def picture(model: StableDiffusionLcm, **style: Any) -> Any:
        return model.render(make_request(strength=1.0, steps=3, seed=3, **style)).image

    usual = engine("SD1.5")
    assert np.array_equal(picture(made), picture(usual, sampler="tcd", eta=0.0))
    assert np.array_equal(picture(made, sampler="lcm"), picture(usual))
    assert np.array_equal(picture(usual, sampler="tcd"), picture(usual, sampler="tcd", eta=0.3))
    assert not np.array_equal(picture(usual, sampler="tcd"), picture(made))


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_what_a_plane_of_strength_keeps_stays_with_tcd(eta: float) -> None:
    request = make_request(strength=0.6, steps=4, seed=3, sampler="tcd", eta=eta)
    plane = np.zeros(request.frame.image.shape[:2], np.uint8)
    plane[:, 32:] = 255
    made = engine("SD1.5").render(replace(request, frame=replace(request.frame, strength=plane))).image
    assert np.array_equal(made[:, :24], request.frame.image[:, :24])
    whole = engine("SD1.5").render(request).image
    assert (
        np.abs(made[:, 40:].astype(float) - whole[:, 40:]).mean()
        < np.abs(made[:, 40:].astype(float) - request.frame.image[:, 40:]).mean()
    ), "what is made anew is the picture, not noise that nothing took away"
