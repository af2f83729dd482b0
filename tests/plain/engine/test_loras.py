"""LoRAs, off, on, at half their weight, two at once, and changed while live, against diffusers' own pipelines."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from addon.wire import Request
from server.engine import EngineError, LoraFile, ModelSpec, StableDiffusionLcm
from server.engine.loras.merge import REST, _Change
from tests.plain.checkpoints_lora import FORMS, write_user_lora
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, ask, assert_same, engine, place, psnr, stock

FAMILY_AND_FORM = [(family, form) for family in FAMILIES for form in FORMS if (family, form) != ("SD1.5", "sgm")]


@functools.cache
def lora(family: str, form: str, seed: int = 1) -> Path:
    pipeline = stock(family, "Img2Img")
    encoders = [pipeline.text_encoder, *([pipeline.text_encoder_2] if family == "SDXL" else [])]
    folder = place(family, "tiny").parent
    return write_user_lora(folder / f"{form}-{seed}.safetensors", pipeline.unet, encoders, form, seed=seed)


def request(**style: Any) -> Request:
    return make_request(**{"strength": 0.5, "steps": 2, "seed": 3, **style})


@pytest.fixture
def live() -> Iterator[Any]:
    """live(family) -> a model without LoRAs, which gets rid of them afterwards."""
    used: list[StableDiffusionLcm] = []

    def get(family: str) -> StableDiffusionLcm:
        used.append(engine(family))
        return used[-1]

    yield get
    for model in used:
        model.use_loras(())


def expected(family: str, *loras: tuple[Path, float]) -> Any:
    pipeline = stock(family, "Img2Img")
    names = []
    for index, (path, _) in enumerate(loras):
        names.append(f"lora{index}")
        pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name=names[-1])
    if loras:
        pipeline.set_adapters(names, [weight for _, weight in loras])
    try:
        return ask(pipeline, request())
    finally:
        pipeline.unload_lora_weights()


@pytest.mark.parametrize(("family", "form"), FAMILY_AND_FORM)
def test_on_off_and_half(live: Any, family: str, form: str) -> None:
    model, path = live(family), lora(family, form)
    off = model.render(request()).image
    for weight in (1.0, 0.5):
        model.use_loras((LoraFile(path, weight),))
        ours = model.render(request()).image
        assert_same(ours, expected(family, (path, weight)))
        assert psnr(ours, off) < 35
    model.use_loras((LoraFile(path, 0.0),))
    assert np.array_equal(model.render(request()).image, off)
    assert_same(off, expected(family))


@pytest.mark.parametrize("family", FAMILIES)
def test_two_at_once(live: Any, family: str) -> None:
    model, one, other = live(family), lora(family, "kohya"), lora(family, "diffusers", seed=7)
    off = model.render(request()).image
    model.use_loras((LoraFile(one, 0.7), LoraFile(other, -0.4)))
    both = model.render(request()).image
    assert_same(both, expected(family, (one, 0.7), (other, -0.4)))
    model.use_loras((LoraFile(other, -0.4),))
    assert_same(model.render(request()).image, expected(family, (other, -0.4)))
    model.use_loras(())
    assert np.array_equal(model.render(request()).image, off)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_users_lora_beside_the_one_that_the_model_was_loaded_with(family: str) -> None:
    first, second = lora(family, "kohya"), lora(family, "diffusers", seed=7)
    model = StableDiffusionLcm.load(
        ModelSpec(place(family, "tiny"), loras=(LoraFile(first),)), "cpu", dtype=torch.float32
    )
    assert_same(model.render(request()).image, expected(family, (first, 1.0)))
    model.use_loras((LoraFile(second, 0.5),))
    assert_same(model.render(request()).image, expected(family, (first, 1.0), (second, 0.5)))


def test_the_same_loras_again_cost_nothing_and_new_weights_read_no_file(
    live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = live("SD1.5"), lora("SD1.5", "kohya")
    model.use_loras((LoraFile(path, 0.5),))
    read: list[Path] = []
    original = model._loras._read
    monkeypatch.setattr(model._loras, "_read", lambda where: read.append(where) or original(where))
    weights = list(model._pipeline.unet.parameters())
    versions = [weight._version for weight in weights]
    model.use_loras((LoraFile(path, 0.5),))
    assert [weight._version for weight in weights] == versions
    model.use_loras((LoraFile(path, 0.8),))
    assert [weight._version for weight in weights] != versions
    assert read == []


def test_weights_change_in_place(live: Any) -> None:
    """What was recorded over them, a CUDA graph, reads the new ones."""
    model = live("SD1.5")
    before = {name: weight.data_ptr() for name, weight in model._pipeline.unet.named_parameters()}
    model.use_loras((LoraFile(lora("SD1.5", "kohya")),))
    assert {name: weight.data_ptr() for name, weight in model._pipeline.unet.named_parameters()} == before


def test_a_lora_that_memory_runs_out_for_half_way_is_not_in_use(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, before = live("SD1.5"), LoraFile(lora("SD1.5", "kohya"), 0.5)
    plain = model.render(request()).image
    model.use_loras((before,))
    dressed = model.render(request()).image
    original, calls = model._loras._put, iter(range(1000))

    def short(*given: Any) -> None:
        if next(calls) == 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        original(*given)

    monkeypatch.setattr(model._loras, "_put", short)
    with pytest.raises(EngineError, match="too little memory for the LoRAs") as caught:
        model.use_loras((LoraFile(before.path, 2.0),))
    assert caught.value.code == "out_of_memory"
    model.use_loras(())
    assert np.array_equal(model.render(request()).image, plain)
    model.use_loras((before,))
    assert np.array_equal(model.render(request()).image, dressed)


def test_many_changes_in_half_precision_leave_no_trace() -> None:
    model = StableDiffusionLcm.load(place("SD1.5", "tiny"), "cpu", dtype=torch.bfloat16)
    before = model.render(request()).image
    for weight in (0.1, 1.0, -0.7, 0.3, 2.0):
        model.use_loras((LoraFile(lora("SD1.5", "kohya"), weight),))
    model.use_loras(())
    assert np.array_equal(model.render(request()).image, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_weight_that_is_dragged_multiplies_once_and_says_the_same(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then each of its changes is a sum: the picture at rest is what that weight alone would have given."""
    model, path = StableDiffusionLcm.load(place("SD1.5", "tiny"), "cpu", dtype=dtype), lora("SD1.5", "kohya")
    model.use_loras((LoraFile(path, 0.9),))
    alone = model.render(request()).image
    model.use_loras(())
    made: list[str] = []
    delta = _Change.delta
    monkeypatch.setattr(_Change, "delta", lambda change: made.append(change.group) or delta(change))
    for weight in (0.5, 0.6, 0.7, 0.8, 0.9):
        model.use_loras((LoraFile(path, weight),))
        picture = model.render(request()).image
    layers = len(model._loras._originals)
    assert len(made) == 2 * layers, "when it is first there, and at its first change"
    assert np.array_equal(picture, alone)
    for _ in range(REST):
        model.use_loras((LoraFile(path, 0.9),))
    assert not model._loras._deltas._made, "nobody drags it any more"
    model.use_loras((LoraFile(path, 0.5),))
    assert len(made) == 3 * layers and not model._loras._deltas._made


