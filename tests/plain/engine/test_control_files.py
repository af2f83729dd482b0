"""Controls in the forms that people find them in: one file or a folder, full, light and small ones; damaged ones."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel, T2IAdapter
from safetensors.torch import load_file, save_file

from server.catalogue.user_files import UserFile
from server.engine import EngineError, ModelSpec, StableDiffusionLcm
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, Picture, assert_same, place


def picture(family: str, control: Path) -> Picture:
    spec = ModelSpec(place(family, "tiny"), control=control)
    request = make_request(depth=1.0, strength=1.0, steps=2, seed=5)
    return StableDiffusionLcm.load(spec, "cpu", dtype=torch.float32).render(request).image


def one_file(folder: Path) -> Path:
    """The weights of ``folder`` by themselves."""
    return Path(shutil.copyfile(next(folder.glob("*.safetensors")), folder.parent / f"{folder.name}-alone.safetensors"))


def original_names(state: dict[str, torch.Tensor], each: int) -> dict[str, torch.Tensor]:
    """A full adapter's weights as TencentARC's first ones name them: blocks counted through all levels."""
    named = {}
    for name, value in state.items():
        parts = name.removeprefix("adapter.").split(".")
        if parts[0] == "body":
            level, inner = int(parts[1]), parts[2]
            block = 0 if inner == "in_conv" else int(parts[3])
            parts = ["body", str(level * each + block), *(parts[2:] if inner == "in_conv" else parts[4:])]
        named[".".join(parts)] = value
    return named


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_in_one_file_is_the_one_in_the_folder(family: str, tmp_path: Path) -> None:
    folder = shutil.copytree(place(family, "adapter"), tmp_path / "adapter-depth")
    alone = one_file(folder)
    expected = picture(family, folder)
    assert_same(picture(family, alone), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_under_its_authors_names(family: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    folder, original = tmp_path / "adapter", tmp_path / "original.safetensors"
    xl = ([64, 64, 128, 128], 2, 16, "full_adapter_xl")
    T2IAdapter(3, *(xl if family == "SDXL" else ([32, 64], 2, 8))).save_pretrained(folder)
    save_file(original_names(load_file(one_file(folder)), 2), original)
    assert_same(picture(family, original), picture(family, folder))


def test_a_light_adapter(tmp_path: Path) -> None:
    torch.manual_seed(4)
    folder = tmp_path / "light"
    T2IAdapter(3, [32, 64], 2, 8, "light_adapter").save_pretrained(folder)
    assert UserFile("light", "control", one_file(folder)).examine() == ("SD1.5", "")
    assert_same(picture("SD1.5", one_file(folder)), picture("SD1.5", folder))


@pytest.mark.parametrize("middle", [True, False], ids=["attention in the middle", "no attention"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_small_controlnet(family: str, middle: bool, tmp_path: Path) -> None:
    """Such as diffusers/controlnet-depth-sdxl-1.0-small."""
    torch.manual_seed(3)
    config: dict[str, Any] = dict(ControlNetModel.from_pretrained(place(family, "controlnet")).config)
    levels = len(config["block_out_channels"])
    config |= {
        "down_block_types": ["DownBlock2D"] * levels,
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
    }
    control = ControlNetModel.from_config(config)
    for name, weight in control.named_parameters():
        if name.startswith(("controlnet_down_blocks", "controlnet_mid_block", "controlnet_cond_embedding.conv_out")):
            torch.nn.init.normal_(weight, std=0.1)
    folder = tmp_path / "depth-small"
    control.save_pretrained(folder)
    assert_same(picture(family, one_file(folder)), picture(family, folder))


def test_a_damaged_control_names_its_folder(tmp_path: Path) -> None:
    folder = shutil.copytree(place("SD1.5", "controlnet"), tmp_path / "depth")
    file = next(folder.glob("*.safetensors"))
    state = load_file(file)
    state.pop("conv_in.bias")
    save_file(state, file)
    with pytest.raises(EngineError, match=r"the control .*depth lacks 1 of its weights, such as conv_in\.bias"):
        picture("SD1.5", folder)


@pytest.mark.parametrize(
    "name", ["image_proj.norm.weight", "ip_adapter.1.to_v_ip.weight", "ip_adapter.3.to_k_ip.weight"]
)
def test_a_damaged_ip_adapter_says_what_it_lacks(tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(place("SD1.5", "ip").parents[1], tmp_path / "ip")
    file = folder / "models" / place("SD1.5", "ip").name
    state = load_file(file)
    state.pop(name)
    save_file(state, file)
    with pytest.raises(EngineError, match=f"IP-Adapter .* is damaged: it lacks {name}; copy it again"):
        StableDiffusionLcm.load(ModelSpec(place("SD1.5", "tiny"), ip_adapter=file), "cpu", dtype=torch.float32)
