"""Files that are not what their name or their folder says, parts that do not fit, memory that does not suffice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from server.engine import EngineError, LoraFile, ModelSpec, StableDiffusionLcm, limits
from server.engine.loading.recognise import recognise
from tests.plain.checkpoints import make_vae
from tests.plain.checkpoints_lora import write_user_lora
from tests.plain.checkpoints_original import write_checkpoint
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, engine, place, stock


def refused(words: str, base: Path, code: str = "model_failed", **parts: Any) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        StableDiffusionLcm.load(ModelSpec(base, **parts), "cpu", dtype=torch.float32)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert caught.value.code == code


def first(folder: Path) -> Path:
    return next(folder.glob("*.safetensors"))


def edited(path: Path, source: Path, change: Callable[[str, torch.Tensor], tuple[str, torch.Tensor] | None]) -> Path:
    """``source`` written to ``path`` with each tensor changed, or left out where ``change`` gives None."""
    made = [change(name, value) for name, value in load_file(source).items()]
    save_file({name: value.contiguous() for name, value in filter(None, made)}, path)
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_files_are_known_by_their_tensors(family: str, tmp_path: Path) -> None:
    pipeline = stock(family, "Img2Img")
    lora = write_user_lora(tmp_path / "l.safetensors", pipeline.unet, [], "kohya")
    kinds = {
        "checkpoint": place(family, "checkpoint"),
        "controlnet": place(family, "controlnet_file"),
        "t2i_adapter": first(place(family, "adapter")),
        "ip_adapter": place(family, "ip"),
        "vae": first(place(family, "model") / "vae"),
        "tiny_vae": first(place(family, "tiny") / "vae"),
        "unet": first(place(family, "tiny") / "unet"),
        "text_encoder": first(place(family, "tiny") / "text_encoder"),
        "lora": lora,
    }
    assert {kind: recognise(path)[0].kind for kind, path in kinds.items()} == {kind: kind for kind in kinds}
    assert recognise(kinds["checkpoint"])[0].family == family


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"double_blocks.0.img_attn.qkv.weight": 4, "text_encoders.x": 1}, "a checkpoint of Flux, but only SD1.5"),
        ({"model.diffusion_model.joint_blocks.0.x": 4, "text_encoders.x": 1}, "a checkpoint of SD3, but only SD1.5"),
        (
            {
                "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": 1024,
                "cond_stage_model.x": 1,
            },
            "a checkpoint of SD2, but only SD1.5",
        ),
        ({"model.diffusion_model.input_blocks.0.0.weight": 4}, "a UNet without text encoder and VAE"),
        ({"model.diffusion_model.x": 4, "cond_stage_model.transformer.x": 1}, "the UNet in .* lacks its first layer"),
        (
            {"model.diffusion_model.label_emb.0.0.weight": 2560, "conditioner.embedders.0.x": 1},
            "a checkpoint of SDXL's refiner, but only SD1.5",
        ),
        ({"single_transformer_blocks.0.attn.to_q.weight": 4}, "is a part of Flux, but a model must be"),
        ({"model.embed_tokens.weight": 4, "lm_head.weight": 4}, "is a language model, but a model must be"),
        ({"emb_params": 768}, "a textual inversion"),
        ({"weight": 1}, "of a kind that is not known here"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_checkpoints_of_other_kinds(tmp_path: Path, names: dict[str, int], words: str) -> None:
    path = tmp_path / "model.safetensors"
    save_file({name: torch.zeros(2, width) for name, width in names.items()}, path)
    refused(words, path)


@pytest.mark.parametrize(
    ("slot", "names", "words"),
    [
        ("control", ["lora_controlnet", "input_hint_block.0.weight"], "is a Control-LoRA, not a whole ControlNet"),
        ("control", ["task_embedding", "controlnet_cond_embedding.conv_in.weight"], "a ControlNet of the union kind"),
        ("control", ["lllite_unet.x.weight"], "a ControlNet-LLLite, not a whole"),
        ("control", ["adapter.body.0.in_conv.weight"], "is not a full one: give a folder"),
        (
            "ip_adapter",
            ["image_proj.proj.0.weight", "ip_adapter.1.to_k_ip.weight"],
            "is of the face kind: take a plain",
        ),
        ("ip_adapter", ["image_proj.proj.weight", "ip_adapter.0.to_q_lora.down.weight"], "is of the face kind"),
        ("vae", ["lm_head.weight"], "is a language model, but a VAE must be"),
        ("loras", ["lora_unet_x.lora_down.weight"], "1 of its 1 layers, such as lora_unet_x, have names"),
        (
            "loras",
            ["transformer.x.lora_A.weight", "transformer.x.lora_B.weight"],
            "1 of its 1 layers, such as transformer.x, have names",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 12 else "",
)
def test_relatives_of_what_can_be_used(tmp_path: Path, slot: str, names: list[str], words: str) -> None:
    path = tmp_path / "it.safetensors"
    save_file({name: torch.zeros(4, 4) for name in names}, path)
    (tmp_path / "image_encoder").mkdir()
    (tmp_path / "image_encoder" / "config.json").write_text('{"projection_dim": 4, "hidden_size": 4}')
    refused(words, place("SD1.5", "tiny"), **{slot: (LoraFile(path),) if slot == "loras" else path})


@pytest.mark.parametrize("slot", ["base", "vae", "control", "ip_adapter", "loras"])
def test_only_safetensors_are_opened_in_any_place(tmp_path: Path, slot: str) -> None:
    def given(path: Path) -> tuple[Path, dict[str, Any]]:
        if slot == "base":
            return path, {}
        return place("SD1.5", "tiny"), {slot: (LoraFile(path),) if slot == "loras" else path}

    for suffix in (".ckpt", ".bin", ".pt", ".PTH", ".gguf", ".onnx"):
        path = tmp_path / f"model{suffix}"
        torch.save({"weight": torch.zeros(100)}, path)
        base, parts = given(path)
        refused("is no .safetensors file" if "g" in suffix or "x" in suffix else "is a pickle", base, **parts)


def test_headers_that_lie(tmp_path: Path) -> None:
    names = ("model.diffusion_model.input_blocks.0.0.weight", "cond_stage_model.transformer.x", "first_stage_model.x")
    for number, (kind, span, words) in enumerate(
        [("F32", [0, -5], "header cannot be read"), ("ZZ", [0, 4], "is damaged, or of a kind that is not known")]
    ):
        entry = {"dtype": kind, "shape": [1, 4, 1, 1], "data_offsets": span}
        header = json.dumps({name: {**entry, "data_offsets": [0, 4]} for name in names[1:]} | {names[0]: entry})
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + b"1234")
        refused(words, path)


@pytest.mark.parametrize("family", FAMILIES)
def test_something_else_in_the_place_of_the_checkpoint(family: str) -> None:
    refused("is a ControlNet", place(family, "controlnet_file"))
    refused("is a VAE.* but a model must be a whole checkpoint", first(place(family, "model") / "vae"))
    refused("is a whole checkpoint.* but a control must be", place(family, "tiny"), control=place(family, "checkpoint"))
    refused("is an IP-Adapter.* but a VAE must be", place(family, "tiny"), vae=place(family, "ip"))
    refused("is a T2I-Adapter.* but an IP-Adapter", place(family, "tiny"), ip_adapter=first(place(family, "adapter")))


def test_controls_of_another_family() -> None:
    sd15, sdxl = place("SD1.5", "tiny"), place("SDXL", "tiny")
    refused("ControlNet .* was made for another base model", sdxl, control=place("SD1.5", "controlnet"))
    refused("ControlNet .* was made for another base model", sd15, control=place("SDXL", "controlnet"))
    refused("ControlNet .* was made for another base model", sdxl, control=place("SD1.5", "controlnet_file"))
    refused("it belongs to another base model", sd15, control=place("SDXL", "adapter"))
    refused("it belongs to another base model", sdxl, control=place("SD1.5", "adapter"))
    refused("IP-Adapter .* was made for another base model", sdxl, ip_adapter=place("SD1.5", "ip"))


def test_a_lora_of_another_family_at_loading(tmp_path: Path) -> None:
    unet = stock("SDXL", "Img2Img").unet
    lora = write_user_lora(tmp_path / "xl.safetensors", unet, [], "kohya")
    refused("xl.safetensors was made for another base", place("SD1.5", "tiny"), loras=(LoraFile(lora),))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_that_lacks_parts(family: str, tmp_path: Path) -> None:
    whole, path = place(family, "checkpoint"), tmp_path / "part.safetensors"
    refused("has no VAE in it", write_checkpoint(path, place(family, "model"), vae=False))
    last = "conditioner.embedders.1" if family == "SDXL" else "cond_stage_model"
    refused(
        "no second text encoder" if family == "SDXL" else "without text encoder",
        edited(path, whole, lambda name, value: None if name.startswith(last) else (name, value)),
    )
    refused(
        "UNet in .* lacks 2 of its tensors",
        edited(path, whole, lambda name, value: None if "middle_block.0.in_layers.2" in name else (name, value)),
    )
    path.write_bytes(whole.read_bytes()[:-100])
    refused("cut off or damaged", path)


def test_an_inpainting_checkpoint(tmp_path: Path) -> None:
    def widen(name: str, value: torch.Tensor) -> tuple[str, torch.Tensor]:
        return name, torch.cat([value, value, value[:, :1]], 1) if name.endswith("input_blocks.0.0.weight") else value

    refused(
        "takes 9 channels, not 4: inpainting", edited(tmp_path / "i.safetensors", place("SD1.5", "checkpoint"), widen)
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_checkpoints(family: str, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "half.safetensors", place(family, "model"), torch.float16)
    request = make_request(strength=0.5, steps=1)
    ours = StableDiffusionLcm.load(path, "cpu", dtype=torch.float32).render(request).image.astype(int)
    assert np.abs(ours - engine(family, "checkpoint").render(request).image).mean() < 3


def test_a_checkpoint_that_says_that_it_predicts_v(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    save_file({**load_file(place("SDXL", "checkpoint")), "v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}, path)
    schedule = StableDiffusionLcm.load(path, "cpu")._schedule
    assert (schedule.prediction, schedule.config.rescale_betas_zero_snr) == ("v_prediction", True)


def test_an_ip_adapter_without_its_image_encoder(tmp_path: Path) -> None:
    lonely = tmp_path / "models" / "ip.safetensors"
    lonely.parent.mkdir()
    shutil.copyfile(place("SD1.5", "ip"), lonely)
    refused("image encoder of .* is missing: put its folder beside it", place("SD1.5", "tiny"), ip_adapter=lonely)


def test_parts_in_other_forms(tmp_path: Path) -> None:
    make_vae("tiny").save_pretrained(tmp_path / "vae")
    spec = ModelSpec(place("SD1.5", "checkpoint"), vae=tmp_path / "vae", control=place("SD1.5", "controlnet_file"))
    assert StableDiffusionLcm.load(spec, "cpu").render(make_request(depth=1.0)).image.std() > 5


class _Memory(NamedTuple):
    available: int


def test_too_little_memory_is_told_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.psutil, "virtual_memory", lambda: _Memory(1_000_000))
    refused(
        r"model tiny needs about .* GB of memory, but the computer has 0\.0 GB free: use the embedded model",
        place("SDXL", "tiny"),
        "out_of_memory",
    )


def test_memory_is_what_the_weights_take() -> None:
    model = engine("SD1.5")
    unet = sum(weight.numel() * 4 for weight in model._pipeline.unet.parameters())
    assert unet < model.memory_bytes < 10 * unet + 49408 * 64 * 8


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_asked_of_the_network(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise AssertionError("a model in one file was looked up in the network")

    monkeypatch.setattr("socket.socket.connect", no_network)
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    StableDiffusionLcm.load(place(family, "checkpoint"), "cpu").close()
