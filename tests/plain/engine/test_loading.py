"""Folders that cannot be loaded each get one sentence that names thing, value and remedy; the rest load visibly."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModelWithProjection

from server.engine import EngineError, ModelSpec, StableDiffusionLcm
from server.engine.loading.files import check_safetensors, find_weights, read_through
from tests.plain.checkpoints import make_text_encoder, make_unet, make_vae, write_lora
from tests.plain.engine.families import place

Model = Callable[..., Path]


@pytest.fixture
def copy(model: Model, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a model, to be damaged."""
    return lambda **options: Path(shutil.copytree(model(**options), tmp_path / "model"))


def refused(folder: Path | str, words: str, code: str = "model_failed", device: str = "cpu") -> str:
    with pytest.raises(EngineError, match=words) as caught:
        StableDiffusionLcm.load(folder, device)
    sentence = str(caught.value)
    assert caught.value.code == code
    assert "\n" not in sentence and len(sentence) < 1000
    return sentence


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_missing_folder(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", r"nowhere.*does not exist: give the path")


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    refused(tmp_path / "model.safetensors", r"model\.safetensors is no whole safetensors file.*copy it again")
    (tmp_path / "model.ckpt").write_bytes(b"x")
    refused(tmp_path / "model.ckpt", r"model\.ckpt is a pickle.*never opened: convert it to \.safetensors")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    refused(tmp_path, r"no diffusers folder.*holiday\.jpg.*model_index\.json")
    (tmp_path / "holiday.jpg").unlink()
    refused(tmp_path, "no diffusers folder: it is empty")
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    refused(tmp_path, "is a FluxPipeline without a unet folder, but only SD1.5 and SDXL can be used")


@pytest.mark.parametrize("part", ["vae", "text_encoder", "tokenizer"])
def test_a_missing_part(copy: Callable[..., Path], part: str) -> None:
    folder = copy()
    shutil.rmtree(folder / part)
    refused(folder, rf"no {part}.*copy the whole")


def test_a_missing_scheduler(copy: Callable[..., Path]) -> None:
    folder = copy()
    shutil.rmtree(folder / "scheduler")
    refused(folder, r"scheduler config is missing.*scheduler_config\.json.*copy the whole")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "adapter"])
def test_weights_as_a_pickle_are_never_opened(copy: Callable[..., Path], part: str) -> None:
    folder = copy()
    weights = next((folder / part).glob("*.safetensors"))
    # a pickle that would leave a trace, were it read
    trace = folder / "opened"
    weights.with_suffix(".bin").write_bytes(f"cos\nmkdir\n(S'{trace}'\ntR.".encode())
    weights.unlink()
    refused(folder, rf"weights of {part}.*pickle only \({weights.stem}\.bin\).*convert them to \.safetensors")
    assert not trace.exists()


def test_a_pickle_under_the_name_of_safetensors(copy: Callable[..., Path]) -> None:
    folder = copy()
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({"weight": torch.zeros(1000)}, path)
    refused(folder, r"no whole safetensors file.*a pickle under another name")


@pytest.mark.parametrize(
    ("begins", "words"),
    [
        (b"<!DOCTYPE html><html>Sign in to download", "a web page, as a download that needs an account"),
        (b'{"error": "Repository not found"}', "JSON, perhaps a server's answer"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a git-lfs pointer, which `git lfs pull`"),
        (b"GGUF\x03\x00\x00\x00", "a GGUF file"),
        (b"PK\x03\x04" + bytes(60), "a pickle under another name"),
    ],
)
def test_a_file_of_another_kind_under_that_name(tmp_path: Path, begins: bytes, words: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(begins + bytes(100))
    refused(path, f"model.safetensors is no whole safetensors file: .* is {words}")


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_half_a_vae(tmp_path: Path, half: str) -> None:
    path = tmp_path / "vae.safetensors"
    save_file({f"{half}.{name}.weight": torch.zeros(4, 4, 3, 3) for name in ("conv_in", "mid.block_1.conv1")}, path)
    other = "decoder" if half == "encoder" else "encoder"
    with pytest.raises(EngineError, match=f"the VAE in .* has no {other}|is .*, but a VAE must be"):
        StableDiffusionLcm.load(ModelSpec(place("SD1.5", "tiny"), vae=path), "cpu")


def test_no_weights_at_all(copy: Callable[..., Path]) -> None:
    folder = copy()
    next((folder / "vae").glob("*.safetensors")).unlink()
    refused(folder, r"weights of vae are missing: there is no \.safetensors file in")


@pytest.mark.parametrize("left", [0, 5, 300, -1])
@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "adapter", "."])
def test_truncated_weights(copy: Callable[..., Path], part: str, left: int) -> None:
    folder = copy(lora="kohya")
    path = next((folder / part).glob("*.safetensors"))
    data = path.read_bytes()
    path.write_bytes(data[:left])
    refused(folder, rf"{path.name}.*(cut off or damaged|header cannot be read).*copy it again")