def test_words_are_encoded_anew_only_for_a_lora_of_the_text_encoder(live: Any, tmp_path: Path) -> None:
    model, path = live("SD1.5"), tmp_path / "unet.safetensors"
    state = load_file(lora("SD1.5", "kohya"))
    save_file({name: value for name, value in state.items() if name.startswith("lora_unet")}, path)
    before, words = model.render(request()).image, model._text.encode(request().style.prompt)
    model.use_loras((LoraFile(path, 0.8),))
    assert not np.array_equal(model.render(request()).image, before)
    assert model._text.encode(request().style.prompt) is words
    model.use_loras((LoraFile(lora("SD1.5", "kohya"), 0.8),))
    assert model._text.encode(request().style.prompt) is not words
    words = model._text.encode(request().style.prompt)
    model.use_loras(())
    assert model._text.encode(request().style.prompt) is not words
    assert np.array_equal(model.render(request()).image, before)


def refused(model: StableDiffusionLcm, path: Path, words: str) -> None:
    """The file is refused in one sentence, and the picture stays as it was, with the LoRA that was in use."""
    good = LoraFile(lora("SD1.5", "kohya"), 0.5)
    model.use_loras((good,))
    before = model.render(request()).image
    with pytest.raises(EngineError, match=words) as caught:
        model.use_loras((good, LoraFile(path)))
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    assert np.array_equal(model.render(request()).image, before)


