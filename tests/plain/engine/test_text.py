"""Weighted and long prompts, for both families, against diffusers' pipelines fed by compel as its users do it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from compel import CompelForSD, CompelForSDXL
from hypothesis import given, settings
from hypothesis import strategies as st

from server.engine import EngineError
from server.engine.conditioning.prompt_weights import segments
from tests.plain.engine.conftest import make_request
from tests.plain.engine.families import FAMILIES, ask, assert_same, engine, psnr, stock

LONG = ", ".join(f"a castle of stone number {number} by the sea" for number in range(14))


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("a red castle", [("a red castle", 1)]),
        ("a (red:1.3) castle", [("a", 1), ("red", 1.3), ("castle", 1)]),
        ("(fog:-0.5) (sun:+1.3)", [("fog", -0.5), ("sun", 1.3)]),
        ("(a:0.5)(b: 2 )", [("a", 0.5), ("b", 2)]),
        ("((old:1.1) town:.5), sea", [("old", 0.55), ("town", 0.5), (", sea", 1)]),
        ("(red) ((blue)) [dim]", [("red", 1.1), ("blue", 1.21), ("dim", 1 / 1.1)]),
        ("(red)1.3 (x)2, (y)++", [("red", 1.3), ("x", 1.1), ("2,", 1), ("y", 1.21)]),
        ("a ball++ and-or fog--, C+", [("a", 1), ("ball", 1.21), ("and-or", 1), ("fog", 0.81), (", ", 1), ("C", 1.1)]),
        (r"\(red:1.3\) (blue\):1.2)", [("(red:1.3)", 1), ("blue)", 1.2)]),
        (":) (open (a:1.2)", [(":)", 1), ("open", 1.1), ("a", 1.32)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        (r"\(literal\]", [("(literal]", 1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a", 1),
                ("house", 1.573),
                ("on", 1),
                ("a", 1.1),
                ("hill", 0.55),
                (", sun,", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
        ("[a:1.2] (b:x)", [("a:1.2", 1 / 1.1), ("b:x", 1.1)]),
        ("a <lora:moss:0.8> wall", [("a  wall", 1)]),
        ("(ratio 16:9) at 5:30", [("ratio 16", 9), ("at 5:30", 1)]),
        ("(a] b) [c)", [("a] b", 1.1), ("c)", 1 / 1.1)]),
        ("(a [b) c]", [("a", 1.1), ("b", 1), ("c", 1 / 1.1)]),
        ("(:1.2) () []", [("", 1)]),
        ("((word:1.3)", [("word", 1.43)]),
        ("(word:1.3))", [("word", 1.3), (")", 1)]),
        ("()2++ sea", [("2", 1.21), ("sea", 1)]),
        ("(a)1.5++", [("a", 1.5), ("++", 1)]),
        ("(a:" + "9" * 400 + ")", [("a", 10)]),
        ("(a:-99999)", [("a", -10)]),
        ("(" * 300 + "a" + ")" * 300, [("a", 10)]),
        ("", [("", 1)]),
        ("   ", [("", 1)]),
    ],
)
def test_weights_as_people_write_them(prompt: str, pieces: list[tuple[str, float]]) -> None:
    (segment,) = segments(prompt)
    found = segment.pieces
    assert [text for text, _ in found] == [text.strip() for text, _ in pieces]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in pieces])


@pytest.mark.parametrize(
    "prompt", ["(" * 4000, "(" * 1999 + "a" + ")" * 1999, "a+ " * 1300, "((a:1.1) " * 400, "[(" * 2000]
)
def test_weights_of_anything_are_found(prompt: str) -> None:
    assert segments(prompt)


@settings(max_examples=300, deadline=None)
@given(st.text("()[]:123.+- a,\\\n", max_size=12))
def test_weights_of_any_signs_are_numbers(prompt: str) -> None:
    assert all(-10 <= weight <= 10 for segment in segments(prompt) for _, weight in segment.pieces)


@pytest.mark.parametrize(
    "prompt",
    [
        "a :) (tall",
        "castle.and(",
        "(((",
        ")))",
        '"',
        "a\\",
        "x" * 4000,
        "ünïcödé ☃",
        "()",
        "🏰🌋",
        "(a:99999)",
        "word " * 300,
    ],
)
def test_prompts_that_are_no_syntax_still_make_pictures(prompt: str) -> None:
    assert engine("SD1.5").render(make_request(strength=0.5, steps=1, prompt=prompt)).image.std() > 5


def for_compel(prompt: str) -> str:
    """``prompt`` with ``(words:1.3)`` as compel's own parser reads it."""
    return re.sub(r"\(([^()]*):([\d.]+)\)", r"(\1)\2", prompt)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("prompt", "negative", "guidance"),
    [
        ("a (red:1.4) castle, (grass:0.5)", "", 1.0),
        ("a (red:1.4) castle", "(blurry:1.2), dark", 2.5),
        (LONG, "", 1.0),
        (LONG + ", (red:1.4)", "blurry", 2.5),
        ("a castle", LONG, 2.5),
        ("A stone castle stands on a hill. " * 16, "", 1.0),
        ("a (red)1.4 castle, (grass)0.5", "(blurry)1.2", 2.5),
    ],
    ids=["weights", "weights guided", "long", "long guided", "long negative", "long in sentences", "in compel's way"],
)
def test_prompts_as_compels_users_have_them(family: str, prompt: str, negative: str, guidance: float) -> None:
    request = make_request(strength=0.5, steps=2, seed=3, prompt=prompt, negative_prompt=negative, guidance=guidance)
    pipeline = stock(family, "Img2Img")
    compel: Any = CompelForSDXL if family == "SDXL" else CompelForSD
    made = compel(pipeline)(for_compel(prompt), negative_prompt=for_compel(negative) or None)
    how = {"prompt": None, "negative_prompt": None, "prompt_embeds": made.embeds}
    how |= {"negative_prompt_embeds": made.negative_embeds}
    if made.pooled_embeds is not None:  # of the words alone, without their marks
        bare = [re.sub(r"[():][\d.]*", "", text) for text in (prompt, negative)]
        pooled = compel(pipeline)(bare[0], negative_prompt=bare[1] or None)
        how |= {"pooled_prompt_embeds": pooled.pooled_embeds}
        how |= {"negative_pooled_prompt_embeds": pooled.negative_pooled_embeds}
    ours = engine(family).render(request).image
    assert_same(ours, ask(pipeline, request, **how))
    plain = make_request(strength=0.5, steps=2, seed=3, prompt="a castle", guidance=guidance)
    assert psnr(ours, engine(family).render(plain).image) < 60


