"""The small byte-level tokenizer in the files of CLIP's. tokenizers and transformers, no torch.

Every byte is a token, so any text in any language can be written; the merges are learnt from captions and from
ordinary English, so that common words are one or two tokens.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from tools.training.attributes import ATTRIBUTES
from tools.training.captions import compose
from tools.training.parts import choose, compose_parts

VOCABULARY = 2048
MAX_TOKENS = 77
START, END = "<|startoftext|>", "<|endoftext|>"
ENGLISH = Path(__file__).parents[2] / "LICENSE"
# CLIP's own pattern: contractions, words, single digits, runs of signs
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def write_tokenizer(folder: Path) -> None:
    """Learn the merges and write vocab.json, merges.txt and the two config files that CLIPTokenizer reads."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    singles = [*alphabet, *(letter + "</w>" for letter in alphabet)]
    merges = _learn(_corpus(), VOCABULARY - len(singles) - 2, alphabet)
    tokens = list(dict.fromkeys([*singles, *("".join(pair) for pair in merges)]))
    tokens += [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(
        json.dumps({token: index for index, token in enumerate(tokens)}, ensure_ascii=False)
    )
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=1))
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": MAX_TOKENS, "do_lower_case": True, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


def _corpus() -> Iterable[str]:
    rng = random.Random(1)
    for _ in range(20_000):
        yield compose({name: rng.choice(values) for name, values in ATTRIBUTES.items()}, rng)
        yield compose_parts(choose(rng), rng)
    english = ENGLISH.read_text(encoding="utf-8")
    for _ in range(3):
        yield english


def _learn(corpus: Iterable[str], count: int, alphabet: list[str]) -> list[tuple[str, str]]:
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=count + 2 * len(alphabet), initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    pairs = json.loads(tokenizer.to_str())["model"]["merges"]
    return [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in pairs][:count]