@pytest.mark.parametrize(
    "content", [b"[]", b'{"a": 1}', b'{"a": {"data_offsets": ["x", "y"]}}', b"\xff\xff", b"{" * 50]
)
def test_headers_that_are_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(content).to_bytes(8, "little") + content)
    with pytest.raises(EngineError, match=r"header cannot be read|cut off or damaged"):
        check_safetensors(path)


def test_a_config_that_is_no_json(copy: Callable[..., Path]) -> None:
    folder = copy()
    (folder / "unet" / "config.json").write_text("{")
    refused(folder, "unet/config.json cannot be read .*copy the model again")


def test_weights_of_another_shape(copy: Callable[..., Path]) -> None:
    folder = copy()
    edit(folder / "unet" / "config.json", block_out_channels=[32, 96])
    refused(folder, "unet of .* cannot be loaded")


@pytest.mark.parametrize(
    ("part", "kind", "words"),
    [
        ("unet", "SD3Transformer2DModel", r"unet .* is 'SD3Transformer2DModel', but must be UNet2DConditionModel"),
        ("vae", "AsymmetricAutoencoderKL", r"vae .* must be AutoencoderTiny or AutoencoderKL"),
    ],
)
def test_parts_of_other_kinds(copy: Callable[..., Path], part: str, kind: str, words: str) -> None:
    folder = copy()
    edit(folder / part / "config.json", _class_name=kind)
    refused(folder, words)


def test_an_sd15_unet_beside_the_text_encoders_of_sdxl(copy: Callable[..., Path]) -> None:
    folder = copy()
    CLIPTextModelWithProjection(make_text_encoder().config).save_pretrained(folder / "text_encoder_2")
    shutil.copytree(folder / "tokenizer", folder / "tokenizer_2")
    refused(folder, "unet of .* is of the SD1.5 kind, but its text encoders are of the SDXL kind")


def test_parts_of_different_models(copy: Callable[..., Path]) -> None:
    folder = copy()
    make_unet(text_width=64).save_pretrained(folder / "unet")
    refused(folder, "takes text embeddings 64 wide, but text_encoder gives 32")


def test_an_inpainting_unet(copy: Callable[..., Path]) -> None:
    folder = copy()
    unet = make_unet()
    type(unet).from_config(unet.config, in_channels=9).save_pretrained(folder / "unet")
    refused(folder, "takes 9 channels, but vae gives 4: inpainting")


def test_an_adapter_of_another_base(copy: Callable[..., Path]) -> None:
    from diffusers import T2IAdapter

    folder = copy()
    T2IAdapter(3, [16, 32], 1).save_pretrained(folder / "adapter")
    refused(folder, r"adapter .* \[16, 32\] channels, but unet takes \[32, 64\]: it belongs to another base")
    T2IAdapter(4, [32, 64], 1).save_pretrained(folder / "adapter")
    refused(folder, "adapter .* takes 4 channels, but depth has 1")


