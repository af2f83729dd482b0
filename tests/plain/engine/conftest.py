"""Models made once a run, and requests to try them with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from addon.wire import Control, Frame, Request, Style
from server.engine import StableDiffusionLcm
from tests.plain.checkpoints import make_sd15

SIDE = 64


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """model(**options) -> the folder of a checkpoint with these options of make_sd15, written once."""
    made: dict[tuple[Any, ...], Path] = {}

    def get(**options: Any) -> Path:
        key = tuple(sorted(options.items()))
        if key not in made:
            made[key] = make_sd15(tmp_path_factory.mktemp("model") / "tiny", **options)
        return made[key]

    return get


@pytest.fixture(scope="session")
def engine(model: Callable[..., Path]) -> Callable[..., StableDiffusionLcm]:
    """engine(**options) -> that checkpoint loaded in fp32 on the CPU, once."""
    loaded: dict[tuple[Any, ...], StableDiffusionLcm] = {}

    def get(**options: Any) -> StableDiffusionLcm:
        key = tuple(sorted(options.items()))
        if key not in loaded:
            loaded[key] = StableDiffusionLcm.load(model(**options), "cpu", dtype=torch.float32)
        return loaded[key]

    return get


def make_request(depth: float = 0.0, side: int = SIDE, frame_seed: int = 0, **style: Any) -> Request:
    """A request with a blocky random draft and depth; ``depth`` is the weight of its control, 0 for none."""
    random = np.random.default_rng(frame_seed)
    height, width = style.setdefault("height", side), style.setdefault("width", side)
    image = random.integers(0, 256, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    # multiples of 257 are whole steps of 8 bits too, which is what the stock pipelines take
    plane = (random.integers(0, 256, (height // 8, width // 8)) * 257).astype(np.uint16).repeat(8, 0).repeat(8, 1)
    controls = (Control("depth", depth),) if depth else ()
    return Request(Frame(0, image, plane), Style(**{"prompt": "a red castle", "controls": controls, **style}))
