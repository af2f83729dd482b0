"""Textual inversions: words of a prompt that stand for vectors of their own. torch and safetensors.

Each of their vectors is a token of its own in every tokenizer, a character of Unicode's private use, so that weights
and breaks act on it as on any word. transformers' tokenizers and text encoders are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from ..cache import Recent
from ..embedding_file import Bundled, Misfit, Vectors, fitted, read_embedding
from ..errors import EngineError
from .inversion_names import marked, pattern

FIRST_LETTER = 0xF0000
"""Of Unicode's supplementary private use, whose letters no prompt has."""
KEPT_PROMPTS = 64


class Inversions:
    """The textual inversions that prompts may name, of files and of LoRAs in use. One thread only.

    ``texts``: pairs of tokenizer and text encoder.
    """

    def __init__(self, texts: list[tuple[Any, Any]]) -> None:
        self._tables = [_Table(tokenizer, encoder) for tokenizer, encoder in texts]
        self._letters: dict[object, str] = {}
        self._files: dict[str, str] = {}
        self._bundled: Sequence[Bundled] = ()
        self._misfits: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._put: Recent[str] = Recent(KEPT_PROMPTS)

    def use(self, files: Mapping[str, Path]) -> None:
        """Have exactly the inversions ``files``, by name, beside those of LoRAs.

        Raises EngineError where one cannot be read. One for another family is no inversion here: it is words, as in
        A1111, but where it is marked as one.
        """
        found, misfits = {}, {}
        for name, path in files.items():
            try:
                found[name.lower()] = self._of_file(path)
            except Misfit as error:
                misfits[name] = f"the embedding {name!r} in the prompt cannot be used: {error}"
            except (EngineError, SafetensorError, OSError) as error:
                reason = str(error).replace(str(path), path.name)
                raise EngineError(f"the embedding {name!r} in the prompt cannot be used: {reason}") from None
        if found != self._files or misfits != self._misfits:
            self._files, self._misfits = found, misfits
            self._changed()

    def use_bundled(self, bundled: Sequence[Bundled]) -> None:
        """Have those that the LoRAs in use bring with them; all of them fit."""
        if bundled != self._bundled:
            self._bundled = bundled
            self._changed()

    def put(self, prompt: str) -> str:
        """``prompt`` with the letters of their vectors for their names. Raises EngineError for a marked misfit."""
        for name, words in self._misfits.items():
            if marked(prompt, name):
                raise EngineError(words, "bad_request")
        if not self._known:
            return prompt
        return self._put.get(prompt, lambda: self._replaced(prompt))

    def _replaced(self, prompt: str) -> str:
        found = pattern(self._known)
        return found.sub(lambda each: each["tag"] or self._known[each["name"].lower()], prompt)

    def _changed(self) -> None:
        of_loras = {each.name.lower(): self._letters_of(each, each.vectors) for each in self._bundled}
        self._known = of_loras | self._files
        self._put.clear()

    def _of_file(self, path: Path) -> str:
        facts = path.stat()
        key = path, facts.st_mtime_ns, facts.st_size
        return self._letters[key] if key in self._letters else self._letters_of(key, read_embedding(path))

    def _letters_of(self, key: object, vectors: Vectors) -> str:
        """The letters that stand for ``vectors``, which are tokens from now on. Raises Misfit."""
        if key not in self._letters:
            rows = fitted(vectors, [table.width for table in self._tables])
            first = sum(map(len, self._letters.values()))
            letters = "".join(chr(FIRST_LETTER + first + index) for index in range(len(rows[0])))
            for table, of in zip(self._tables, rows, strict=True):
                table.add(letters, of)
            self._letters[key] = letters
        return self._letters[key]


class _Table:
    """Gives a tokenizer and its text encoder further tokens; the encoder's own weights stay what they are."""

    def __init__(self, tokenizer: Any, encoder: Any) -> None:
        self._tokenizer, self._encoder = tokenizer, encoder
        self._embedding = encoder.get_input_embeddings()
        self.width: int = self._embedding.weight.shape[1]
        self._rows = torch.empty(0, self.width)
        self._first = -1
        self._asked = torch.empty(0)

    def add(self, letters: str, rows: torch.Tensor) -> None:
        from tokenizers import AddedToken

        self._tokenizer.add_tokens([AddedToken(letter, normalized=False) for letter in letters])
        if self._first < 0:
            self._first = self._tokenizer.convert_tokens_to_ids(letters[0])
            self._encoder.register_forward_pre_hook(self._set_aside, with_kwargs=True)
            self._embedding.register_forward_hook(self._put_in)
        self._rows = torch.cat([self._rows, rows])

    def _set_aside(self, _: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
        """Hand the encoder tokens that it has: SDXL's takes the largest one for the end of the text."""
        ids = given[0] if given else named["input_ids"]
        self._asked = ids - self._first
        plain = torch.where(self._asked < 0, ids, torch.zeros_like(ids))
        return ((plain, *given[1:]), named) if given else (given, named | {"input_ids": plain})

    def _put_in(self, _: Any, given: Any, embedded: torch.Tensor) -> torch.Tensor:
        ours = self._asked >= 0
        if embedded.shape[:-1] != ours.shape or not bool(ours.any()):
            return embedded
        embedded = embedded.clone()
        embedded[ours] = self._rows.to(embedded)[self._asked[ours]]
        return embedded
