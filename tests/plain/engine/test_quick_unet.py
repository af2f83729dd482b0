"""The UNet's quick forward against diffusers' own, in fp32: the same numbers but for rounding."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel

from server.engine.acceleration.quick_unet import quicken_control, quicken_unet
from server.engine.loading.controls import load_ip_adapter
from tests.plain.checkpoints import make_unet
from tests.plain.checkpoints_sdxl import make_ip_adapter, make_whole_unet


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def pair(unet: Any) -> tuple[Any, Any]:
    """``unet`` as it is, and what computes a copy of it from the same inputs, made anew each time."""
    unet.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    copied = copy.deepcopy(unet)
    quick = quicken_unet(copied)
    assert quick is not None

    def compute(**given: Any) -> tuple[torch.Tensor]:
        added = given.get("added_cond_kwargs") or {}
        shifts = quick.shifts(
            given["timestep"], added.get("text_embeds"), added.get("time_ids"), given.get("timestep_cond")
        )
        pictures = added.get("image_embeds")
        features = given.get("down_intrablock_additional_residuals") or ()
        down = given.get("down_block_additional_residuals")
        return (
            quick(
                given["sample"],
                shifts,
                quick.keys(given["encoder_hidden_states"]),
                None if pictures is None else quick.picture_keys(pictures[0]),
                features,
                () if down is None else (*down, given["mid_block_additional_residual"]),
            ),
        )

    compute.unet = copied  # type: ignore[attr-defined]
    return unet, compute


def inputs(unet: Any, rows: int = 1, height: int = 16, width: int = 16, timestep: int = 499) -> dict[str, Any]:
    given: dict[str, Any] = {
        "sample": torch.randn(rows, 4, height, width),
        "timestep": torch.tensor(timestep),
        "encoder_hidden_states": torch.randn(rows, 77, unet.config.cross_attention_dim),
        "return_dict": False,
    }
    if unet.config.addition_embed_type is not None:
        width = unet.config.projection_class_embeddings_input_dim - 6 * unet.config.addition_time_embed_dim
        times = torch.tensor([[128.0, 128, 0, 0, 128, 128]] * rows)
        given["added_cond_kwargs"] = {"text_embeds": torch.randn(rows, width), "time_ids": times}
    return given


def same(one: Any, other: Any, given: dict[str, Any]) -> None:
    """Both give the same."""
    expected = one(**given)[0]
    assert expected.std() > 1e-3
    torch.testing.assert_close(other(**given)[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["SD1.5", "SDXL"])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (9, 13)])
def test_the_same_output(family: str, rows: int, height: int, width: int) -> None:
    unet, quick = pair(make_whole_unet(family))
    for timestep in (499, 19):
        same(unet, quick, inputs(unet, rows, height, width, timestep))


def test_without_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.engine.acceleration.packed.LARGEST_PACKED", 0)
    unet, quick = pair(make_whole_unet("SDXL"))
    same(unet, quick, inputs(unet))


@pytest.mark.parametrize("family", ["SD1.5", "SDXL"])
def test_with_an_adapters_features(family: str) -> None:
    unet, quick = pair(make_whole_unet(family))
    given = inputs(unet)
    sides = {"SD1.5": (16, 8), "SDXL": (8, 8, 4)}[family]  # after the convolution between levels, where there is one
    widths = unet.config.block_out_channels
    features = [torch.randn(1, width, side, side) for width, side in zip(widths, sides, strict=True)]
    expected = unet(**given, down_intrablock_additional_residuals=list(features))[0]
    result = quick(**given, down_intrablock_additional_residuals=list(features))[0]
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)
    assert (expected - unet(**given)[0]).abs().max() > 1e-2


def test_with_a_controlnets_residuals() -> None:
    unet, quick = pair(make_unet())
    given = inputs(unet)
    down = tuple(torch.randn(1, width, side, side) for width, side in ((32, 16), (32, 16), (32, 8), (64, 8)))
    given |= {"down_block_additional_residuals": down, "mid_block_additional_residual": torch.randn(1, 64, 8, 8)}
    same(unet, quick, given)


def test_with_the_guidance_as_an_input() -> None:
    unet, quick = pair(make_unet(guidance_input=32))
    same(unet, quick, {**inputs(unet), "timestep_cond": torch.randn(1, 32)})


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "name",
    ["conv_in", *(f"mid_block.attentions.0.transformer_blocks.0.{each}" for each in ("attn1.to_k", "attn2.to_k"))],
)
def test_weights_changed_in_place_count_at_once(name: str, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not packed:
        monkeypatch.setattr("server.engine.acceleration.packed.LARGEST_PACKED", 0)
    unet, quick = pair(make_unet())
    given = inputs(unet)
    before = unet(**given)[0]
    same(unet, quick, given)
    for model in (unet, quick.unet):
        model.get_submodule(name).weight.mul_(1.5)
    assert (unet(**given)[0] - before).abs().max() > 1e-3
    same(unet, quick, given)


def test_the_modules_weights_stay_their_own() -> None:
    """Attention's three products are one; what diffusers saves and peft finds is as it was."""
    unet, quick = pair(make_unet())
    for name, weight in unet.state_dict().items():
        assert torch.equal(quick.unet.state_dict()[name], weight)
    torch.testing.assert_close(quick.unet(**inputs(unet))[0].shape, (1, 4, 16, 16))


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("weight", [0.6, 1.0])
def test_a_style_picture_with_its_weight(rows: int, weight: float, tmp_path: Path) -> None:
    unet = make_unet()
    adapter = make_ip_adapter(tmp_path / "ip", unet)
    load_ip_adapter(unet, adapter, adapter.parent / "image_encoder", torch.float32)
    for processor in unet.attn_processors.values():
        if hasattr(processor, "to_k_ip"):
            processor.scale = [weight]
    unet, quick = pair(unet)
    given = inputs(unet, rows)
    width = unet.encoder_hid_proj.image_projection_layers[0].image_embeds.in_features
    given["added_cond_kwargs"] = {"image_embeds": [torch.randn(rows, 1, width)]}
    same(unet, quick, given)


