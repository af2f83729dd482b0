"""A frame on a device that is not the CPU, without having one: torch's "meta", which keeps no numbers.

What was left on the CPU shows there, as on a GPU: the two don't mix, and nothing can be read back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from server.engine import StableDiffusionLcm
from server.engine.conditioning.text import Prompt, PromptEncoder
from server.engine.devices import Place
from server.engine.images import Transfer
from server.engine.sampling.pipeline import Pipeline
from tests.plain.checkpoints_sdxl import make_whole
from tests.plain.engine.conftest import make_request

META = torch.device("meta")


@pytest.fixture
def downloaded(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The pictures that were to be read back; in place of their numbers there is black."""
    pictures: list[torch.Tensor] = []
    decode = Pipeline.decode

    def sound(self: Pipeline, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        picture, is_sound = decode(self, latent)
        assert is_sound.device == META
        return picture, torch.tensor(True)

    def send(self: Transfer, result: torch.Tensor, slot: int = 0) -> torch.Tensor:
        pictures.extend([result] if result.ndim else [])
        return torch.zeros(result.shape, dtype=result.dtype) if result.ndim else result

    def encode(self: PromptEncoder, prompt: str) -> Prompt:  # transformers asks whether a mask has zeros
        widths = [each.text_encoder.config.hidden_size for each in self._encoders]
        text = torch.empty(1, 77, sum(widths), dtype=self._dtype, device=META)
        return Prompt(text, text[:, 0, : widths[-1]] if self._pooled else None)

    monkeypatch.setattr(PromptEncoder, "_encode", encode)
    monkeypatch.setattr(Pipeline, "decode", sound)
    monkeypatch.setattr(Transfer, "send", send)
    monkeypatch.setattr("server.engine.engine.choose", lambda device, dtype: Place(META, dtype or torch.bfloat16))
    return pictures


@pytest.mark.parametrize("kind", ["SD1.5", "SDXL", "guidance as an input"])
def test_a_frame_asks_nothing_of_the_cpu(
    kind: str, downloaded: list[torch.Tensor], model: Callable[..., Path], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"guidance_input": 32} if kind != "SD1.5" else {}
    folder = make_whole(tmp_path / "xl", "SDXL", "tiny") if kind == "SDXL" else model(**options)
    engine = StableDiffusionLcm.load(folder, "meta", dtype=torch.bfloat16)
    assert engine._pipeline.quick is not None
    downloaded.clear()
    request = make_request(steps=2, strength=0.5, depth=0.0 if kind == "SDXL" else 1.0)
    engine.render(request)
    engine.render_batch([request, request])
    assert [picture.device for picture in downloaded] == [META] * 3
