"""LoRAs of every trainer's naming, with every part, alpha and precision: exact, or refused in a true sentence."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from server.engine import EngineError, LoraFile
from server.engine.loras.merge import LoraStack
from tests.plain.checkpoints import text_config
from tests.plain.checkpoints_original import original_unet_name
from tests.plain.checkpoints_sdxl import SECOND_TEXT, TEXT, make_whole_unet
from tests.plain.engine.families import FAMILIES
from tests.plain.pairwise import product

State = dict[str, torch.Tensor]
RANK = 4


@functools.cache
def modules(family: str) -> dict[str, Any]:
    """UNet and text encoders of ``family`` in small, by diffusers' names; a test leaves their weights as they were."""
    torch.manual_seed(0)
    parts: dict[str, Any] = {"unet": make_whole_unet(family), "text_encoder": CLIPTextModel(text_config(99, TEXT, 1))}
    if family == "SDXL":
        parts["text_encoder_2"] = CLIPTextModelWithProjection(text_config(99, SECOND_TEXT, 2))
    return {name: part.requires_grad_(False) for name, part in parts.items()}


@functools.cache
def layers(family: str) -> dict[tuple[str, str], torch.nn.Module]:
    """What a LoRA may change of ``family``: its linear layers and convolutions, by part and name."""
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    found = {(part, name): m for part, whole in modules(family).items() for name, m in whole.named_modules()}
    return {place: module for place, module in found.items() if isinstance(module, kinds)}


def changed(family: str, path: Path, weight: float = 1.0) -> State:
    """What the product adds to each weight of ``family`` for the LoRA ``path``, by part and name."""
    parts = modules(family)
    before = {f"{part}.{n}": p.clone() for part, whole in parts.items() for n, p in whole.named_parameters()}
    stack = LoraStack("small", parts["unet"], [whole for name, whole in parts.items() if name != "unet"])
    stack.use([LoraFile(path, weight)])
    after = {f"{part}.{n}": p.clone() for part, whole in parts.items() for n, p in whole.named_parameters()}
    stack.use([])
    return {name: after[name] - before[name] for name in after if not torch.equal(after[name], before[name])}


def assert_added(got: State, wanted: State, close: float = 1e-5) -> None:
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        assert (got[name] - value).abs().max() <= close * max(1.0, float(value.abs().max())), name


def original(family: str, name: str) -> str:
    config = modules(family)["unet"].config
    crossed = {index for index, kind in enumerate(config.up_block_types) if kind.startswith("Cross")}
    return original_unet_name(name, config.layers_per_block, crossed)


def number(part: str, family: str) -> str:
    return "" if family == "SD1.5" else "2" if part.endswith("2") else "1"


def kohya(part: str, name: str, family: str) -> str:
    if part == "unet":
        name = original(family, name) if family == "SDXL" else name
        return f"lora_unet_{name.replace('.', '_')}"
    return f"lora_te{number(part, family)}_text_model_{name.removeprefix('text_model.').replace('.', '_')}"


def mixed(part: str, name: str, family: str) -> str:
    flat = (original(family, name) if "attentions" in name else name).replace(".", "_")
    return f"lora_unet_{flat}" if part == "unet" else kohya(part, name, family)


def one_trainer(part: str, name: str, family: str) -> str:
    return f"lora_unet_{name.replace('.', '_')}" if part == "unet" else kohya(part, name, family)


def comfy(part: str, name: str, family: str) -> str:
    if part == "unet":
        return f"diffusion_model.{original(family, name)}"
    return f"text_encoders.clip_{'g' if part.endswith('2') else 'l'}.transformer.text_model.{bare(name)}"


def short_comfy(part: str, name: str, family: str) -> str:
    return comfy(part, name, family).removeprefix("text_encoders.").replace("diffusion_model", "model.diffusion_model")


def bare(name: str) -> str:
    return name.removeprefix("text_model.")


def diffusers(part: str, name: str, family: str) -> str:
    return f"{part}.{name}" if part == "unet" else f"{part}.text_model.{bare(name)}"


