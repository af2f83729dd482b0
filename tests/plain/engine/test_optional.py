"""Parts that nobody asked for by name: a model is loaded without those that cannot be used, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from server.engine import EngineError, LoraFile, ModelSpec, StableDiffusionLcm
from tests.plain.checkpoints import write_lora
from tests.plain.checkpoints_sdxl import make_whole_unet
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import place


def cut_off(path: Path) -> Path:
    path.write_bytes(place("SD1.5", "controlnet_file").read_bytes()[:-9])
    return path


def of_another_family(path: Path) -> Path:
    return place("SDXL", "controlnet_file")


def without_a_tensor(path: Path) -> Path:
    state = load_file(place("SD1.5", "controlnet_own_names"))
    state.pop("conv_in.bias")
    save_file(state, path)
    return path


def load(**parts: object) -> StableDiffusionLcm:
    return StableDiffusionLcm.load(ModelSpec(place("SD1.5", "tiny"), **parts), "cpu", dtype=torch.float32)  # type: ignore[arg-type]


@pytest.mark.parametrize("spoil", [cut_off, of_another_family, without_a_tensor])
def test_a_control_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], Path]) -> None:
    path = spoil(tmp_path / "depth.safetensors")
    with pytest.raises(EngineError) as refused:
        load(control=path)
    engine = load(control=path, optional=frozenset({"control"}))
    assert engine.left_out == f"It is loaded without a depth control: {refused.value}"
    assert engine.render(make_request()).image.std() > 1
    with pytest.raises(EngineError, match="has no depth adapter or ControlNet"):
        engine.render(make_request(depth=1.0))


def test_what_else_cannot_be_used(tmp_path: Path) -> None:
    lora = write_lora(tmp_path / "lcm.safetensors", make_whole_unet("SDXL"), "kohya")
    spoilt = cut_off(tmp_path / "spoilt.safetensors")
    for part, given, words in (
        ("loras", (LoraFile(lora),), "It is loaded without an LCM-LoRA: "),
        ("vae", spoilt, "It is loaded without the small autoencoder: "),
        ("ip_adapter", place("SDXL", "ip"), "It is loaded without style pictures: "),
    ):
        with pytest.raises(EngineError):
            load(**{part: given})
        engine = load(**{part: given}, optional=frozenset({part}))
        assert engine.left_out.startswith(words)
        assert engine.render(make_request()).image.std() > 1
