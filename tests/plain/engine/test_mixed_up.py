"""Files that are whole, but of another part, incomplete, or odd inside: refused, never filled with random numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from server.engine import EngineError, LoraFile, ModelSpec, StableDiffusionLcm
from server.engine.loading.files import find_weights
from server.engine.loading.inspection import inspect
from server.engine.loading.memory import parameters
from server.engine.loras.scales import Odd, Scales
from tests.plain.checkpoints_lora import write_user_lora
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, assert_same, engine, place, psnr, stock


def weights(folder: Path) -> Path:
    return next(folder.glob("*.safetensors"))


def refused(words: str, spec: ModelSpec) -> None:
    with pytest.raises(EngineError, match=words):
        StableDiffusionLcm.load(spec, "cpu", dtype=torch.float32)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
def test_a_part_that_lacks_a_weight(family: str, part: str, tmp_path: Path) -> None:
    folder = shutil.copytree(place(family, "model"), tmp_path / "model")
    state = load_file(weights(folder / part))
    name = next(name for name in state if name.endswith("weight"))
    state.pop(name)
    save_file(state, weights(folder / part), metadata={"format": "pt"})
    refused(f"{part} of .*model lacks 1 of its weights, such as .*; copy the whole folder again", ModelSpec(folder))


@pytest.mark.parametrize(
    ("part", "other"), [("text_encoder", "unet"), ("text_encoder", "text_encoder_2"), ("text_encoder_2", "vae")]
)
def test_a_part_whose_file_is_anothers(part: str, other: str, tmp_path: Path) -> None:
    folder = shutil.copytree(place("SDXL", "model"), tmp_path / "model")
    shutil.copyfile(weights(folder / other), weights(folder / part))
    refused("lacks .* of its weights|its weights have other shapes|cannot be loaded", ModelSpec(folder))


def test_an_image_encoder_that_lacks_a_weight(tmp_path: Path) -> None:
    folder = shutil.copytree(place("SD1.5", "ip").parents[1], tmp_path / "ip")
    encoder = folder / "models" / "image_encoder"
    state = load_file(weights(encoder))
    state.pop(next(name for name in state if name.endswith("mlp.fc1.weight")))
    save_file(state, weights(encoder), metadata={"format": "pt"})
    adapter = folder / "models" / place("SD1.5", "ip").name
    refused("the image encoder .*image_encoder lacks 1", ModelSpec(place("SD1.5", "tiny"), ip_adapter=adapter))


@pytest.mark.parametrize("left", [["vocab.json"], ["tokenizer.json", "vocab.json"], None])
def test_a_tokenizer_without_its_vocabulary(tmp_path: Path, left: list[str] | None) -> None:
    folder = shutil.copytree(place("SD1.5", "model"), tmp_path / "model")
    for path in (folder / "tokenizer").iterdir():
        if left is None or path.name in left:
            path.unlink()
    if left == ["vocab.json"] and (folder / "tokenizer" / "tokenizer.json").is_file():
        StableDiffusionLcm.load(folder, "cpu", dtype=torch.float32)  # the other form has it, too
    else:
        refused("the tokenizer has no vocabulary: .*tokenizer lacks vocab.json", ModelSpec(folder))


@pytest.mark.parametrize("name", ["edm_mean", "edm_std", "edm_vpred.sigma_max"])
def test_a_checkpoint_of_another_scale_of_noise(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cosxl.safetensors"
    save_file(load_file(place("SDXL", "checkpoint")) | {name: torch.zeros(1)}, path)
    refused("was trained on another scale of noise .* EDM and CosXL", ModelSpec(path))


def test_averaged_weights_beside_the_others_take_no_memory(tmp_path: Path) -> None:
    """As SD1.5's own v1-5-pruned.safetensors has them: they are not loaded."""
    plain, path = place("SD1.5", "checkpoint"), tmp_path / "full.safetensors"
    state = load_file(plain)
    unet = {name: value for name, value in state.items() if name.startswith("model.diffusion_model.")}
    averaged = {f"model_ema.{name.removeprefix('model.').replace('.', '')}": value for name, value in unet.items()}
    save_file(state | {name: value.clone() for name, value in averaged.items()}, path)
    assert parameters(inspect(ModelSpec(path))) == parameters(inspect(ModelSpec(plain)))
    StableDiffusionLcm.load(path, "cpu", dtype=torch.float32)


def test_all_shards_of_half_precision_are_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "unet"
    folder.mkdir()
    for index in (1, 2):
        save_file({f"{index}": torch.zeros(9)}, folder / f"model.fp16-0000{index}-of-00002.safetensors")
    assert len(find_weights(folder, "unet").files) == 2
    last = folder / "model.fp16-00002-of-00002.safetensors"
    last.write_bytes(last.read_bytes()[:-4])
    with pytest.raises(EngineError, match=r"model\.fp16-00002-of-00002\.safetensors is cut off"):
        find_weights(folder, "unet")


