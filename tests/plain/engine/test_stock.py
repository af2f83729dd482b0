"""The engine against diffusers' own pipelines: same weights, noise and timesteps, at least 40 dB, fp32 on the CPU.

How a style maps to a stock call: ``StableDiffusionImg2ImgPipeline`` makes ``int(N * strength)`` UNet calls for N
``num_inference_steps``, we make ``steps``. With ``N = steps / strength`` (a whole number) both choose the same
timesteps of LCMScheduler's 50; any other style is reproduced by handing the stock pipeline our timesteps at its
strength 1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    LCMScheduler,
    StableDiffusionAdapterPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    T2IAdapter,
)
from numpy.typing import NDArray
from PIL import Image

from addon.wire import Request
from server.engine import ModelSpec, StableDiffusionLcm
from tests.plain.checkpoints import make_unet
from tests.plain.checkpoints_sdxl import make_controlnet
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import depth_picture

Model = Callable[..., Path]
Engine = Callable[..., StableDiffusionLcm]


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else 120.0


@functools.cache
def stock(kind: Any, folder: Path) -> Any:
    parts = {"adapter": T2IAdapter.from_pretrained(folder / "adapter")} if "Adapter" in kind.__name__ else {}
    pipeline = kind.from_pretrained(
        folder, safety_checker=None, feature_extractor=None, requires_safety_checker=False, **parts
    )
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    if (folder / "lcm-lora.safetensors").exists():
        pipeline.load_lora_weights(folder, weight_name="lcm-lora.safetensors")
    return pipeline


def common(request: Request) -> dict[str, Any]:
    style = request.style
    return {
        "prompt": style.prompt,
        "negative_prompt": style.negative_prompt,
        "guidance_scale": style.guidance,
        "generator": torch.Generator("cpu").manual_seed(style.seed),
    }


def stock_img2img(folder: Path, request: Request, **how: Any) -> NDArray[np.uint8]:
    pipeline = stock(StableDiffusionImg2ImgPipeline, folder)
    how.setdefault("image", Image.fromarray(request.frame.image))
    return np.asarray(pipeline(**common(request), **how).images[0])


def stock_txt2img(folder: Path, request: Request) -> NDArray[np.uint8]:
    style = request.style
    pipeline = stock(StableDiffusionPipeline, folder)
    size = {"height": style.height, "width": style.width}
    return np.asarray(pipeline(**common(request), num_inference_steps=style.steps, **size).images[0])


def stock_adapter(folder: Path, request: Request, **how: Any) -> NDArray[np.uint8]:
    pipeline = stock(StableDiffusionAdapterPipeline, folder)
    assert request.frame.inverse_depth is not None
    depth = Image.fromarray((request.frame.inverse_depth // 257).astype(np.uint8))
    weight = request.style.controls[0].weight
    return np.asarray(
        pipeline(
            image=depth if pipeline.adapter.config.in_channels == 1 else depth.convert("RGB"),
            adapter_conditioning_scale=weight,
            height=request.style.height,
            width=request.style.width,
            **{**common(request), **how},
        ).images[0]
    )


def assert_same(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> None:
    assert ours.shape == theirs.shape
    assert theirs.std() > 10, "a flat picture would equal any other"
    assert psnr(ours, theirs) >= 40


@pytest.mark.parametrize(("theirs", "strength", "steps"), [(4, 0.5, 2), (2, 0.5, 1), (8, 0.5, 4), (5, 0.8, 4)])
def test_img2img_as_the_stock_pipeline_counts(
    model: Model, engine: Engine, theirs: int, strength: float, steps: int
) -> None:
    request = make_request(strength=strength, steps=steps, seed=3)
    expected = stock_img2img(model(), request, num_inference_steps=theirs, strength=strength)
    assert_same(engine().render(request).image, expected)


@pytest.mark.parametrize(("strength", "steps"), [(0.1, 1), (0.1, 8), (0.33, 3), (0.6, 2), (0.95, 4)])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_img2img_at_any_strength(model: Model, engine: Engine, prediction: str, strength: float, steps: int) -> None:
    options = {"prediction": prediction}
    request = make_request(strength=strength, steps=steps, seed=11)
    timesteps = [step.timestep for step in engine(**options)._schedule.plan(steps, strength).steps]
    expected = stock_img2img(model(**options), request, timesteps=timesteps, strength=1.0)
    assert_same(engine(**options).render(request).image, expected)


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize(
    "options",
    [
        {"prediction": "epsilon"},
        {"prediction": "v_prediction"},
        {"prediction": "sample"},
        {"prediction": "v_prediction", "zero_snr": True},
        {"prediction": "epsilon", "clip_sample": True},
        {"scheduler": "DDIMScheduler"},
        {"guidance_input": 16},
    ],
    ids=str,
)
def test_txt2img_at_strength_1(model: Model, engine: Engine, options: dict[str, Any], steps: int) -> None:
    request = make_request(strength=1.0, steps=steps, seed=5, guidance=1.0)
    assert_same(engine(**options).render(request).image, stock_txt2img(model(**options), request))


def test_zero_terminal_snr_below_strength_1(model: Model, engine: Engine) -> None:
    options = {"prediction": "v_prediction", "zero_snr": True}
    request = make_request(strength=0.5, steps=2, seed=5)
    expected = stock_img2img(model(**options), request, num_inference_steps=4, strength=0.5)
    assert_same(engine(**options).render(request).image, expected)


@pytest.mark.parametrize("options", [{}, {"guidance_input": 16}], ids=str)
@pytest.mark.parametrize("negative", ["", "blurry, dark"])
def test_guidance_with_a_negative_prompt(model: Model, engine: Engine, options: dict[str, Any], negative: str) -> None:
    request = make_request(strength=0.5, steps=2, seed=8, guidance=3.5, negative_prompt=negative)
    expected = stock_img2img(model(**options), request, num_inference_steps=4, strength=0.5)
    assert_same(engine(**options).render(request).image, expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("weight", "guidance"), [(0.5, 1.0), (1.0, 1.0), (2.0, 2.0)])
def test_depth_control_at_strength_1(
    model: Model, engine: Engine, channels: int, weight: float, guidance: float
) -> None:
    request = make_request(weight, strength=1.0, steps=2, seed=21, guidance=guidance, negative_prompt="dark")
    expected = stock_adapter(model(adapter=channels), request, num_inference_steps=2)
    assert_same(engine(adapter=channels).render(request).image, expected)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_a_controlnet_beside_guidance_as_an_input(model: Model, tmp_path: Path, guidance: float) -> None:
    """A fully distilled LCM with a ControlNet of its base, which knows nothing of that input."""
    folder = model(guidance_input=16)
    make_controlnet(tmp_path / "control", make_unet())
    control = ControlNetModel.from_pretrained(tmp_path / "control")
    pipeline = StableDiffusionControlNetPipeline(
        **stock(StableDiffusionPipeline, folder).components, controlnet=control
    )
    pipeline.set_progress_bar_config(disable=True)
    request = make_request(1.0, strength=1.0, steps=2, seed=5, guidance=guidance)
    size = {"height": request.style.height, "width": request.style.width}
    expected = pipeline(**common(request), image=depth_picture(request), num_inference_steps=2, **size).images[0]
    engine = StableDiffusionLcm.load(ModelSpec(folder, control=tmp_path / "control"), "cpu", dtype=torch.float32)
    assert_same(engine.render(request).image, np.asarray(expected))


@pytest.mark.parametrize("size", [(64, 64), (104, 72)])
def test_depth_control_over_a_draft(model: Model, engine: Engine, size: tuple[int, int]) -> None:
    """No stock pipeline does both, but the adapter's takes a noisy latent and timesteps."""
    request = make_request(0.8, strength=0.6, steps=3, seed=2, width=size[0], height=size[1])
    folder = model()
    plan = engine()._schedule.plan(3, 0.6)
    pipeline = stock(StableDiffusionImg2ImgPipeline, folder)
    generator = torch.Generator("cpu").manual_seed(2)
    with torch.no_grad():
        latent = pipeline.vae.encode(pipeline.image_processor.preprocess(Image.fromarray(request.frame.image))).latents
    noise = torch.randn(latent.shape, generator=generator)
    noisy = pipeline.scheduler.add_noise(latent, noise, torch.tensor([plan.steps[0].timestep]))
    timesteps = [step.timestep for step in plan.steps]
    expected = stock_adapter(folder, request, latents=noisy, timesteps=timesteps, generator=generator)
    assert_same(engine().render(request).image, expected)