NAMINGS: dict[str, tuple[Callable[[str, str, str], str], str, str]] = {
    "kohya": (kohya, "lora_down.weight", "lora_up.weight"),
    "both namings in one file": (mixed, "lora_down.weight", "lora_up.weight"),
    "OneTrainer": (one_trainer, "lora_down.weight", "lora_up.weight"),
    "LyCORIS": (
        lambda *of: kohya(*of).replace("lora_unet", "lycoris_unet", 1),
        "lora_down.weight",
        "lora_up.weight",
    ),
    "ComfyUI": (comfy, "lora_down.weight", "lora_up.weight"),
    "ComfyUI, short": (short_comfy, "lora_A.weight", "lora_B.weight"),
    "diffusers": (diffusers, "lora_A.weight", "lora_B.weight"),
    "diffusers, older": (diffusers, "lora.down.weight", "lora.up.weight"),
    "diffusers, with kohya's ends": (diffusers, "lora_down.weight", "lora_up.weight"),
    "peft": (lambda *of: f"base_model.model.{diffusers(*of)}", "lora_A.weight", "lora_B.weight"),
    "peft within": (
        lambda *of: diffusers(*of).replace(".", ".base_model.model.", 1),
        "lora_A.default.weight",
        "lora_B.default.weight",
    ),
    "by number": (
        lambda p, n, f: (
            f"lora_te_{int(p.endswith('2'))}_text_model_{bare(n).replace('.', '_')}" if p != "unet" else kohya(p, n, f)
        ),
        "lora_down.weight",
        "lora_up.weight",
    ),
}
PRECISIONS = (torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn)
AXES: dict[str, list[Any]] = {
    "family": list(FAMILIES),
    "naming": list(NAMINGS),
    "parts": ["all", "unet", "text_encoder"],
    "alpha": [None, 1.0, 16.0],
    "dtype": list(PRECISIONS),
}


def write(path: Path, family: str, naming: str, parts: str, alpha: float | None, dtype: torch.dtype) -> State:
    """Write a LoRA of all layers; returns what it adds to each weight."""
    torch.manual_seed(1)
    name_of, down_end, up_end = NAMINGS[naming]
    state, wanted = {}, {}
    for (part, name), module in layers(family).items():
        if parts not in ("all", part):
            continue
        weight: Any = module.weight
        down = (torch.randn(RANK, *weight.shape[1:]) * 0.3).to(dtype)
        up = (torch.randn(weight.shape[0], RANK, *[1] * (weight.ndim - 2)) * 0.3).to(dtype)
        key = name_of(part, name, family)
        state |= {f"{key}.{down_end}": down, f"{key}.{up_end}": up}
        if alpha is not None:
            state[f"{key}.alpha"] = torch.tensor(alpha)
        product = up.double().flatten(1) @ down.double().flatten(1)
        wanted[f"{part}.{name}.weight"] = (product * (1 if alpha is None else alpha / RANK)).reshape(weight.shape)
    save_file(state, path)
    return wanted


@pytest.mark.parametrize(tuple(AXES), product(AXES))
def test_every_layer_is_changed_exactly(
    family: str, naming: str, parts: str, alpha: float | None, dtype: torch.dtype, tmp_path: Path
) -> None:
    path = tmp_path / "lora.safetensors"
    wanted = write(path, family, naming, parts, alpha, dtype)
    if (family, parts) == ("SDXL", "text_encoder") and not says_sdxl(naming):
        with pytest.raises(EngineError, match="have in common, and does not say which of them it was made for"):
            changed(family, path)
        return
    assert_added(changed(family, path), wanted)


