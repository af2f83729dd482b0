"""What a picture depends on and what it does not: seeds, steps, sizes, drafts, depth, caches, timings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from addon.wire import Control, Frame, Region
from server.engine import EngineError, Rendered, StableDiffusionLcm, default_model
from server.engine.rendered import STAGES
from tests.plain.engine.conftest import make_request

Engine = Callable[..., StableDiffusionLcm]


def picture(engine: StableDiffusionLcm, **options: Any) -> NDArray[np.uint8]:
    return engine.render(make_request(**options)).image


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_same_request_twice_gives_the_same_bits(model: Callable[..., Any], dtype: torch.dtype) -> None:
    first = StableDiffusionLcm.load(model(lora="kohya"), "cpu", dtype=dtype)
    one = picture(first, depth=1.0, strength=0.7, steps=3, seed=4)
    picture(first, depth=0.5, strength=0.2, steps=1, seed=5, prompt="something else")
    assert np.array_equal(picture(first, depth=1.0, strength=0.7, steps=3, seed=4), one)
    second = StableDiffusionLcm.load(model(lora="kohya"), "cpu", dtype=dtype)
    assert np.array_equal(picture(second, depth=1.0, strength=0.7, steps=3, seed=4), one)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"prompt": "a blue tower"},
        {"strength": 0.6},
        {"steps": 3},
        {"depth": 0.5},
        {"frame_seed": 1},
        {"guidance": 2.0},
        {"guidance": 2.0, "negative_prompt": "grey"},
    ],
    ids=str,
)
def test_everything_in_the_request_matters(engine: Engine, change: dict[str, Any]) -> None:
    base: dict[str, Any] = {"depth": 1.0, "strength": 0.8, "steps": 2, "seed": 1}
    assert not np.array_equal(picture(engine(), **base), picture(engine(), **{**base, **change}))


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0])
def test_guidance_up_to_1_is_off(engine: Engine, guidance: float) -> None:
    off = picture(engine(), strength=0.8, guidance=1.0)
    assert np.array_equal(picture(engine(), strength=0.8, guidance=guidance, negative_prompt="grey"), off)


def test_strength_1_ignores_the_drafts_colours_but_not_its_depth(engine: Engine) -> None:
    request = make_request(depth=1.0, strength=1.0)
    other = replace(request, frame=replace(request.frame, image=np.invert(request.frame.image)))
    assert np.array_equal(engine().render(request).image, engine().render(other).image)
    assert request.frame.inverse_depth is not None
    turned = replace(request, frame=replace(request.frame, inverse_depth=request.frame.inverse_depth[::-1].copy()))
    assert not np.array_equal(engine().render(request).image, engine().render(turned).image)


def test_a_lower_strength_keeps_more_of_the_draft(engine: Engine) -> None:
    """The noise that the UNet is given a share in replacing grows with the strength, and so does the change."""
    kept = make_request(strength=0.01, steps=1)
    base = engine().render(kept).image.astype(float)
    changes = [
        np.abs(picture(engine(), strength=strength, steps=1).astype(float) - base).mean()
        for strength in (0.1, 0.4, 0.9)
    ]
    assert changes == sorted(changes)
    assert changes[0] < changes[-1] / 2


@pytest.mark.parametrize("strength", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_steps_are_unet_calls_really_made(engine: Engine, strength: float, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    quick = engine()._pipeline.quick
    assert quick is not None
    seen: list[tuple[int, int]] = []

    def note(step: int, of: int) -> None:
        seen.append((step, of))

    monkeypatch.setattr(engine()._pipeline, "quick", lambda *given: calls.append(1) or quick(*given))
    for steps in range(1, 9):
        calls.clear()
        seen.clear()
        engine().render(make_request(strength=strength, steps=steps), note)
        assert len(calls) == steps
        assert seen == [(step, steps) for step in range(steps + 1)]


def test_the_adapter_and_the_text_encoder_run_once(engine: Engine) -> None:
    calls: list[str] = []
    adapter = engine()._pipeline.adapter
    encoder = engine()._text._encoders[0].text_encoder
    assert adapter is not None
    hooks = [
        adapter.register_forward_hook(lambda *_: calls.append("depth")),
        encoder.register_forward_hook(lambda *_: calls.append("text")),
        engine()._pipeline.vae.encoder.register_forward_hook(lambda *_: calls.append("encode")),
    ]
    try:
        request = make_request(depth=1.0, strength=0.5, steps=4, prompt="words never seen before")
        engine().render(request)
        assert sorted(calls) == ["depth", "encode", "text"]
        engine().render(request)
        assert sorted(calls[3:]) == ["depth", "encode"]
        engine().render(make_request(depth=0.0, strength=1.0, prompt="words never seen before"))
        assert len(calls) == 5
    finally:
        for hook in hooks:
            hook.remove()


def test_an_adapter_trained_on_our_planes_gets_them_as_they_are(model: Callable[..., Any], tmp_path: Path) -> None:
    """As the embedded model's is; the hub's get planes stretched to 0..1, in which a nearer background is the same."""
    ours = Path(shutil.copytree(model(), tmp_path / "model"))
    config = ours / "adapter" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "depth_range": "near"}))
    request = make_request(depth=1.0, strength=1.0)
    assert request.frame.inverse_depth is not None
    closer = 65535 - (65535 - request.frame.inverse_depth) // 2
    near = replace(request, frame=replace(request.frame, inverse_depth=closer))
    for folder, differs in ((ours, True), (model(), False)):
        loaded = StableDiffusionLcm.load(folder, "cpu", dtype=torch.float32)
        one, other = loaded.render(request).image.astype(float), loaded.render(near).image
        assert (np.abs(one - other).mean() > 1) == differs
    assert json.loads((default_model() / "adapter" / "config.json").read_text())["depth_range"] == "near"


def test_weight_0_is_no_control(engine: Engine) -> None:
    request = make_request(strength=0.8)
    none = engine().render(request).image
    zero = replace(request, style=replace(request.style, controls=(Control("depth", 0.0),)))
    assert np.array_equal(engine().render(zero).image, none)


@pytest.mark.parametrize("size", [(64, 64), (72, 104), (200, 64)])
def test_a_draft_of_any_size_gives_a_picture_of_the_size_asked_for(engine: Engine, size: tuple[int, int]) -> None:
    request = make_request(depth=1.0, side=96, strength=0.5)
    style = replace(request.style, width=size[0], height=size[1])
    result = engine().render(replace(request, style=style))
    assert result.image.shape == (size[1], size[0], 3)
    assert result.image.dtype == np.uint8


def test_a_larger_draft_is_filtered_not_sampled(engine: Engine) -> None:
    """Stripes one pixel wide become grey; a resize that picks pixels would show black or white."""
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[::2] = 255
    grey = np.full((64, 64, 3), 127, np.uint8)
    base = make_request(strength=0.1, steps=1)
    one = engine().render(replace(base, frame=Frame(0, stripes))).image.astype(float)
    other = engine().render(replace(base, frame=Frame(0, grey))).image.astype(float)
    assert np.abs(one - other).mean() < 3


def test_a_read_only_frame_is_left_alone_and_the_picture_is_the_callers(engine: Engine) -> None:
    request = make_request(strength=0.5)
    request.frame.image.flags.writeable = False
    before = request.frame.image.copy()
    one = engine().render(request).image
    kept = one.copy()
    picture(engine(), strength=0.5, seed=9, frame_seed=3)
    assert np.array_equal(one, kept)
    assert one.flags.writeable
    assert np.array_equal(request.frame.image, before)


def test_timings_name_every_stage(engine: Engine) -> None:
    result: Rendered = engine().render(make_request(depth=1.0, strength=0.5))
    steps = {name for name in result.timings if name.startswith("step ")}
    assert set(result.timings) == {*STAGES, *steps, "engine"} and steps == {"step 1", "step 2"}
    assert sum(result.timings[step] for step in steps) <= result.timings["unet"]
    assert all(value >= 0 for value in result.timings.values())
    assert all(result.timings[stage] > 0 for stage in ("upload", "encode", "depth", "unet", "decode"))
    assert sum(result.timings[stage] for stage in STAGES) <= result.timings["engine"]
    without = engine().render(make_request(strength=1.0))
    assert without.timings["engine"] > 0


def test_caches_stay_bounded(engine: Engine) -> None:
    for index in range(80):
        picture(engine(), strength=0.5, steps=1, seed=index, prompt=f"prompt {index}")
    assert len(engine()._inputs._recipes) <= 8
    assert len(engine()._text._kept) <= 64


def test_the_end_of_a_prompt_beyond_the_tokenizers_limit_still_counts(engine: Engine) -> None:
    long = "castle " * 100
    assert not np.array_equal(
        picture(engine(), prompt=long, strength=1.0), picture(engine(), prompt=long + "x", strength=1.0)
    )


def test_depth_control_without_an_adapter_is_a_clear_failure(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"depth.*has no depth adapter.*set the depth weight to 0") as caught:
        engine(adapter=None).render(make_request(depth=1.0))
    assert caught.value.code == "control_unsupported"
    assert picture(engine(adapter=None), strength=0.5).shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"panorama": True}, "unsupported", "does not support panorama yet: leave panorama out"),
        ({"regions": (Region(3, "a door"),)}, "unsupported", "does not support regions yet"),
        ({"style": "normals"}, "control_unsupported", "asks for normals control, but the model .* has no normals"),
        ({"style": "lines"}, "control_unsupported", "asks for lines control, but the model .* has no lines"),
    ],
)
def test_what_the_model_cannot_do_is_refused_by_code(
    engine: Engine, asked: dict[str, Any], code: str, words: str
) -> None:
    request = make_request(strength=0.5)
    image, depth = request.frame.image, request.frame.inverse_depth
    frame = replace(request.frame, ids=depth, normals=image)
    if "style" in asked:
        asked = {"style": replace(request.style, controls=(Control(asked["style"]),))}
    with pytest.raises(EngineError, match=words) as caught:
        engine().render(replace(request, **{"frame": frame, **asked}))
    assert caught.value.code == code
    assert engine().render(replace(request, frame=frame, after=7)).image.shape == (64, 64, 3)


def test_a_size_that_the_model_cannot_make_is_a_clear_failure(model: Callable[..., Any]) -> None:
    coarse = StableDiffusionLcm.load(model(adapter_downscale=16), "cpu", dtype=torch.float32)
    with pytest.raises(EngineError, match=r"width is 72.*multiple of 16.*use 64 or 80") as caught:
        coarse.render(make_request(strength=0.5, width=72))
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize("part", ["unet", "decoder"])
def test_numbers_that_are_none_are_told_not_shown(model: Callable[..., Any], part: str) -> None:
    broken = StableDiffusionLcm.load(model(vae="kl"), "cpu", dtype=torch.float32)
    damaged = broken._pipeline.unet if part == "unet" else broken._pipeline.vae.decoder
    with torch.no_grad():
        damaged.conv_out.bias.fill_(float("nan"))
    with pytest.raises(EngineError, match="no numbers") as caught:
        picture(broken, strength=0.5)
    assert caught.value.code == "model_failed"


def test_out_of_memory_is_told_and_survived(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(engine()._pipeline, "encode", full)
        with pytest.raises(EngineError, match=r"64 x 64.*smaller size") as caught:
            picture(engine(), strength=0.5)
    assert caught.value.code == "out_of_memory"
    assert picture(engine(), strength=0.5).shape == (64, 64, 3)


def test_closed_engines_hold_no_model(model: Callable[..., Any]) -> None:
    import gc
    import weakref

    engine = StableDiffusionLcm.load(model(), "cpu", dtype=torch.float32)
    unet = weakref.ref(engine._pipeline.unet)
    engine.close()
    gc.collect()
    assert unet() is None
