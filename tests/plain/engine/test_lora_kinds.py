"""LoRA, LoHa, LoKr and DoRA as peft and diffusers save them, against their own sums; LyCORIS' by its formulas."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.training_utils import _collate_lora_metadata
from diffusers.utils.state_dict_utils import convert_state_dict_to_diffusers
from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from server.engine import EngineError
from tests.plain.engine.test_lora_matrix import State, assert_added, changed, kohya, modules

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
ALL = [*ATTENTION, "conv1", "conv2", "time_emb_proj"]
CONFIGS: dict[str, Any] = {
    "LoRA": LoraConfig(r=4, lora_alpha=16, target_modules=ALL),
    "alpha of some": LoraConfig(r=4, lora_alpha=4, target_modules=ALL, alpha_pattern={"attn2.to_k": 16, "conv1": 1}),
    "rank of some": LoraConfig(r=4, lora_alpha=4, target_modules=ALL, rank_pattern={r".*mid.*to_q": 8, "to_v": 2}),
    "rank stabilised": LoraConfig(r=16, lora_alpha=8, target_modules=ALL, use_rslora=True),
    "DoRA": LoraConfig(r=4, lora_alpha=8, target_modules=ALL, use_dora=True),
    "with biases": LoraConfig(r=4, lora_alpha=8, target_modules=["to_out.0", "conv1"], lora_bias=True),
    "and whole layers": LoraConfig(r=4, lora_alpha=8, target_modules=ATTENTION, modules_to_save=["conv_out"]),
    "LoHa": LoHaConfig(r=4, alpha=8, target_modules=ALL),
    "LoHa of kernels": LoHaConfig(r=4, alpha=8, target_modules=ALL, use_effective_conv2d=True),
    "LoKr": LoKrConfig(r=4, alpha=8, target_modules=ALL),
    "LoKr, whole halves": LoKrConfig(r=64, alpha=8, target_modules=ALL),
    "LoKr, both in parts": LoKrConfig(r=2, alpha=8, target_modules=ALL, decompose_both=True, decompose_factor=8),
    "LoKr of kernels": LoKrConfig(r=2, alpha=8, target_modules=ALL, use_effective_conv2d=True),
}


def trained(module: Any) -> None:
    """As if ``module``, whose second halves peft begins with zeros, had been trained."""
    torch.manual_seed(3)
    for name, weight in module.named_parameters():
        if "lora_" in name or "hada_" in name or "lokr_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(weight, std=0.2)
        if "magnitude" in name:
            weight.data.abs_().add_(0.5)


def fresh() -> UNet2DConditionModel:
    unet = UNet2DConditionModel.from_config(modules("SD1.5")["unet"].config)
    unet.load_state_dict(modules("SD1.5")["unet"].state_dict())
    return unet


def merged(peft: Any) -> State:
    """What peft itself adds to each weight."""
    before = modules("SD1.5")["unet"].state_dict()
    after = peft.merge_and_unload().state_dict()
    return {f"unet.{name}": value - before[name] for name, value in after.items() if not value.equal(before[name])}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_folder_of_peft_is_what_peft_makes_of_it(kind: str, tmp_path: Path) -> None:
    peft = get_peft_model(fresh(), CONFIGS[kind])
    trained(peft)
    peft.save_pretrained(tmp_path)
    assert_added(changed("SD1.5", tmp_path / "adapter_model.safetensors"), merged(peft))


@pytest.mark.parametrize("kind", ["LoRA", "alpha of some", "rank of some", "rank stabilised", "DoRA", "with biases"])
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_files_of_diffusers_are_what_diffusers_makes_of_them(kind: str, weight: float, tmp_path: Path) -> None:
    unet = fresh()
    unet.add_adapter(CONFIGS[kind])
    trained(unet)
    path = tmp_path / "pipeline.safetensors"
    StableDiffusionPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers=convert_state_dict_to_diffusers(get_peft_model_state_dict(unet)),
        weight_name=path.name,
        **_collate_lora_metadata({"unet": unet}),
    )
    unet.save_lora_adapter(tmp_path, weight_name="alone.safetensors")
    stock = fresh()
    stock.load_lora_adapter(tmp_path, weight_name="alone.safetensors", prefix=None)
    stock.fuse_lora(lora_scale=weight)
    stock.unload_lora()
    before = fresh().state_dict()
    wanted = {f"unet.{n}": v - before[n] for n, v in stock.state_dict().items() if not v.equal(before[n])}
    for name in (path.name, "alone.safetensors"):
        assert_added(changed("SD1.5", tmp_path / name, weight), wanted)


def layers_of_lycoris(kind: str) -> Iterator[tuple[str, State, torch.Tensor]]:
    """A layer's name, its factors as LyCORIS names them, and what they add: written out, index by index."""
    for name in ("down_blocks.0.resnets.0.conv1", "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"):
        weight = modules("SD1.5")["unet"].get_submodule(name).weight
        rows, columns, kernel = weight.shape[0], weight.shape[1], weight.shape[2:]
        core = kernel or (1, 1)
        of: State
        if kind == "LoCon with its core":
            of = {"lora_up.weight": torch.randn(rows, 4, 1, 1), "lora_mid.weight": torch.randn(4, 4, *core)}
            of["lora_down.weight"] = torch.randn(4, columns, 1, 1)
            up, down = of["lora_up.weight"][..., 0, 0], of["lora_down.weight"][..., 0, 0]
            added = torch.zeros(rows, columns, *core)
            for i, j in itertools.product(range(4), range(4)):
                outer = up[:, i, None] * down[j, None, :]
                added += outer[:, :, None, None] * of["lora_mid.weight"][i, j] * (2.0 / 4)
        elif kind == "LoHa":
            inner = columns * kernel.numel()
            of = {
                f"hada_w{n}_{side}": torch.randn(*s) for n in "12" for side, s in (("a", (rows, 4)), ("b", (4, inner)))
            }
            one, other = (of[f"hada_w{n}_a"] @ of[f"hada_w{n}_b"] for n in "12")
            # once, as LyCORIS' forward has it, with which it was trained; its get_merged_weight (4.1.3) scales twice
            added = one * other * (2.0 / 4)
        elif kind == "LoKr":
            of = {"lokr_w1": torch.randn(4, 8), "lokr_w2": torch.randn(rows // 4, columns // 8, *kernel)}
            big = of["lokr_w1"].reshape(4, 1, 8, 1, *[1] * len(kernel)) * of["lokr_w2"][None, :, None]
            added = big  # an alpha beside whole halves does not scale
        else:
            of = {"lora_up.weight": torch.randn(rows, 4), "lora_down.weight": torch.randn(4, columns, *kernel)}
            moved = weight + (of["lora_up.weight"] @ of["lora_down.weight"].flatten(1)).reshape(weight.shape) * (
                2.0 / 4
            )
            by_rows = kind == "DoRA by outputs"
            of["dora_scale"] = torch.rand(*((rows, 1) if by_rows else (1, columns)), *[1] * len(kernel)) + 0.5
            over = tuple(d for d in range(weight.ndim) if d != (0 if by_rows else 1))
            added = of["dora_scale"] * moved / moved.square().sum(over, keepdim=True).sqrt() - weight
        yield name, of, added.reshape(weight.shape)


@pytest.mark.parametrize("kind", ["LoCon with its core", "LoHa", "LoKr", "DoRA by outputs", "DoRA by inputs"])
def test_lycoris_adds_what_its_formulas_say(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    state, wanted = {}, {}
    for name, of, added in layers_of_lycoris(kind):
        key = kohya("unet", name, "SD1.5")
        state |= {f"{key}.{end}": value.contiguous() for end, value in of.items()} | {f"{key}.alpha": torch.tensor(2.0)}
        wanted[f"unet.{name}.weight"] = added
    save_file(state, tmp_path / "lycoris.safetensors")
    assert_added(changed("SD1.5", tmp_path / "lycoris.safetensors"), wanted)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"r": "four"}, "says that r is 'four', but it must be a number"),
        ({"r": 0}, "says that r is 0, but it must be above 0"),
        ({"alpha_pattern": {"(": 2}}, r"the alpha_pattern of its config has '\(', which is no pattern"),
        ({"peft_type": "OFT"}, "it is 'OFT' of peft, of which LORA, LOHA and LOKR can be used"),
        ({"init_lora_weights": "pissa_niter_4"}, "begun by 'pissa_niter_4', which changes the model's own weights"),
    ],
)
def test_odd_configs_are_said(said: dict[str, Any], words: str, tmp_path: Path) -> None:
    peft = get_peft_model(fresh(), CONFIGS["LoRA"])
    peft.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | said))
    with pytest.raises(EngineError, match=words):
        changed("SD1.5", tmp_path / "adapter_model.safetensors")


def test_an_adapters_own_name_within_is_no_layer(tmp_path: Path) -> None:
    """As in a state dict that was saved without peft's own function for it."""
    peft = get_peft_model(fresh(), CONFIGS["DoRA"])
    trained(peft)
    peft.save_pretrained(tmp_path)
    state = load_file(tmp_path / "adapter_model.safetensors")
    for end in ("lora_A", "lora_B", "lora_magnitude_vector"):
        state = {name.replace(end, f"{end}.mine"): value for name, value in state.items()}
    save_file(state, tmp_path / "adapter_model.safetensors")
    assert_added(changed("SD1.5", tmp_path / "adapter_model.safetensors"), merged(peft))
