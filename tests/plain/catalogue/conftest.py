"""A small SD1.5 as the hub would hand it out: the repositories of the preset, with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel

from server.catalogue import read_presets
from server.catalogue.presets import FILE
from tests.plain.catalogue.hub_server import Hub, serve
from tests.plain.catalogue.user import User
from tests.plain.checkpoints import make_sd15, make_vae, write_lora
from tests.plain.checkpoints_sdxl import make_controlnet

RANK = 320
"""Of the LoRA: makes a file of more than 20 MB, as downloads are counted by pieces of 10."""


@pytest.fixture(scope="session")
def repositories(once: Callable[..., Path]) -> dict[str, Path]:
    """The four repositories of the preset sd15, by name, each a folder."""
    by_role = {part.role: part.repo for part in read_presets()["sd15"].parts}
    root = once("hub", write_repositories)
    return {by_role[role]: root / role for role in ("base", "lora", "vae", "control")}


def write_repositories(root: Path) -> None:
    """Fill ``root`` with them, each under the name of its role."""
    base = make_sd15(root / "base", adapter=None)
    unet = UNet2DConditionModel.from_pretrained(base / "unet")
    (base / "README.md").write_text("not fetched")
    (base / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle, not fetched")
    unet.half().save_pretrained(base / "unet", variant="fp16")
    (root / "lora").mkdir()
    write_lora(root / "lora" / "pytorch_lora_weights.safetensors", unet.float(), "kohya", rank=RANK)
    make_vae("tiny").save_pretrained(root / "vae")
    make_controlnet(root / "control", unet.to(torch.float32))


@pytest.fixture
def user(tmp_path: Path, hub: Hub) -> User:
    return User(tmp_path, hub)


@pytest.fixture
def hub(repositories: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that is up while the test runs; what it has are not the weights whose checksums the presets know."""
    unpinned = tmp_path / "presets.toml"
    lines = FILE.read_text("utf-8").splitlines(keepends=True)
    unpinned.write_text("".join(line for line in lines if not line.startswith("sha256")), "utf-8")
    monkeypatch.setenv("DRAFTGLASS_PRESETS", str(unpinned))
    with serve(Hub(repositories)) as served:
        yield served
