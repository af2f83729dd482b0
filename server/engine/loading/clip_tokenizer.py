"""CLIP's tokenizer, which single-file checkpoints lack. transformers only; no network.

``clip_merges.txt.gz`` holds the first 48,894 merges of ``bpe_simple_vocab_16e6.txt`` in openai/CLIP (MIT licence).
The vocabulary follows from them: 256 bytes, the same at a word's end, the merges, and the two marks.
"""

from __future__ import annotations

import functools
import gzip
from pathlib import Path

from transformers import CLIPTokenizer

MERGES = Path(__file__).with_name("clip_merges.txt.gz")
START, END = "<|startoftext|>", "<|endoftext|>"
LONGEST = 77
"""Tokens of a prompt with both its marks."""


def clip_tokenizer(pad: str = END) -> CLIPTokenizer:
    """The tokenizer of every SD1.5 and SDXL. ``pad``: what fills up short prompts; SDXL's second one takes "!"."""
    words, merges = _vocabulary()
    return CLIPTokenizer(vocab=words, merges=merges, pad_token=pad, model_max_length=LONGEST)


@functools.cache
def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The numbers of all tokens, and what two of them each are merged from, in order."""
    merges = gzip.decompress(MERGES.read_bytes()).decode().split("\n")
    # the 188 printable bytes stand for themselves; the other 68 for the characters from 256 on
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    signs = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(256 - len(printable))]
    words = [*signs, *(sign + "</w>" for sign in signs), *(merge.replace(" ", "") for merge in merges), START, END]
    pairs = [(first, second) for first, _, second in (merge.partition(" ") for merge in merges)]
    return {word: index for index, word in enumerate(words)}, pairs