@pytest.mark.parametrize("form", ["diffusers", "kohya", "mixed"])
def test_a_lora_of_another_base(copy: Callable[..., Path], form: str) -> None:
    folder = copy()
    write_lora(folder / "lcm-lora.safetensors", make_unet(text_width=2048), form)
    sentence = refused(folder, r"made for another base model.*attn2[._]to_k is 2048 wide \(SDXL\), the model's 32")
    assert "lcm-lora.safetensors" in sentence


def test_a_lora_for_layers_that_are_not_there(copy: Callable[..., Path]) -> None:
    folder = copy(lora="diffusers")
    path = folder / "lcm-lora.safetensors"
    save_file({key.replace("mid_block", "middle"): value for key, value in load_file(path).items()}, path)
    refused(folder, r"18 of its 79 layers, such as unet\.middle.*, have names that are not known here")


def test_a_lora_that_is_none(copy: Callable[..., Path]) -> None:
    folder = copy()
    save_file({"weight": torch.zeros(3)}, folder / "lcm-lora.safetensors")
    refused(folder, r"lcm-lora\.safetensors.* LoRA")


def test_loras_leave_no_layers_behind(engine: Callable[..., StableDiffusionLcm]) -> None:
    kinds = {type(module).__module__.partition(".")[0] for module in engine(lora="kohya")._pipeline.unet.modules()}
    assert "peft" not in kinds


def test_a_device_that_is_not_there(model: Model) -> None:
    refused(model(), r"device is 'tpu', but must be one of auto, cpu, cuda, mps", "bad_request", "tpu")
    if not torch.cuda.is_available():
        refused(model(), r"device is 'cuda'.*use --device auto", "bad_request", "cuda")


def test_progress_moves_and_ends(model: Model) -> None:
    seen: list[tuple[float, str]] = []
    StableDiffusionLcm.load(model(lora="kohya"), "cpu", lambda fraction, words: seen.append((fraction, words)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert len(set(fractions)) > 8
    words = " ".join(word for _, word in seen)
    assert all(part in words for part in ("text_encoder", "unet", "vae", "adapter", "lcm-lora", "ready"))


def test_progress_moves_within_a_large_file(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(20_000_000)}, tmp_path / "model.safetensors")
    seen: list[float] = []
    read_through(find_weights(tmp_path, "unet"), seen.append)
    assert len(seen) >= 4
    assert seen[-1] == 1


def test_half_precision_files_and_their_variants(copy: Callable[..., Path]) -> None:
    folder = copy()
    for part in ("unet", "vae"):
        shutil.rmtree(folder / part)
    make_unet().half().save_pretrained(folder / "unet", variant="fp16")
    make_vae("tiny").half().save_pretrained(folder / "vae", variant="fp16")
    engine = StableDiffusionLcm.load(folder, "cpu")
    assert engine.name == "model"
    assert engine.device == "cpu"


def test_sharded_weights(copy: Callable[..., Path]) -> None:
    folder = copy()
    shutil.rmtree(folder / "unet")
    make_unet().save_pretrained(folder / "unet", max_shard_size="200KB")
    assert len(list((folder / "unet").glob("*.safetensors"))) > 1
    StableDiffusionLcm.load(folder, "cpu").close()


def test_loading_is_quiet(model: Model, capfd: pytest.CaptureFixture[str]) -> None:
    folder = model(lora="kohya")
    capfd.readouterr()  # what writing it said
    StableDiffusionLcm.load(folder, "cpu").close()
    assert capfd.readouterr() == ("", "")


def test_importing_the_engine_is_quiet() -> None:
    """What a server that was killed said last is taken for the reason."""
    command = [sys.executable, "-c", "from server.engine import StableDiffusionLcm"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout + done.stderr == ""


def test_a_closed_models_memory_is_given_back_once_nothing_holds_it(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What PyTorch keeps of a GPU's memory for itself, no other program can have."""
    engine = StableDiffusionLcm.load(model(), "cpu")
    weight = weakref.ref(engine._pipeline.unet.conv_in.weight)
    held: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: held.append(weight() is not None))
    engine.close()
    assert held[-1:] == [False]