def test_full_autoencoder(model: Model, engine: Engine) -> None:
    """AutoencoderKL gives a distribution: we take its mode, so the stock pipeline is handed that as a latent."""
    request = make_request(strength=0.5, steps=2, seed=3)
    pipeline = stock(StableDiffusionImg2ImgPipeline, model(vae="kl"))
    with torch.no_grad():
        image = pipeline.image_processor.preprocess(Image.fromarray(request.frame.image))
        latent = pipeline.vae.encode(image).latent_dist.mode() * pipeline.vae.config.scaling_factor
    expected = stock_img2img(model(vae="kl"), request, image=latent, num_inference_steps=4, strength=0.5)
    assert_same(engine(vae="kl").render(request).image, expected)


@pytest.mark.parametrize("form", ["diffusers", "kohya"])
def test_lora(model: Model, engine: Engine, form: str) -> None:
    request = make_request(strength=0.5, steps=2, seed=3)
    with_lora = engine(lora=form).render(request).image
    assert_same(with_lora, stock_img2img(model(lora=form), request, num_inference_steps=4, strength=0.5))
    assert psnr(with_lora, engine().render(request).image) < 30


def test_lora_in_mixed_names_is_applied_as_a_whole(engine: Engine) -> None:
    request = make_request(strength=0.5, steps=2, seed=3)
    assert psnr(engine(lora="mixed").render(request).image, engine(lora="diffusers").render(request).image) > 60
