"""Textual inversions in prompts, of files and of LoRAs, against diffusers' own pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from server.catalogue import Catalogue
from server.engine import EngineError, LoraFile
from server.engine.conditioning.inversion_names import named
from server.serving.adapters import Adapters
from tests.plain.checkpoints_sdxl import SECOND_TEXT, TEXT
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, ask, assert_same, engine, psnr, stock

LORA = "unet.conv_in.lora_{}.weight"


def vectors(family: str, count: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(8)
    if family == "SDXL":
        return {"clip_l": torch.randn(count, TEXT), "clip_g": torch.randn(count, SECOND_TEXT)}
    return {"emb_params": torch.randn(count, TEXT)}


def by_diffusers(family: str, prompt: str, negative: str = "", **style: Any) -> Any:
    """What diffusers paints of ``prompt``, in which "wmoss" is the inversion of :func:`vectors`."""
    pipeline, of = stock(family, "Img2Img"), vectors(family)
    for value, part in zip(of.values(), ("", "_2"), strict=False):
        encoder, tokenizer = (getattr(pipeline, f"{name}{part}") for name in ("text_encoder", "tokenizer"))
        pipeline.load_textual_inversion(value, token="wmoss", text_encoder=encoder, tokenizer=tokenizer)
    request = make_request(prompt=prompt, negative_prompt=negative, **style)
    try:
        return ask(pipeline, request)
    finally:
        for part in ("", "_2")[: len(of)]:
            encoder, tokenizer = (getattr(pipeline, f"{name}{part}") for name in ("text_encoder", "tokenizer"))
            pipeline.unload_textual_inversion(text_encoder=encoder, tokenizer=tokenizer)


def painted(family: str, adapters: Adapters, prompt: str, negative: str = "", **style: Any) -> Any:
    model, request = engine(family), make_request(prompt=prompt, negative_prompt=negative, **style)
    try:
        adapters.apply(model, [request.style], None)
        return model.render(request).image
    finally:
        model.use_embeddings({})
        model.use_loras(())


@pytest.fixture
def user(tmp_path: Path) -> Any:
    """user(family) -> what gives a model the inversion "Wmoss" of a folder of the user's."""

    def get(family: str) -> Adapters:
        path = tmp_path / "embeddings" / "styles" / "Wmoss.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(vectors(family), path)
        catalogue = Catalogue(tmp_path, {})
        return Adapters(catalogue.lora, catalogue.embeddings)

    return get


STYLE: dict[str, Any] = {"strength": 0.5, "steps": 2, "seed": 3}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_name_in_a_prompt_is_what_diffusers_makes_of_it(user: Any, family: str) -> None:
    theirs = by_diffusers(family, "a wall of wmoss", "wmoss", **STYLE, guidance=8.0)
    for prompt, negative in (
        ("a wall of Wmoss", "wmoss"),  # as A1111 has it
        ("a wall of embedding:styles/Wmoss.safetensors", "embedding:Wmoss"),  # as ComfyUI does
    ):
        assert_same(painted(family, user(family), prompt, negative, **STYLE, guidance=8.0), theirs)
    words = engine(family).render(
        make_request(prompt="a wall of wmoss", negative_prompt="wmoss", **STYLE, guidance=8.0)
    )
    assert psnr(words.image, theirs) < 35


@pytest.mark.parametrize("family", FAMILIES)
def test_one_that_a_lora_brings_with_it(family: str, tmp_path: Path) -> None:
    """As OneTrainer and kohya bundle them; it comes and goes with the LoRA, which changes nothing else here."""
    prefix = "bundle_emb.wmoss." + ("string_to_param.*" if family == "SD1.5" else "")
    bundled = {prefix + (name if family == "SDXL" else ""): value for name, value in vectors(family).items()}
    width = engine(family)._pipeline.unet.conv_in.weight.shape[0]
    state = {LORA.format("A"): torch.zeros(1, 4, 3, 3), LORA.format("B"): torch.zeros(width, 1, 1, 1), **bundled}
    path = tmp_path / "bundle.safetensors"
    save_file(state, path)
    model, request = engine(family), make_request(prompt="a wall of wmoss", **STYLE)
    words = model.render(request).image
    model.use_loras((LoraFile(path),))
    try:
        assert_same(model.render(request).image, by_diffusers(family, "a wall of wmoss", **STYLE))
    finally:
        model.use_loras(())
    assert (model.render(request).image == words).all()
    save_file(state | {name: torch.zeros(1, 5) for name in bundled}, path)
    with pytest.raises(EngineError, match=r"brings the embedding 'wmoss', which .* cannot use: it was made for"):
        model.use_loras((LoraFile(path),))


def test_one_for_another_family_is_words_but_where_it_is_marked(user: Any) -> None:
    words = engine("SD1.5").render(make_request(prompt="a wall of wmoss")).image
    assert (painted("SD1.5", user("SDXL"), "a wall of wmoss") == words).all()
    with pytest.raises(EngineError, match="the embedding 'Wmoss' in the prompt cannot be used: it was made for SDXL"):
        painted("SD1.5", user("SDXL"), "a wall of embedding:wmoss")
    with pytest.raises(EngineError, match="names the embedding 'embedding:gone', which is not there"):
        painted("SD1.5", user("SD1.5"), "a wall of embedding:gone")


def test_a_pickle_is_said_and_a_file_that_was_replaced_is_read_again(user: Any, tmp_path: Path) -> None:
    adapters = user("SD1.5")
    first = painted("SD1.5", adapters, "wmoss", strength=1.0)
    path = tmp_path / "embeddings" / "styles" / "Wmoss.safetensors"
    save_file({"emb_params": torch.ones(5, TEXT)}, path)
    assert psnr(painted("SD1.5", adapters, "wmoss", strength=1.0), first) < 60
    (tmp_path / "embeddings" / "ink.pt").write_bytes(b"\x80\x02")
    with pytest.raises(EngineError, match=r"the embedding 'ink' in the prompt cannot be used: ink\.pt is a pickle"):
        painted("SD1.5", adapters, "an ink drawing")


def test_names_are_found_where_a1111_finds_them() -> None:
    names = ["easynegative", "bad-hands-5", "bad", "ink"]
    assert named("(EasyNegative:1.2), <lora:ink:1> drinking", names) == ["easynegative"]
    assert named("bad-hands-5, embedding:x/ink", names) == ["bad-hands-5", "ink"]
    assert named("nothing", names) == []
    assert named("bad", []) == []


@pytest.mark.parametrize(
    ("clip_l", "words"),
    [
        (torch.full((3, TEXT), torch.nan), r"Wmoss\.safetensors is damaged: it has values that are no numbers"),
        (torch.zeros(2, TEXT), "it is damaged: it has 2 and 3 vectors, not as many in both"),
    ],
)
def test_what_is_damaged_is_said_of_the_file(user: Any, clip_l: torch.Tensor, words: str, tmp_path: Path) -> None:
    adapters = user("SDXL")
    save_file(vectors("SDXL") | {"clip_l": clip_l}, tmp_path / "embeddings" / "styles" / "Wmoss.safetensors")
    with pytest.raises(EngineError, match=words):
        painted("SDXL", adapters, "embedding:wmoss")
