"""LoRAs under the names that other trainers and tools give: the same pictures as under diffusers' own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from server.engine import EngineError, LoraFile
from tests.plain.checkpoints_lora import write_user_lora
from tests.plain.checkpoints_original import original_unet_name
from tests.plain.checkpoints_sdxl import SECOND_TEXT, TEXT
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, assert_same, engine, psnr, stock

State = dict[str, torch.Tensor]


def as_bundle(state: State, family: str) -> State:
    if family == "SDXL":
        return state | {
            "bundle_emb.word.clip_l": torch.zeros(1, TEXT),
            "bundle_emb.word.clip_g": torch.zeros(1, SECOND_TEXT),
        }
    return state | {"bundle_emb.word.string_to_param.*": torch.zeros(1, TEXT)}


def as_peft(state: State, family: str) -> State:
    return {f"base_model.model.{name}": value for name, value in state.items()}


def as_peft_of_a_unet(state: State, family: str) -> State:
    return {f"base_model.model.{name.removeprefix('unet.')}": value for name, value in state.items()}


def as_first_scripts(state: State, family: str) -> State:
    """``down_blocks.0...attn1.processor.to_q_lora.down.weight``, as save_attn_procs wrote them."""
    old: State = {}
    for name, value in state.items():
        found = re.fullmatch(r"unet\.(.*\.attn\d)\.(to_\w+?)(\.0)?\.lora(_A|_B|\.down|\.up)\.weight", name)
        if found:
            side = "down" if found[4] in ("_A", ".down") else "up"
            old[f"{found[1]}.processor.{found[2]}_lora.{side}.weight"] = value
    assert old
    return old


def as_comfy(state: State, family: str) -> State:
    config = stock(family, "Img2Img").unet.config
    attended = {index for index, kind in enumerate(config.up_block_types) if kind.startswith("Cross")}
    named: State = {}
    for name, value in state.items():
        layer, side = re.sub(r"\.lora\.(down|up)", r".lora_\1", name.removeprefix("unet.")).rsplit(".lora", 1)
        named[f"diffusion_model.{original_unet_name(layer, config.layers_per_block, attended)}.lora{side}"] = value
    return named


def unet_only(family: str, path: Path) -> Path:
    return write_user_lora(path, stock(family, "Img2Img").unet, [], "diffusers")


def assert_same_pictures(family: str, usual: Path, other: Path) -> None:
    """That both files change the picture, and in the same way."""
    model, request = engine(family), make_request(strength=0.5, steps=2, seed=3)
    try:
        off = model.render(request).image
        model.use_loras((LoraFile(usual, 5.0),))
        expected = model.render(request).image
        assert psnr(expected, off) < 35
        model.use_loras((LoraFile(other, 5.0),))
        assert_same(model.render(request).image, expected)
    finally:
        model.use_loras(())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("form", [as_bundle, as_peft, as_peft_of_a_unet, as_first_scripts, as_comfy])
def test_the_same_under_other_names(family: str, form: Callable[[State, str], State], tmp_path: Path) -> None:
    usual, other = unet_only(family, tmp_path / "usual.safetensors"), tmp_path / "other.safetensors"
    state = load_file(usual)
    if form is as_first_scripts:  # they knew attention only
        kept = as_first_scripts(state, family)
        state = {n: v for n, v in state.items() if any(torch.equal(v, k) for k in kept.values() if k.shape == v.shape)}
        save_file(state, usual)
    save_file({name: value.clone() for name, value in form(state, family).items()}, other)
    assert_same_pictures(family, usual, other)


def test_one_that_has_values_that_are_no_numbers(tmp_path: Path) -> None:
    path = unet_only("SD1.5", tmp_path / "nan.safetensors")
    state = load_file(path)
    name = next(name for name in state if name.endswith(("lora_B.weight", "lora.up.weight")))
    state[name][0, 0] = float("nan")
    save_file(state, path)
    model = engine("SD1.5")
    off = model.render(make_request()).image
    with pytest.raises(EngineError, match=r"nan\.safetensors is damaged: its layer .* has values that are no numbers"):
        model.use_loras((LoraFile(path),))
    assert psnr(model.render(make_request()).image, off) > 100


def test_one_in_fp8(tmp_path: Path) -> None:
    usual, small = unet_only("SD1.5", tmp_path / "usual.safetensors"), tmp_path / "small.safetensors"
    state = {name: value.to(torch.float8_e4m3fn) for name, value in load_file(usual).items()}
    save_file(state, small)
    save_file({name: value.float() for name, value in state.items()}, usual)
    assert_same_pictures("SD1.5", usual, small)


def without_rank(state: State) -> State:
    return {name: value[:0] if re.search("lora_A|down", name) else value[:, :0] for name, value in state.items()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: {}, "is of a kind that is not known here"),
        (without_rank, "do not fit together"),
        (lambda state: state | {"unet.conv_in.dora_scale": torch.zeros(1)}, "is damaged: of its layer unet.conv_in it"),
        (lambda state: state | {"unet.conv_in.on_input": torch.zeros(1)}, r"is an \(IA\)³ of LyCORIS or peft"),
        (
            lambda state: state | {"unet.conv_in.rescale": torch.zeros(1)},
            r"1 of its \d+ tensors, such as unet.conv_in.res",
        ),
        (lambda state: state | {"lora_unet_down_blocks_0_norm1.w_norm": torch.zeros(4)}, "norm"),
    ],
    ids=["empty", "rank 0", "half a DoRA", "IA3", "unknown", "norms"],
)
def test_what_is_no_plain_lora_says_what_it_is(tmp_path: Path, change: Callable[[State], State], words: str) -> None:
    path = unet_only("SD1.5", tmp_path / "odd.safetensors")
    save_file({name: value.clone() for name, value in change(load_file(path)).items()}, path)
    with pytest.raises(EngineError, match=words):
        engine("SD1.5").use_loras((LoraFile(path),))