def test_more_weight_changes_more() -> None:
    def picture(prompt: str) -> Any:
        return engine("SD1.5").render(make_request(strength=1.0, prompt=prompt)).image.astype(float)

    plain = picture("a red castle")
    changes = [np.abs(picture(f"a (red:{weight}) castle") - plain).mean() for weight in (1.1, 1.5, 3.0)]
    assert changes == sorted(changes)
    assert changes[0] > 0
    assert np.array_equal(picture("a (red:1.0) castle"), picture("a (red:1) castle"))


def test_after_a_break_a_new_piece_begins() -> None:
    """As in A1111: both parts are encoded by themselves, 77 tokens each, and weights reach across."""
    text = engine("SDXL")._text
    both, first, second = (text.encode(words) for words in ("a (red BREAK sea) town", "a (red:1.1)", "(sea:1.1) town"))
    assert torch.equal(both.text, torch.cat([first.text, second.text], 1)) and both.text.shape[1] == 2 * 77
    assert both.pooled is not None and first.pooled is not None and torch.equal(both.pooled, first.pooled)
    assert torch.equal(text.encode("a BREAKfast").text, text.encode("a  BREAKfast").text)
    assert text.encode("a BREAKfast").text.shape[1] == 77


def test_the_pooled_text_is_that_of_the_words_alone() -> None:
    text = engine("SDXL")._text
    plain, marked = text.encode("a red castle, sea").pooled, text.encode("a ((red:1.3)) [castle], sea++").pooled
    assert plain is not None and marked is not None and torch.equal(plain, marked)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a __colour__ castle", "names the wildcard '__colour__', which is not there"),
        ("a castle, embedding:easynegative", "names the embedding 'embedding:easynegative', which is not there"),
        ("a [red:blue:0.5] castle", r"'\[red:blue:0\.5\]' in the prompt changes words while a picture is made"),
        ("a [red|blue] castle", r"'\[red\|blue\]' in the prompt takes words in turn"),
        ("a castle <lora:moss:0.8>", "names the LoRA 'moss', which is not in use"),
        ("a castle <hypernet:moss:0.8>", "names the hypernetwork 'moss', but none can be used"),
        ("a castle <lora:moss:much>", "has the weight 'much', but it must be a number"),
    ],
)
def test_what_a_prompt_names_and_is_not_there_is_said(prompt: str, words: str) -> None:
    for style in ({"prompt": prompt}, {"negative_prompt": prompt}):
        with pytest.raises(EngineError, match=words):
            engine("SD1.5").render(make_request(**style))


def test_and_is_said_in_the_prompt_and_a_word_elsewhere() -> None:
    with pytest.raises(EngineError, match="AND in the prompt composes two prompts in A1111"):
        engine("SD1.5").render(make_request(prompt="a castle AND a moat"))
    for style in ({"prompt": "SAND and STANDING"}, {"negative_prompt": "fog AND rain"}, {"prompt": r"a \[b:c:0.5\]"}):
        engine("SD1.5").render(make_request(**style))


@pytest.mark.parametrize("prompt", ["BREAK " * 600, "\N{WOMAN}\N{ZERO WIDTH JOINER}" * 2000])
def test_a_prompt_of_very_many_pieces_is_refused(prompt: str) -> None:
    words = "the prompt has [0-9]+ pieces of 75 tokens or between BREAKs, but may have 20 at most: make it shorter"
    with pytest.raises(EngineError, match=words):
        engine("SD1.5").render(make_request(prompt=prompt))
