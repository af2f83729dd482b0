"""The schedule against LCMScheduler itself, and its numbers at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LCMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from server.engine import EngineError
from server.engine.sampling.schedule import Schedule


def schedule(**config: Any) -> Schedule:
    return Schedule({"beta_schedule": "scaled_linear", **config})


@pytest.mark.parametrize("strength", [0.1, 0.25, 0.3, 0.58, 0.6, 0.8, 0.99, 1.0])
@pytest.mark.parametrize("steps", range(1, 9))
def test_timesteps_are_those_of_lcm_scheduler(steps: int, strength: float) -> None:
    theirs = LCMScheduler(beta_schedule="scaled_linear")
    # so many steps need a denser schedule than the usual 50 where the strength is small
    original = next(n for n in (50, 100) if int(n * strength) >= steps)
    theirs.set_timesteps(steps, original_inference_steps=original, strength=strength)
    assert schedule().timesteps(steps, strength) == theirs.timesteps.tolist()


@settings(deadline=None)
@given(steps=st.integers(1, 50), strength=st.floats(0.01, 1))
def test_every_step_asked_for_is_there(steps: int, strength: float) -> None:
    timesteps = schedule().timesteps(steps, strength)
    assert len(timesteps) == steps
    assert timesteps == sorted(timesteps, reverse=True)
    assert 0 <= timesteps[-1]
    assert timesteps[0] <= max(1000 * strength, 1)
    plan = schedule().plan(steps, strength)
    assert all(np.isfinite([s.keep, s.use, s.renoise]).all() for s in plan.steps)


@pytest.mark.parametrize("strength", [0.1, 0.3, 0.5, 0.8, 0.96])
def test_the_first_timestep_is_the_strength(strength: float) -> None:
    """All of the numbers of steps start from the same noise, so that more steps refine, and change nothing else."""
    assert {schedule().timesteps(steps, strength)[0] for steps in range(1, 6)} == {round(1000 * strength) - 1}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_steps_are_those_of_lcm_scheduler(prediction: str) -> None:
    theirs = LCMScheduler(beta_schedule="scaled_linear", prediction_type=prediction)
    theirs.set_timesteps(4)
    latent, output = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    ours = latent.clone()
    for step in schedule(prediction_type=prediction).plan(4, 1.0).steps:
        state = generator.get_state()
        noise = torch.randn(latent.shape, generator=generator)
        generator.set_state(state)
        latent = theirs.step(output, torch.tensor(step.timestep), latent, generator, return_dict=False)[0]
        ours = ours * step.keep + output * step.use + noise * step.renoise
        torch.testing.assert_close(ours, latent, rtol=1e-4, atol=1e-4)
    assert step.renoise == 0


def test_strength_1_starts_from_noise_alone() -> None:
    plan = schedule().plan(2, 1.0)
    assert (plan.signal, plan.noise) == (0, 1)
    assert plan.steps[0].timestep == 999


def test_zero_terminal_snr_has_no_signal_at_the_last_timestep() -> None:
    zero = schedule(prediction_type="v_prediction", rescale_betas_zero_snr=True)
    assert zero.alphas_cumprod[-1] == 0
    step = zero.plan(1, 1.0).steps[0]
    # what the UNet calls v is then the negative of the clean latent, and the noise plays no part
    assert step.use == pytest.approx(-1, abs=1e-6)
    assert step.keep == pytest.approx(0, abs=1e-6)


def test_epsilon_with_zero_terminal_snr_is_refused() -> None:
    with pytest.raises(EngineError, match=r"epsilon prediction with zero terminal SNR.*v_prediction"):
        schedule(prediction_type="epsilon", rescale_betas_zero_snr=True)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"prediction_type": "flow_prediction"}, "'flow_prediction'.*epsilon, v_prediction, sample"),
        ({"beta_schedule": "sigmoid"}, "sigmoid"),
        ({"thresholding": True}, "thresholding"),
        ({"_class_name": "EDMDPMSolverMultistepScheduler", "sigma_data": 0.5}, "another scale of noise"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}, "another scale of noise"),
        ({"_class_name": "EulerDiscreteScheduler", "timestep_type": "continuous"}, "another scale of noise"),
        ({"_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": True}, "another scale of noise"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        schedule(**config)
    assert caught.value.code == "model_failed"