@pytest.fixture
def lora(tmp_path: Path) -> Callable[..., Path]:
    def write(change: Callable[[dict[str, torch.Tensor]], Any], metadata: dict[str, str] | None = None) -> Path:
        path = write_user_lora(tmp_path / "usual.safetensors", stock("SD1.5", "Img2Img").unet, [], "diffusers")
        state = {name: value.clone() for name, value in change(load_file(path)).items()}
        save_file(state, tmp_path / "odd.safetensors", metadata=metadata)
        return tmp_path / "odd.safetensors"

    return write


def side(name: str, side: str) -> bool:
    return name.endswith((f"lora_{side}.weight", f"lora.{'down' if side == 'A' else 'up'}.weight"))


def test_alphas_beside_diffusers_names_count(lora: Callable[..., Path], tmp_path: Path) -> None:
    def with_alphas(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        layers = [name.rsplit(".lora", 1)[0] for name in state if side(name, "A")]
        return state | {f"{layer}.alpha": torch.tensor(1.0) for layer in layers}

    path, model, request = lora(with_alphas), engine("SD1.5"), make_request(strength=0.5, steps=2, seed=3)
    try:
        model.use_loras((LoraFile(tmp_path / "usual.safetensors", 0.25),))  # alpha 1 of rank 4
        quarter = model.render(request).image
        model.use_loras((LoraFile(path),))
        assert_same(model.render(request).image, quarter)
        model.use_loras((LoraFile(path, 4.0),))
        assert psnr(model.render(request).image, quarter) < 45
    finally:
        model.use_loras(())


@pytest.mark.parametrize("half", ["A", "B"])
def test_a_layer_without_its_other_half(lora: Callable[..., Path], half: str) -> None:
    def halved(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        gone = [name for name in state if side(name, half)][:3]
        return {name: value for name, value in state.items() if name not in gone}

    with pytest.raises(EngineError, match=r"odd\.safetensors is damaged: of its layer .* it lacks .*; copy it again"):
        engine("SD1.5").use_loras((LoraFile(lora(halved)),))


ODD_FACTS = [
    *("[]", '"x"', "{", '{"unet.r": "four"}', '{"unet.lora_alpha": 1e999, "unet.r": 4}', '{"unet.r": 1e-999}'),
    *(
        f'{{"unet.{name}": {value}}}'
        for name in ("r", "rank_pattern", "peft_type")
        for value in ("[" * 900 + "]" * 900,)
    ),
    *('{"unet.r": ' + "[" * 50_000, '{"unet.r": 1' + "0" * 400 + "}", '{"unet.lora_alpha": -1' + "0" * 400 + "}"),
    '{"unet.rank_pattern": {"(a+)+$": 4}, "unet.lora_alpha": 1}',
    '{"unet.rank_pattern": {".*.*.*.*.*.*x": 4}, "unet.lora_alpha": 1}',
    '{"unet.rank_pattern": {"' + "(" * 400 + '": 4}}',
    '{"unet.alpha_pattern": {"to_q": {"to_k": 1}}}',
]


@pytest.mark.parametrize("facts", ODD_FACTS, ids=lambda facts: facts[:50])
def test_odd_facts_about_ranks(facts: str, tmp_path: Path) -> None:
    with pytest.raises(Odd) as caught:
        Scales.read(tmp_path / "odd.safetensors", {"lora_adapter_metadata": facts}, is_pefts=False)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("facts", ODD_FACTS[1:7:5], ids=lambda facts: facts[:50])
def test_odd_facts_are_told_of_their_file(lora: Callable[..., Path], facts: str) -> None:
    path = lora(lambda state: state, {"format": "pt", "lora_adapter_metadata": facts})
    with pytest.raises(EngineError, match=r"odd\.safetensors"):
        engine("SD1.5").use_loras((LoraFile(path),))


def test_facts_about_ranks_as_one_object_for_each_part(lora: Callable[..., Path], tmp_path: Path) -> None:
    model, request = engine("SD1.5"), make_request(strength=0.5, steps=2, seed=3)
    flat = '{"unet.r": 4, "unet.lora_alpha": 1}'
    path = lora(lambda state: state, {"format": "pt", "lora_adapter_metadata": flat})
    try:
        model.use_loras((LoraFile(path),))
        quarter = model.render(request).image
        model.use_loras(())
        nested = '{"unet": {"r": 4, "lora_alpha": 1}}'
        path = lora(lambda state: state, {"format": "pt", "lora_adapter_metadata": nested})
        model.use_loras((LoraFile(path),))
        assert_same(model.render(request).image, quarter)
    finally:
        model.use_loras(())
