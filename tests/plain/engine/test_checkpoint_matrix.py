"""What tools write of predictions and scales, controls that are differences, and other kinds of single files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from server.engine import EngineError, ModelSpec, StableDiffusionLcm
from server.engine.loading.prediction import noise_config
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, assert_same, place, psnr

State = dict[str, torch.Tensor]
FP8 = torch.float8_e4m3fn
YAML = 'model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params:\n    parameterization: "v"\n'
SGM = (
    "model:\n  params:\n    denoiser_config:\n      params:\n        scaling_config:\n"
    "          target: sgm.modules.diffusionmodules.denoiser_scaling.{}\n"
)
XL = {"modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": "stable-diffusion-xl-v1-base"}

SAYS: dict[str, tuple[dict[str, Any], str, bool]] = {
    "A1111, nothing": ({}, "epsilon", False),
    "A1111, yaml": ({"yaml": YAML}, "v_prediction", False),
    "A1111, yaml of epsilon": ({"yaml": YAML.replace('"v"', '"eps"')}, "epsilon", False),
    "A1111, yaml of sgm": ({"yaml": SGM.format("VScaling")}, "v_prediction", False),
    "A1111, yaml of sgm, epsilon": ({"yaml": SGM.format("EpsScaling")}, "epsilon", False),
    "ComfyUI, v": ({"keys": ["v_pred"]}, "v_prediction", False),
    "ComfyUI, zero terminal SNR": ({"keys": ["v_pred", "ztsnr"]}, "v_prediction", True),
    "ComfyUI, ztsnr alone": ({"keys": ["ztsnr"]}, "epsilon", False),
    "kohya, epsilon": ({"says": {**XL, "modelspec.prediction_type": "epsilon"}}, "epsilon", False),
    "kohya, v": ({"says": {**XL, "modelspec.prediction_type": "v"}}, "v_prediction", False),
    "kohya, its own": (
        {"says": {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}},
        "v_prediction",
        True,
    ),
    "OneTrainer": ({"says": {**XL, "modelspec.prediction_type": "v", "ot_branch": "master"}}, "v_prediction", False),
    "others": ({"says": {"modelspec.prediction_type": "v-prediction"}}, "v_prediction", False),
    "ComfyUI, its metadata alone": ({"says": {**XL, "modelspec.predict_key": "v"}}, "v_prediction", False),
    "as velocity": ({"says": {"modelspec.prediction_type": "velocity"}}, "v_prediction", False),
    "the sample": ({"says": {"modelspec.prediction_type": "sample"}}, "sample", False),
    "by its name": ({"name": "noobaiXLNAIXL_vPred10Version"}, "v_prediction", False),
    "by its name, epsilon": ({"name": "noobaiXL_epsilonPred11"}, "epsilon", False),
    "by its name, zero terminal SNR": ({"name": "mixV-pred_ztSNR"}, "v_prediction", True),
    "a name of epsilon": ({"name": "mix_ztsnr"}, "epsilon", False),
    "a yaml in other words": ({"yaml": YAML.replace('"v"', "V-Prediction")}, "v_prediction", False),
    "no prediction": ({"name": "x_vpred", "says": {"modelspec.prediction_type": "None"}}, "v_prediction", False),
    "metadata before its name": (
        {"name": "x_vpred", "says": {"modelspec.prediction_type": "epsilon"}},
        "epsilon",
        False,
    ),
}


def write(folder: Path, yaml: str = "", keys: list[str] | None = None, says: Any = None, name: str = "x") -> Path:
    path = folder / f"{name}.safetensors"
    save_file({key: torch.zeros(1) for key in ["a", *(keys or [])]}, path, says)
    if yaml:
        path.with_suffix(".yaml").write_text(yaml)
    return path


@pytest.mark.parametrize("who", SAYS)
def test_what_is_predicted_is_what_its_tool_wrote(who: str, tmp_path: Path) -> None:
    given, prediction, zero = SAYS[who]
    path = write(tmp_path, **given)
    found = noise_config(path, dict.fromkeys(given.get("keys", ()), (1,)))
    assert found == {"prediction_type": prediction, "rescale_betas_zero_snr": zero}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"says": {"modelspec.prediction_type": "flow"}},
            r"x\.safetensors says in its metadata that it predicts 'flow'",
        ),
        ({"says": {"modelspec.prediction_type": "v", "modelspec.noise_process": "flow"}}, "predicts 'v' of a flow"),
        ({"yaml": SGM.format("EDMScaling")}, r"he \.yaml beside .* says that it predicts 'EDMScaling'"),
        ({"yaml": "model: ["}, r"x\.yaml cannot be read .*: correct it, or remove it"),
    ],
)
def test_what_cannot_be_sampled_is_said(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=words):
        noise_config(write(tmp_path, **given), {})


def picture(path: Path, **parts: Any) -> Any:
    model = StableDiffusionLcm.load(ModelSpec(path, **parts), "cpu", dtype=torch.float32)
    return model.render(make_request(strength=1.0, steps=2, seed=3)).image


def test_a_scale_that_fits_no_weight_is_said(tmp_path: Path) -> None:
    from server.engine.loading.scaled_weights import multiplied

    for scale, words in (
        (torch.ones(3), r"scale x\.weight_scale of shape \[3\], which is none for"),
        (None, "four bits"),
    ):
        state = {"x.weight": torch.zeros(4, 4), "x.weight_scale": torch.ones(1) if scale is None else scale}
        with pytest.raises(EngineError, match=words):
            multiplied(
                state | ({"x.weight_scale_2": torch.ones(1)} if scale is None else {}), tmp_path / "x.safetensors"
            )
    with pytest.raises(EngineError, match=r"has x\.weight as whole numbers \(int8\) without a scale"):
        multiplied({"x.weight": torch.ones(4, 4, dtype=torch.int8)}, tmp_path / "x.safetensors")
    with pytest.raises(EngineError, match=r"has the scale y\.scale_weight, but not the weight y\.weight"):
        multiplied({"y.scale_weight": torch.ones(1)}, tmp_path / "x.safetensors")
    blocks = multiplied({"x.weight": torch.ones(4, 4), "x.weight_scale": torch.tensor([[1.0, 2], [3, 4]])}, tmp_path)
    assert blocks["x.weight"].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


def test_a_diffusers_folder_in_scaled_fp8_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(place("SD1.5", "model"), tmp_path / "model")
    file = next((folder / "unet").glob("*.safetensors"))
    save_file(load_file(file) | {"conv_in.weight_scale": torch.ones(1)}, file, {"format": "pt"})
    with pytest.raises(EngineError, match=r"net of .*model is in scaled fp8 \(it has conv_in\.weight_scale\)"):
        picture(folder)


def difference(family: str, path: Path, marked: bool, names: Callable[[State], State] = dict) -> Path:
    """The ControlNet of ``family`` as what sets it apart from the UNet, as A1111's first small files were made."""
    control = load_file(place(family, "controlnet_own_names"))
    unet = UNet2DConditionModel.from_pretrained(place(family, "tiny") / "unet").state_dict()
    apart = {name: value - unet[name] if name in unet else value for name, value in control.items()}
    save_file(names(apart) | ({"difference": torch.zeros(1)} if marked else {}), path)
    return path


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_controlnet_that_is_a_difference_is_added_to_its_unet(family: str, marked: bool, tmp_path: Path) -> None:
    request = make_request(depth=1.0, strength=1.0, steps=2, seed=5)
    made = [
        StableDiffusionLcm.load(ModelSpec(place(family, "tiny"), control=path), "cpu", dtype=torch.float32)
        for path in (place(family, "controlnet"), difference(family, tmp_path / "depth.safetensors", marked))
    ]
    right, ours = (model.render(request).image for model in made)
    assert_same(ours, right)
    assert psnr(right, made[0].render(make_request(strength=1.0, steps=2, seed=5)).image) < 40


