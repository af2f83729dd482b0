"""Prompts as embeddings, each encoded once. torch and compel; transformers' modules are passed in.

Weights may be written as in A1111 and ComfyUI, ``(word:1.3)``, or in compel's own way. A prompt longer than the
tokenizer's limit (75 tokens as a rule) is encoded in pieces of that length, one after the other; after A1111's BREAK
a new piece begins. compel computes both; its own parser is left aside, as it takes seconds for five parentheses
within each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..cache import MOST_BYTES, Recent
from ..errors import EngineError
from ..quiet_libraries import quiet
from .inversions import Inversions
from .prompt_weights import Segment, segments

with quiet():  # it imports all of diffusers' pipelines, some of which miss libraries that nothing here needs
    from compel import EmbeddingsProvider, ReturnedEmbeddingsType, SplitLongTextMode

KEPT_PROMPTS = 64
PIECE, MOST_PIECES = 75, 20
"""Tokens, and pieces of so many in a prompt: 4,000 letters of prose have 13. A UNet looks at each in all layers."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """``text``: B x tokens x width. ``pooled``: B x width, or None where the model takes none. On the device."""

    text: torch.Tensor
    pooled: torch.Tensor | None = None


class PromptEncoder:
    """The text encoders of a model, with the embeddings of the prompts used last.

    ``texts``: pairs of tokenizer and text encoder, one of SD1.5, two of SDXL, whose embeddings are laid side by side.
    ``blank_negative``: an empty negative prompt is embedded as zeros, as diffusers does it for SDXL's base model.
    """

    def __init__(
        self, texts: list[tuple[Any, Any]], device: torch.device, dtype: torch.dtype, blank_negative: bool = False
    ) -> None:
        self._dtype, self._blank_negative = dtype, blank_negative
        self._pooled = len(texts) > 1
        # as diffusers' pipelines choose: SDXL's text is the second to last layer's output, before the last norm
        plain = ReturnedEmbeddingsType.LAST_HIDDEN_STATES_NORMALIZED
        inner = ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
        self._device = str(device)
        self._encoders = [
            EmbeddingsProvider(
                tokenizer,
                encoder,
                truncate=False,
                returned_embeddings_type=inner if self._pooled else plain,
                split_long_text_mode=SplitLongTextMode.SENTENCES,  # as Compel itself has it
                device=self._device,
            )
            for tokenizer, encoder in texts
        ]
        self._kept: Recent[Prompt] = Recent(KEPT_PROMPTS, MOST_BYTES)
        self.inversions = Inversions(texts)

    def encode(self, prompt: str) -> Prompt:
        """The embedding of ``prompt``, B = 1."""
        prompt = self.inversions.put(prompt)
        return self._kept.get(prompt, lambda: self._encode(prompt))

    def pair(self, negative: str, prompt: str) -> Prompt:
        """The embeddings of both, for classifier-free guidance: B = 2, the negative one first."""
        negative, prompt = self.inversions.put(negative), self.inversions.put(prompt)
        return self._kept.get((negative, prompt), lambda: self._pair(negative, prompt))

    def forget(self) -> None:
        """Forget all embeddings: the text encoders' weights are others now."""
        self._kept.clear()

    def _pair(self, negative: str, prompt: str) -> Prompt:
        one, other = self.encode(negative), self.encode(prompt)
        if self._blank_negative and not negative:
            one = Prompt(torch.zeros_like(one.text), None if one.pooled is None else torch.zeros_like(one.pooled))
        texts = self._same_length([one.text, other.text])
        pooled = None if one.pooled is None or other.pooled is None else torch.cat([one.pooled, other.pooled])
        return Prompt(torch.cat(texts), pooled)

    def _encode(self, prompt: str) -> Prompt:
        parts, pooled = segments(prompt), None
        self._check_length(parts)
        with quiet():  # a prompt over the limit is nothing to warn of here
            # tokenizers cut at the same places, so that all encoders make as many pieces of a part
            text = torch.cat([self._embedded(part).to(self._dtype) for part in parts], 1)
            if self._pooled:
                # one for the whole picture, as in A1111 and ComfyUI: of the first part, and of its words alone
                pooled = self._encoders[-1].get_pooled_embeddings([parts[0].plain], device=self._device)
                pooled = pooled.to(self._dtype)
        return Prompt(text, pooled)

    def _check_length(self, parts: Sequence[Segment]) -> None:
        """Raise EngineError for a prompt that would take minutes and gigabytes."""
        count = len(parts)
        if count <= MOST_PIECES:
            tokenizer = self._encoders[0].tokenizer
            with quiet():
                lengths = [len(tokenizer(part.plain, add_special_tokens=False)["input_ids"]) for part in parts]
            count = sum(max(1, math.ceil(length / PIECE)) for length in lengths)
        if count > MOST_PIECES:
            raise EngineError(
                f"the prompt has {count} pieces of {PIECE} tokens or between BREAKs, but may have {MOST_PIECES} at "
                "most: make it shorter",
                "bad_request",
            )

    def _embedded(self, part: Segment) -> torch.Tensor:
        """1 x tokens x width of all encoders."""
        pieces, weights = (list(side) for side in zip(*part.pieces, strict=True))
        texts = [
            encoder.get_embeddings_for_weighted_prompt_fragments([pieces], [weights], device=self._device)
            for encoder in self._encoders
        ]
        return torch.cat(texts, -1)

    def _same_length(self, texts: list[torch.Tensor]) -> list[torch.Tensor]:
        """``texts``, the shorter ones continued by the embedding of nothing, as compel does it."""
        longest = max(text.shape[1] for text in texts)
        nothing = self.encode("").text
        for index, text in enumerate(texts):
            missing = longest - text.shape[1]
            if missing:
                texts[index] = torch.cat([text, nothing.repeat(1, missing // nothing.shape[1], 1)], 1)
        return texts
