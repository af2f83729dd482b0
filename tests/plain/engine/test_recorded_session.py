"""A session's changes, of words, LoRAs, style pictures, controls and sizes, over recordings: each picture is its own.

What is recorded reads its inputs where they lie; one that was left there from before would show in the picture.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from addon.wire import Request
from server.engine import StableDiffusionLcm
from server.engine.acceleration.graphs import RecordedPipeline
from server.engine.spec import LoraFile
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import engine
from tests.plain.engine.test_graphs import Repeats
from tests.plain.engine.test_loras import lora

Moment = tuple[Callable[[StableDiffusionLcm], None], list[Request]]


def nothing(model: StableDiffusionLcm) -> None:
    pass


def session(family: str, styled: bool) -> list[Moment]:
    """What is done to the model before each frame, and the requests that are then made in one go."""

    def dress(weight: float) -> Callable[[StableDiffusionLcm], None]:
        return lambda model: model.use_loras((LoraFile(lora(family, "kohya"), weight),) if weight else ())

    def follow(seed: int | None, weight: float = 1.0) -> Callable[[StableDiffusionLcm], None]:
        image = None if seed is None else np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
        return lambda model: model.use_reference(image, weight)

    def ask(frame: int, **style: Any) -> Request:
        return make_request(**{"frame_seed": frame, "steps": 2, "strength": 0.6, "depth": 0.7, **style})

    moments: list[Moment] = [(nothing, [ask(frame)]) for frame in range(7)]
    for style in (
        {"prompt": "a hut"},
        {"seed": 9},
        {"steps": 3},
        {"strength": 1.0},
        {"depth": 0.3},
        {"depth": 0.0},
        {"guidance": 2.0, "negative_prompt": "fog"},
        {"prompt": "a very old stone tower " * 30},
        {"width": 96},
    ):
        moments += [(nothing, [ask(frame, **style)]) for frame in range(3)]
    moments += [(dress(weight), [ask(frame)]) for frame, weight in enumerate((0.5, 0.6, 0.9, 0.9, 0.0, 0.0))]
    if styled:
        changes = [follow(1), follow(1), follow(1, 0.4), follow(2, 0.4), follow(None), follow(None)]
        moments += [(change, [ask(frame)]) for frame, change in enumerate(changes)]
    moments += [(nothing, [ask(frame, prompt=prompt) for prompt in ("a", "b")]) for frame in range(4)]
    return moments


ADAPTER, CONTROLNET = {"control": "adapter", "ip_adapter": "ip"}, {"control": "controlnet"}


@pytest.mark.parametrize(
    ("family", "parts"),
    [
        ("SD1.5", ADAPTER),
        ("SDXL", CONTROLNET),
        pytest.param("SD1.5", CONTROLNET, marks=pytest.mark.slow),
        pytest.param("SDXL", ADAPTER, marks=pytest.mark.slow),
    ],
)
def test_each_picture_is_its_own(family: str, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    model, record = engine(family, **parts), Repeats()
    moments = session(family, styled="ip_adapter" in parts)

    def pictures() -> list[Any]:
        made = []
        for change, requests in moments:
            change(model)
            made.append([rendered.image for rendered in model.render_batch(requests)])
        return made

    plain = pictures()
    monkeypatch.setattr(model, "_sums", RecordedPipeline(model._pipeline, record, kept=64))
    recorded = pictures()
    assert len(record.made) > 12
    for number, (ours, theirs) in enumerate(zip(recorded, plain, strict=True)):
        assert np.array_equal(ours, theirs), f"moment {number}"
    alike = sum(np.array_equal(one, other) for one, other in itertools.pairwise(plain))
    assert alike == 0, "a picture that was left from before would not show"