def says_sdxl(naming: str) -> bool:
    """Whether the name of a layer of the first text encoder is another in SDXL's LoRAs than in SD1.5's."""
    return "te1" in NAMINGS[naming][0]("text_encoder", "a", "SDXL")


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize(("made", "used"), [("SD1.5", "SDXL"), ("SDXL", "SD1.5")])
@pytest.mark.parametrize("parts", ["all", "unet", "text_encoder"])
def test_one_for_the_other_family_is_refused(naming: str, made: str, used: str, parts: str, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    write(path, made, naming, parts, 4.0, torch.float16)
    if (made, parts) == ("SDXL", "text_encoder") and not says_sdxl(naming):
        assert changed(used, path), "nothing in it says that it is not SD1.5's"
        return
    with pytest.raises(EngineError, match=r"made for another base model|says? which of them it was made for") as caught:
        changed(used, path)
    assert "other.safetensors" in str(caught.value)


def test_a_text_encoder_alone_is_taken_by_the_family_that_the_metadata_name(tmp_path: Path) -> None:
    path = tmp_path / "words.safetensors"
    wanted = write(path, "SDXL", "diffusers", "text_encoder", 4.0, torch.float32)
    save_file(load_file(path), path, {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"})
    assert_added(changed("SDXL", path), wanted)
    with pytest.raises(EngineError, match="made for another base model, SDXL: it changes a text encoder alone"):
        changed("SD1.5", path)


def names_with(family: str, kind: type) -> Iterator[tuple[str, Any]]:
    whole: UNet2DConditionModel = modules(family)["unet"]
    yield from ((name, module) for name, module in whole.named_modules() if isinstance(module, kind))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("ends", [("diff", "diff_b"), ("w_norm", "b_norm")])
def test_norms_and_biases_are_changed_as_comfyui_and_lycoris_write_them(
    family: str, ends: tuple[str, str], tmp_path: Path
) -> None:
    torch.manual_seed(2)
    state, wanted = {}, {}
    for kind in (torch.nn.LayerNorm, torch.nn.GroupNorm):
        for name, module in names_with(family, kind):
            key = f"diffusion_model.{original(family, name)}" if ends[0] == "diff" else kohya("unet", name, family)
            for end, side in zip(ends, ("weight", "bias"), strict=True):
                state[f"{key}.{end}"] = wanted[f"unet.{name}.{side}"] = torch.randn_like(getattr(module, side))
    save_file(state, tmp_path / "norms.safetensors")
    assert_added(changed(family, tmp_path / "norms.safetensors"), wanted)
    half = changed(family, tmp_path / "norms.safetensors", 0.5)
    assert_added(half, {name: value / 2 for name, value in wanted.items()})


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("lora_unet_conv_in.diff_c", r"1 of its 3 tensors, such as lora_unet_conv_in\.diff_c, are of a kind"),
        ("lora_unet_no_such_thing.lora_down.weight", r"1 of its 2 layers, such as lora_unet_no_such_thing, have names"),
        (
            "lora_unet_down_blocks_9_resnets_0_conv1.diff",
            r"another base model.*1 of its 2 layers, such as .*are not in",
        ),
        ("lora_unet_double_blocks_0_img_mlp_0.diff", "made for another base model, Flux: it changes the layer"),
        ("lora_unet_mid_block_attentions_0_proj_in.diff", "is 1 wide, the model's"),
    ],
)
def test_what_is_left_over_is_counted_and_said(odd: str, words: str, tmp_path: Path) -> None:
    state = {"lora_unet_conv_in.lora_down.weight": torch.ones(1, 4, 3, 3)}
    state |= {"lora_unet_conv_in.lora_up.weight": torch.ones(32, 1, 1, 1), odd: torch.ones(1)}
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(EngineError, match=words):
        changed("SD1.5", tmp_path / "odd.safetensors")


@pytest.mark.parametrize(
    ("alpha", "dtype", "words"),
    [
        (torch.tensor(torch.nan), torch.float32, "the alpha of its layer lora_unet_conv_in is nan, but must be one"),
        (torch.tensor(-torch.inf), torch.float32, "is -inf, but must be one number"),
        (torch.ones(2), torch.float32, r"is \[1\.0, 1\.0\], but must be one number"),
        (torch.tensor(0.0), torch.float32, "changes nothing: the alpha of each of its layers is 0"),
        (torch.tensor(1.0), torch.int8, "2 of its 3 tensors, such as .*, are of a kind that is not known here"),
    ],
)
def test_what_scales_nothing_or_to_no_number_is_said(
    alpha: torch.Tensor, dtype: torch.dtype, words: str, tmp_path: Path
) -> None:
    state = {"lora_unet_conv_in.lora_down.weight": torch.ones(1, 4, 3, 3, dtype=dtype)}
    state |= {"lora_unet_conv_in.lora_up.weight": torch.ones(32, 1, 1, 1, dtype=dtype)}
    save_file(state | {"lora_unet_conv_in.alpha": alpha}, tmp_path / "odd.safetensors")
    with pytest.raises(EngineError, match=words):
        changed("SD1.5", tmp_path / "odd.safetensors")


def test_a_layer_under_two_names_is_said(tmp_path: Path) -> None:
    state = {f"{name}.diff": torch.ones(32, 4, 3, 3) for name in ("lora_unet_conv_in", "unet.conv_in")}
    save_file(state, tmp_path / "twice.safetensors")
    with pytest.raises(EngineError, match=r"the layer conv_in twice, as lora_unet_conv_in and unet\.conv_in"):
        changed("SD1.5", tmp_path / "twice.safetensors")
