"""Models of SD2's shape in diffusers' layout, as SD Turbo is, against diffusers' own pipeline: at least 40 dB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, LCMScheduler, StableDiffusionImg2ImgPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

from server.engine import StableDiffusionLcm
from server.engine.loading.clip_tokenizer import clip_tokenizer
from tests.plain.checkpoints import scheduler_config, text_config
from tests.plain.checkpoints_sdxl import TEXT, make_whole
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import ask, assert_same


def make_sd2(folder: Path, prediction: str) -> Path:
    """SD1.5 in small with what differs in SD2: heads of one width, linear projections, another text encoder."""
    make_whole(folder, "SD1.5", vae="tiny")
    torch.manual_seed(2)
    facts = json.loads((folder / "unet" / "config.json").read_text())
    facts |= {"attention_head_dim": [2, 4], "use_linear_projection": True}
    UNet2DConditionModel.from_config(facts).save_pretrained(folder / "unet")
    CLIPTextModel(text_config(49408, TEXT, heads=1, hidden_act="gelu")).save_pretrained(folder / "text_encoder")
    clip_tokenizer("!").save_pretrained(folder / "tokenizer")
    numbers = {name: value for name, value in scheduler_config().items() if name != "clip_sample"}
    scheduler = EulerDiscreteScheduler(**numbers, prediction_type=prediction, timestep_spacing="trailing")
    scheduler.save_pretrained(folder / "scheduler")
    return folder


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_img2img(tmp_path: Path, prediction: str) -> None:
    folder = make_sd2(tmp_path / "sd2", prediction)
    options: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(folder, **options)
    config = {**pipeline.scheduler.config, "timestep_spacing": "leading"}
    pipeline.scheduler = LCMScheduler.from_config(config)
    pipeline.set_progress_bar_config(disable=True)
    model = StableDiffusionLcm.load(folder, "cpu", dtype=torch.float32)
    for steps, guidance in ((1, 1.0), (2, 2.5)):
        request = make_request(strength=0.5, steps=steps, guidance=guidance, seed=3, negative_prompt="dark")
        assert_same(model.render(request).image, ask(pipeline, request))
