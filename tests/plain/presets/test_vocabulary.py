"""Which words of a prompt the embedded model knows. No bpy."""

from __future__ import annotations

from pathlib import Path

import pytest

from addon.presets.vocabulary import read_vocabulary
from tools.training.attributes import ATTRIBUTES
from tools.training.captions import PATTERNS, THINGS, WAYS

WORDS = Path(__file__).resolve().parents[3] / "server" / "models" / "embedded" / "words.json"
VOCABULARY = read_vocabulary(WORDS)


def test_the_file_has_the_words_that_the_model_was_trained_with() -> None:
    assert VOCABULARY.kinds == ATTRIBUTES
    for word in (way for ways in WAYS.values() for way in ways):
        assert not VOCABULARY.unknown(word), word
    for pattern in PATTERNS:
        said = {kind: words[0] for kind, words in ATTRIBUTES.items()}
        for thing in THINGS:
            assert not VOCABULARY.unknown(pattern.format(thing=thing, **said))


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("a sandstone castle on grass at noon", ()),
        ("A Sandstone Castle, on GRASS; at noon!", ()),
        ("a dragon on a red brick tower, dragon, cyberpunk", ("dragon", "cyberpunk")),
        ("a (red brick:1.3) castle, <lora:ink:0.8>, cherry blossoms", ("cherry", "blossoms")),
        ("ein Schloß aus Eis", ("ein", "schloß", "aus", "eis")),
        ("", ()),
    ],
)
def test_unknown_words_are_named_once_in_their_order(prompt: str, unknown: tuple[str, ...]) -> None:
    assert VOCABULARY.unknown(prompt) == unknown


@pytest.mark.parametrize(
    ("prompt", "kind", "word", "changed"),
    [
        ("a sandstone castle on grass", "buildings", "ice", "an ice castle on grass"),
        ("a mossy stone castle", "buildings", "stone brick", "a stone brick castle"),
        ("a shiny gold castle in a meadow", "buildings", "ice", "an ice castle in a meadow"),
        ("a golden castle in a meadow", "ground", "snow", "a golden castle in snow"),
        ("a castle", "sky", "fog", "a castle, fog"),
        ("a castle, ", "sky", "fog", "a castle, fog"),
        (" ", "sky", "fog", "fog"),
    ],
)
def test_a_word_takes_the_place_of_another_of_its_kind(prompt: str, kind: str, word: str, changed: str) -> None:
    assert VOCABULARY.put(prompt, kind, word) == changed


def test_a_long_prompt_is_read_at_once() -> None:
    assert VOCABULARY.unknown("grass " * 600 + "yak") == ("yak",)
