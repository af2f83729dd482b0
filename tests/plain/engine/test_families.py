"""SD1.5 and SDXL, with each control, against diffusers' own pipelines: at least 40 dB, fp32 on the CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from addon.wire import Request
from server.engine import EngineError
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, ask, assert_same, depth_picture, engine, place, psnr, stock

pytestmark = pytest.mark.parametrize("family", FAMILIES)

GUIDED = [(1.0, ""), (2.5, ""), (2.5, "blurry, dark")]


def half(**style: Any) -> Request:
    return make_request(**{"strength": 0.5, "steps": 2, "seed": 3, **style})


@pytest.mark.parametrize(("guidance", "negative"), GUIDED)
def test_img2img(family: str, guidance: float, negative: str) -> None:
    request = half(guidance=guidance, negative_prompt=negative)
    assert_same(engine(family).render(request).image, ask(stock(family, "Img2Img"), request))


@pytest.mark.parametrize("steps", [1, 4])
def test_txt2img(family: str, steps: int) -> None:
    request = make_request(strength=1.0, steps=steps, seed=5, width=96, height=64)
    assert_same(engine(family).render(request).image, ask(stock(family, ""), request))


@pytest.mark.parametrize("what", ["controlnet", "controlnet_file", "controlnet_own_names"])
@pytest.mark.parametrize(("guidance", "negative"), GUIDED)
@pytest.mark.parametrize("weight", [0.4, 2.0])
def test_img2img_with_a_controlnet(family: str, weight: float, guidance: float, negative: str, what: str) -> None:
    if what != "controlnet" and (weight > 1 or guidance > 1):
        pytest.skip("ControlNets in one file are the same once loaded")
    request = half(depth=weight, guidance=guidance, negative_prompt=negative)
    pipeline = stock(family, "ControlNetImg2Img")
    expected = ask(
        pipeline,
        request,
        control_image=depth_picture(request),
        controlnet_conditioning_scale=weight,
        height=64,
        width=64,
    )
    ours = engine(family, control=what).render(request).image
    assert_same(ours, expected)
    assert psnr(ours, engine(family).render(half(guidance=guidance, negative_prompt=negative)).image) < 30


@pytest.mark.parametrize(("guidance", "negative"), GUIDED)
@pytest.mark.parametrize("weight", [0.4, 2.0])
def test_txt2img_with_an_adapter(family: str, weight: float, guidance: float, negative: str) -> None:
    request = make_request(weight, strength=1.0, steps=2, seed=21, guidance=guidance, negative_prompt=negative)
    pipeline = stock(family, "Adapter")
    expected = ask(pipeline, request, image=depth_picture(request), adapter_conditioning_scale=weight)
    ours = engine(family, control="adapter").render(request).image
    assert_same(ours, expected)
    none = replace(request, style=replace(request.style, controls=()))
    assert psnr(ours, engine(family, control="adapter").render(none).image) < 30


def test_depth_without_a_background_spans_black_to_white(family: str) -> None:
    """As MiDaS' maps do, which those models were trained on: the farthest surface is black wherever it is."""
    request = make_request(1.0, strength=1.0, steps=2, seed=21)
    plane = request.frame.inverse_depth
    assert plane is not None
    low, high = int(plane.min()), int(plane.max())
    spread = ((plane.astype(np.int64) - low) * 65535 // (high - low)).astype(np.uint16)
    near = (65535 - (65535 - spread.astype(np.int64)) // 3).astype(np.uint16)  # a room: nothing beyond 3 x the nearest
    model = engine(family, control="adapter")
    far_apart = replace(request, frame=replace(request.frame, inverse_depth=spread))
    close_by = replace(request, frame=replace(request.frame, inverse_depth=near))
    assert psnr(model.render(close_by).image, model.render(far_apart).image) > 40
    flat = replace(request, frame=replace(request.frame, inverse_depth=np.full_like(plane, 65535)))
    assert model.render(flat).image.std() > 10


@pytest.mark.parametrize(("guidance", "negative"), [(1.0, ""), (2.5, "dark")])
@pytest.mark.parametrize("weight", [0.5, 1.0])
@pytest.mark.parametrize("form", ["ip", "ip_plus"])
def test_a_style_picture(family: str, form: str, weight: float, guidance: float, negative: str) -> None:
    request = half(guidance=guidance, negative_prompt=negative)
    picture = np.random.default_rng(8).integers(0, 256, (50, 70, 3), np.uint8)
    model = engine(family, ip_adapter=form)
    model.use_reference(picture, weight)
    ours = model.render(request).image
    model.use_reference(None)
    without = model.render(request).image
    path = place(family, form)
    pipeline = type(stock(family, "Img2Img")).from_pretrained(
        place(family, "tiny"), **({} if family == "SDXL" else {"safety_checker": None, "feature_extractor": None})
    )
    pipeline.scheduler = stock(family, "Img2Img").scheduler
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_ip_adapter(str(path.parent.parent), subfolder="models", weight_name=path.name)
    pipeline.set_ip_adapter_scale(weight)
    assert_same(ours, ask(pipeline, request, ip_adapter_image=Image.fromarray(picture)))
    assert_same(without, engine(family).render(request).image)
    assert psnr(ours, without) < 30


def test_a_style_picture_without_an_ip_adapter(family: str) -> None:
    with pytest.raises(EngineError, match=r"has no IP-Adapter: take the style picture away") as caught:
        engine(family).use_reference(np.zeros((8, 8, 3), np.uint8), 1.0)
    assert caught.value.code == "bad_request"
    engine(family).use_reference(None)


def test_a_checkpoint_in_one_file_is_the_model_that_it_was_made_from(family: str) -> None:
    request = half(prompt="an old stone castle, café, 2026")
    assert_same(engine(family, "checkpoint").render(request).image, engine(family, "model").render(request).image)


def test_a_checkpoint_in_one_file_with_a_tiny_autoencoder(family: str) -> None:
    from server.engine import ModelSpec, StableDiffusionLcm

    spec = ModelSpec(place(family, "checkpoint"), vae=place(family, "tiny") / "vae")
    request = half()
    ours = StableDiffusionLcm.load(spec, "cpu").render(request).image
    assert psnr(ours, engine(family, "checkpoint").render(request).image) < 30


def test_diffusers_reads_our_checkpoints_in_one_file(family: str) -> None:
    """So that the names in them are the original ones, and not only what our loader expects."""
    kind = type(stock(family, "", "model"))
    path, folder = place(family, "checkpoint"), place(family, "model")
    pipeline = kind.from_single_file(str(path), config=str(folder), local_files_only=True)
    pipeline.scheduler = stock(family, "", "model").scheduler
    pipeline.set_progress_bar_config(disable=True)
    request = make_request(strength=1.0, steps=2, seed=5)
    assert_same(engine(family, "checkpoint").render(request).image, ask(pipeline, request))