def test_a_controlnet_within_the_model_that_it_was_trained_on(tmp_path: Path) -> None:
    """lllyasviel's first ones, and what converters make of them: ``model.control_model.``."""
    from server.engine.loading.controls import load_control
    from server.engine.loading.files import Weights

    plain = place("SD1.5", "controlnet_file")
    state = load_file(plain)
    rest = load_file(place("SD1.5", "checkpoint"))
    for name, whole in (
        ("prefix", {f"model.{key}": value for key, value in state.items()}),
        ("with all", state | rest),
    ):
        path = tmp_path / f"{name}.safetensors"
        save_file(whole, path)
        loaded = load_control(path, Weights((path,)), torch.float32).state_dict()
        for key, value in load_control(plain, Weights((plain,)), torch.float32).state_dict().items():
            assert torch.equal(loaded[key], value)


def test_text_in_scaled_fp8(tmp_path: Path) -> None:
    from server.engine.loading.recognise import recognise
    from server.engine.loading.single_file import load_texts

    state = load_file(place("SD1.5", "checkpoint"))
    name = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1"
    scaled = {f"{name}.weight": (state[f"{name}.weight"] * 100).to(FP8), f"{name}.scale_weight": torch.tensor(0.01)}
    save_file(state | scaled, tmp_path / "x.safetensors")
    encoder: CLIPTextModel = load_texts(
        tmp_path / "x.safetensors", recognise(tmp_path / "x.safetensors")[1], "SD1.5", torch.float32
    )[0][1]
    weight = dict(encoder.named_parameters())[next(n for n, _ in encoder.named_parameters() if "0.mlp.fc1.weight" in n)]
    torch.testing.assert_close(weight, scaled[f"{name}.weight"].float() * 0.01)


def test_a_unet_distilled_as_ssd_1b_is_in_one_file(tmp_path: Path) -> None:
    """Depths that differ within and between its halves, and a middle without attention; LCM's input for guidance."""
    from server.engine.loading.files import check_safetensors
    from server.engine.loading.single_file import load_unet
    from tests.plain.checkpoints_original import original_unet
    from tests.plain.checkpoints_sdxl import SECOND_TEXT, make_whole_unet

    config = {name: value for name, value in make_whole_unet("SDXL").config.items() if not name.startswith("_")} | {
        "layers_per_block": 2,
        "transformer_layers_per_block": [1, 1, 2],
        "reverse_transformer_layers_per_block": [[2, 2, 3], [2, 1, 1], 1],
        "mid_block_type": "UNetMidBlock2D",
        "time_cond_proj_dim": 32,
    }
    unet = UNet2DConditionModel(**config)
    state = unet.state_dict()
    guidance = state.pop("time_embedding.cond_proj.weight")
    original = original_unet(state, "model.diffusion_model.")
    original["model.diffusion_model.time_embed.cond_proj.weight"] = guidance
    path = tmp_path / "ssd.safetensors"
    save_file({name: value.contiguous() for name, value in original.items()}, path)
    loaded = load_unet(path, check_safetensors(path), "SDXL", torch.float32, SECOND_TEXT)
    assert loaded.state_dict().keys() == unet.state_dict().keys()
    for name, value in unet.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
