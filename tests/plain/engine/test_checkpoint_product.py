"""Checkpoints by who saved them x what they predict x precision x family: what diffusers paints of the same weights."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import LCMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from server.engine import EngineError, ModelSpec, StableDiffusionLcm
from server.engine.loading.clip_tokenizer import clip_tokenizer
from tests.plain.checkpoints import scheduler_config, text_config
from tests.plain.checkpoints_original import original_clip, original_open_clip, original_unet, original_vae
from tests.plain.checkpoints_sdxl import make_whole_vae
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, ask, assert_same
from tests.plain.pairwise import product

State = dict[str, torch.Tensor]
TEXT, SECOND_TEXT, TIMES = 16, 32, 256
FP8 = torch.float8_e4m3fn
PLAIN = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp8": FP8}
PREDICTIONS = {"epsilon": ("epsilon", False), "v": ("v_prediction", False), "v, zero SNR": ("v_prediction", True)}
YAML = 'model:\n  params:\n    parameterization: "v"\n'
AXES: dict[str, list[str]] = {
    "who": ["A1111", "ComfyUI", "kohya", "OneTrainer", "diffusers"],
    "prediction": list(PREDICTIONS),
    "precision": [*PLAIN, "fp8 with scale_weight", "fp8 with weight_scale"],
    "family": list(FAMILIES),
}


@functools.cache
def modules(family: str) -> dict[str, Any]:
    """Smaller ones than those of families.py, by diffusers' names."""
    torch.manual_seed(0)
    xl = family == "SDXL"
    of_xl = {
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": TIMES,
        "projection_class_embeddings_input_dim": 6 * TIMES + SECOND_TEXT,
    }
    unet = UNet2DConditionModel(
        block_out_channels=(64, 64) if xl else (32, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D") if xl else ("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D") if xl else ("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=TEXT + SECOND_TEXT if xl else TEXT,
        attention_head_dim=1 if xl else 8,
        **(of_xl if xl else {}),
    )
    parts = {"unet": unet, "vae": make_whole_vae(family), "text_encoder": CLIPTextModel(text_config(49408, TEXT, 1))}
    if xl:
        config = text_config(49408, SECOND_TEXT, 1, hidden_act="gelu")
        parts["text_encoder_2"] = CLIPTextModelWithProjection(config)
    return {name: part.eval().requires_grad_(False) for name, part in parts.items()}


@functools.cache
def stored(family: str, precision: str) -> tuple[dict[str, State], dict[str, State]]:
    """The weights of each part as ``precision`` stores them, with their scales, and as they are meant, fp32."""
    files: dict[str, State] = {}
    meant: dict[str, State] = {}
    for part, module in modules(family).items():
        files[part], meant[part] = {}, {}
        for name, value in module.state_dict().items():
            scaled = precision not in PLAIN and part == "unet" and name.endswith(".weight") and value.ndim >= 2
            dtype = FP8 if scaled else PLAIN.get(precision, torch.float32)
            scale = value.abs().max() / 400 if scaled else torch.tensor(1.0)
            files[part][name] = (value / scale).to(dtype) if value.is_floating_point() else value
            meant[part][name] = files[part][name].float() * scale if value.is_floating_point() else value
            if scaled:
                end = precision.removeprefix("fp8 with ")
                files[part][f"{name.removesuffix('weight')}{end}"] = scale
    return files, meant


def one_file(parts: dict[str, State]) -> State:
    state = original_unet(parts["unet"], "model.diffusion_model.") | original_vae(parts["vae"])
    if "text_encoder_2" not in parts:
        return state | original_clip(parts["text_encoder"], "cond_stage_model.transformer.")
    state |= original_clip(parts["text_encoder"], "conditioner.embedders.0.transformer.")
    return state | original_open_clip(parts["text_encoder_2"], "conditioner.embedders.1.model.")


def write(folder: Path, who: str, prediction: str, precision: str, family: str) -> Path:
    """Write the checkpoint as ``who`` does."""
    parts, _ = stored(family, precision)
    kind, zero = PREDICTIONS[prediction]
    if who == "diffusers":
        return write_folder(folder / "model", family, parts, kind, zero, ".fp16" if precision == "fp16" else "")
    state, says, path = one_file(parts), {"format": "pt"}, folder / "mine.safetensors"
    marks = {"v_pred": torch.tensor([])} if kind == "v_prediction" else {}
    marks |= {"ztsnr": torch.tensor([])} if zero else {}
    short = "v" if kind == "v_prediction" else "epsilon"
    architecture = "stable-diffusion-xl-v1-base" if family == "SDXL" else "stable-diffusion-v1"
    spec = {"modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": architecture}
    if who == "A1111":
        says |= {"sd_merge_recipe": "{}"}
        state |= marks if zero else {}
        if kind == "v_prediction":
            path.with_suffix(".yaml").write_text(YAML)
    elif who == "ComfyUI":
        says |= {**spec, "modelspec.predict_key": short, "prompt": "{}"}
        state |= marks
    elif who == "kohya":
        says |= {**spec, "modelspec.prediction_type": short, "ss_v_parameterization": str(short == "v")}
        says |= {"ss_zero_terminal_snr": "True"} if zero else {}
    else:
        says |= {**spec, "modelspec.prediction_type": short, "ot_branch": "master"}
        state |= marks if zero else {}
    if precision == "fp8 with scale_weight":
        state["model.diffusion_model.scaled_fp8"] = torch.zeros(2, dtype=FP8)
    save_file({name: value.contiguous() for name, value in state.items()}, path, says)
    return path


def write_folder(folder: Path, family: str, parts: dict[str, State], kind: str, zero: bool, variant: str) -> Path:
    for part, state in parts.items():
        module, is_text = modules(family)[part], part.startswith("text")
        (module.config.save_pretrained if is_text else module.save_config)(folder / part)
        stem = "model" if is_text else "diffusion_pytorch_model"
        save_file(state, folder / part / f"{stem}{variant}.safetensors", {"format": "pt"})
    clip_tokenizer().save_pretrained(folder / "tokenizer")
    if family == "SDXL":
        clip_tokenizer("!").save_pretrained(folder / "tokenizer_2")
    scheduler(kind, zero).save_pretrained(folder / "scheduler")
    return folder


def scheduler(kind: str, zero: bool) -> LCMScheduler:
    return LCMScheduler(**scheduler_config(), prediction_type=kind, rescale_betas_zero_snr=zero)


@functools.cache
def stock(family: str) -> Any:
    """diffusers' pipeline over modules of its own, which are given each precision's weights in turn."""
    own: dict[str, Any] = {}
    for name, part in modules(family).items():
        own[name] = type(part)(part.config) if name.startswith("text") else type(part).from_config(part.config)
    own |= {"tokenizer": clip_tokenizer(), "scheduler": scheduler("epsilon", False)}
    if family == "SDXL":
        pipeline = diffusers.StableDiffusionXLPipeline(**own, tokenizer_2=clip_tokenizer("!"))
    else:
        pipeline = diffusers.StableDiffusionPipeline(
            **own, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@functools.cache
def theirs(prediction: str, precision: str, family: str) -> Any:
    pipeline = stock(family)
    for part, state in stored(family, precision)[1].items():
        getattr(pipeline, part).load_state_dict(state)
    pipeline.scheduler = scheduler(*PREDICTIONS[prediction])
    return ask(pipeline, make_request(strength=1.0, steps=2, seed=3))


@pytest.mark.parametrize(tuple(AXES), product(AXES))
def test_it_paints_what_diffusers_does(who: str, prediction: str, precision: str, family: str, tmp_path: Path) -> None:
    path = write(tmp_path, who, prediction, precision, family)
    if who == "diffusers" and precision not in PLAIN:
        with pytest.raises(EngineError, match=r"is in scaled fp8 .* take it in another precision, or in one file"):
            StableDiffusionLcm.load(path, "cpu", dtype=torch.float32)
        return
    model = StableDiffusionLcm.load(ModelSpec(path), "cpu", dtype=torch.float32)
    assert_same(model.render(make_request(strength=1.0, steps=2, seed=3)).image, theirs(prediction, precision, family))
    shutil.rmtree(tmp_path)
