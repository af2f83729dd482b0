"""The words that a small model knows, by kind, and those of a prompt that it does not. Standard library only; no bpy.

::

    {"buildings": {"red brick": ["brick", "red bricks"]}, "sky": {"noon": ["midday"]}, "neutral": ["castle", "on"]}

Each kind has its words and other ways to say them; the words of ``neutral`` were in the captions that the model was
trained with, but say nothing by themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NEUTRAL = "neutral"
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_WEIGHT = re.compile(r":\s*[-+]?[0-9.]+\s*(?=\))|<[^<>]*>")
"""What a prompt marks words with: (word:1.2), <lora:name:0.8>."""


@dataclass(frozen=True)
class Vocabulary:
    """``kinds``: the words that a picture can be asked for by, by kind. ``ways``: those and all other ways to say them.

    ``known``: all phrases, as words.
    """

    kinds: Mapping[str, tuple[str, ...]]
    ways: Mapping[str, tuple[str, ...]]
    known: frozenset[tuple[str, ...]]

    def unknown(self, prompt: str) -> tuple[str, ...]:
        """The words of ``prompt`` that mean nothing to the model, each once, in their order.

        The longest known phrase is taken first, so that "stone brick" is one thing and "brick" another.
        """
        words = [found.group().lower() for found in _WORD.finditer(_WEIGHT.sub(" ", prompt))]
        longest = max(map(len, self.known), default=1)
        missing: dict[str, None] = {}
        at = 0
        while at < len(words):
            fits = (size for size in range(longest, 0, -1) if tuple(words[at : at + size]) in self.known)
            size = next(fits, 0)
            if not size:
                missing[words[at]] = None
            at += size or 1
        return tuple(missing)

    def put(self, prompt: str, kind: str, word: str) -> str:
        """``prompt`` with ``word`` in place of what it says of the same ``kind``, in whatever way, or at its end."""
        for old in sorted(self.ways[kind], key=len, reverse=True):
            found = re.search(rf"\b{re.escape(old)}\b", prompt, re.IGNORECASE)
            if found:
                return _with_article(prompt[: found.start()], word) + word + prompt[found.end() :]
        return f"{prompt.rstrip(' ,')}, {word}" if prompt.strip(" ,") else word


def _with_article(before: str, word: str) -> str:
    """``before`` with its last "a" or "an" as ``word`` wants it."""
    article = "an " if word[0] in "aeiou" else "a "
    return re.sub(r"\ban? $", article, before)


def read_vocabulary(path: Path) -> Vocabulary:
    """Read the file of a model's words. Raises OSError, and ValueError for one that is no such file."""
    told = json.loads(path.read_text("utf-8"))
    neutral = told.pop(NEUTRAL)
    said = {name: tuple(phrase for word in kind for phrase in (word, *kind[word])) for name, kind in told.items()}
    phrases = [*neutral, *(phrase for ways in said.values() for phrase in ways)]
    known = frozenset(tuple(found.group().lower() for found in _WORD.finditer(phrase)) for phrase in phrases)
    return Vocabulary({kind: tuple(words) for kind, words in told.items()}, said, known)