@pytest.mark.parametrize("form", FORMS)
def test_one_made_for_sdxl(live: Any, form: str) -> None:
    refused(live("SD1.5"), lora("SDXL", form), r"made for another base model.*use a LoRA made for this model's family")


def test_one_made_for_sd15_on_sdxl(live: Any) -> None:
    with pytest.raises(EngineError, match="made for another base model"):
        live("SDXL").use_loras((LoraFile(lora("SD1.5", "kohya")),))


def test_files_that_are_none(live: Any, tmp_path: Path) -> None:
    model = live("SD1.5")
    refused(model, place("SD1.5", "checkpoint"), r"is a whole checkpoint for SD1\.5, but a LoRA must be a LoRA")
    refused(model, place("SD1.5", "controlnet_file"), "is a ControlNet, but")
    refused(model, next(place("SD1.5", "adapter").glob("*.safetensors")), r"is a T2I-Adapter for SD1\.5, but")
    refused(model, place("SD1.5", "ip"), "is an IP-Adapter, but")
    refused(model, next((place("SD1.5", "model") / "vae").glob("*.safetensors")), "is a VAE, but")
    refused(model, tmp_path / "gone.safetensors", "does not exist")
    (tmp_path / "style.pt").write_bytes(b"\x80\x02")
    refused(model, tmp_path / "style.pt", "is a pickle.*never opened")
    whole = lora("SD1.5", "kohya").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(whole[: len(whole) // 2])
    refused(model, tmp_path / "short.safetensors", "cut off or damaged")
    state = load_file(lora("SD1.5", "kohya"))
    save_file(
        {name.replace("lora_down", "hada_w1_a"): value for name, value in state.items()}, tmp_path / "lo.safetensors"
    )
    refused(model, tmp_path / "lo.safetensors", "LyCORIS")
    save_file({**state, "lora_unet_x.dora_scale": torch.ones(1)}, tmp_path / "do.safetensors")
    refused(model, tmp_path / "do.safetensors", "is a DoRA, not a plain LoRA")


def test_a_file_that_was_replaced_is_read_again(live: Any, tmp_path: Path) -> None:
    model, path = live("SD1.5"), tmp_path / "mine.safetensors"
    path.write_bytes(lora("SD1.5", "kohya").read_bytes())
    model.use_loras((LoraFile(path, 0.5),))
    path.unlink()
    path.write_bytes(lora("SD1.5", "diffusers", seed=7).read_bytes())
    model.use_loras((LoraFile(path, 0.6),))
    assert_same(model.render(request()).image, expected("SD1.5", (lora("SD1.5", "diffusers", seed=7), 0.6)))


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 11.0, -11.0])
def test_weights_out_of_range(weight: float) -> None:
    with pytest.raises(ValueError, match=r"weight of LoRA 'x\.safetensors' is .*, but must be from -10 to 10"):
        LoraFile(Path("x.safetensors"), weight)
