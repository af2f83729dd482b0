"""What timesteps and words give is made once, for as long as they are the same, and made anew when they are not."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from server.engine import StableDiffusionLcm
from server.engine.conditioning.conditions import KeptFor
from server.engine.spec import LoraFile
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, engine
from tests.plain.engine.test_loras import lora

Made = dict[str, int]


@pytest.fixture(params=FAMILIES)
def counted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Made]]:
    """A model, and how often its UNet has made something of each kind."""
    model = engine(request.param, control="adapter")
    made = {"shifts": 0, "keys": 0}
    quick = model._pipeline.quick
    assert quick is not None
    model._conditions.forget()

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any) -> Any:
            made[name] += 1
            return function(*given)

        return called

    for name in made:
        monkeypatch.setattr(quick, name, counting(name, getattr(quick, name)))
    yield model, made
    model.use_loras(())


def render(model: StableDiffusionLcm, **style: Any) -> Any:
    return model.render(make_request(**{"steps": 2, "strength": 0.5, **style})).image


def test_frames_of_a_moving_view_make_nothing_again(counted: tuple[StableDiffusionLcm, Made]) -> None:
    model, made = counted
    for seed in range(3):
        render(model, frame_seed=seed, depth=0.5)
    assert made == {"shifts": 2, "keys": 1}


def test_a_new_seed_or_prompt_makes_only_what_is_new(counted: tuple[StableDiffusionLcm, Made]) -> None:
    model, made = counted
    render(model, prompt="a hut")
    render(model, prompt="a hut", seed=5)
    assert made == {"shifts": 2, "keys": 1}
    render(model, prompt="a tower", seed=5)
    is_sdxl = model._pipeline.unet.config.addition_embed_type is not None  # whose words shift the blocks too
    assert made == {"shifts": 4 if is_sdxl else 2, "keys": 2}
    render(model, prompt="a hut", strength=0.9)
    assert made["keys"] == 2


def test_frames_in_one_go_make_nothing_again(counted: tuple[StableDiffusionLcm, Made]) -> None:
    model, made = counted
    for seed in range(3):
        model.render_batch(
            [make_request(steps=2, strength=0.5, prompt=prompt, seed=seed, frame_seed=seed) for prompt in ("a", "b")]
        )
    assert made == {"shifts": 2, "keys": 1}


def test_a_lora_has_it_made_anew(counted: tuple[StableDiffusionLcm, Made]) -> None:
    model, made = counted
    family = "SDXL" if model._pipeline.unet.config.addition_embed_type is not None else "SD1.5"
    before = render(model)
    model.use_loras((LoraFile(lora(family, "kohya"), 0.8),))
    changed = render(model)
    assert made == {"shifts": 4, "keys": 2}
    assert not np.array_equal(changed, before)
    model.use_loras(())
    assert np.array_equal(render(model), before)


def test_what_is_kept_is_kept_for_the_very_objects() -> None:
    kept: KeptFor[int] = KeptFor(4)
    one = torch.zeros(2)
    assert kept.get((one, None), lambda: 1) == 1
    assert kept.get((one, None), lambda: 2) == 1
    assert kept.get((one.clone(), None), lambda: 3) == 3
    assert kept.get((one, None), lambda: 4, 0.5) == 4
    for number in range(1000):  # each of them soon has the place in memory of one that is gone
        tensor = torch.full((2,), float(number))
        assert kept.get((tensor,), lambda tensor=tensor: int(tensor[0])) == number  # type: ignore[misc]
        del tensor
        gc.collect(0)