@pytest.mark.parametrize("family", ["SD1.5", "SDXL"])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("packed", [True, False])
def test_a_controlnet(family: str, rows: int, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not packed:
        monkeypatch.setattr("server.engine.acceleration.packed.LARGEST_PACKED", 0)
    unet = make_whole_unet(family)
    control = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 16, 16))
    for weight in control.parameters():  # a new one is all zeros at its end
        torch.nn.init.normal_(weight, std=0.2)
    control.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    quick = quicken_control(copy.deepcopy(control))
    assert quick is not None
    given, plane, weight = inputs(unet, rows), torch.rand(rows, 1, 128, 128), torch.tensor(0.7)
    plane = plane.expand(-1, 3, -1, -1)
    down, middle = control(**given, controlnet_cond=plane, conditioning_scale=weight)
    added = given.get("added_cond_kwargs") or {}
    shifts = quick.shifts(given["timestep"], added.get("text_embeds"), added.get("time_ids"), None)
    keys = quick.keys(given["encoder_hidden_states"])
    residuals = quick(given["sample"], shifts, keys, quick.encode(plane), weight)
    for one, other in zip((*down, middle), residuals, strict=True):
        assert one.std() > 1e-3
        torch.testing.assert_close(other / one.std(), one / one.std(), rtol=1e-3, atol=1e-3)


def test_what_is_not_known_is_left_alone() -> None:
    scaled = {
        "resnet_time_scale_shift": "scale_shift",
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "norm_num_groups": 8,
    }
    assert quicken_unet(UNet2DConditionModel(**scaled)) is None
    odd = make_unet()
    odd.mid_block.attentions[0].transformer_blocks[0].attn2.processor = object()
    assert quicken_unet(odd) is None
