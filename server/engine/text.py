"""Prompts to embeddings, each encoded once. torch, compel and transformers' modules handed in.

Weights are written as in A1111 and ComfyUI, ``(word:1.3)``, or in compel's own way, ``(word)1.3``, ``word++``. A prompt
longer than the tokenizer's limit (75 tokens as a rule) is encoded in pieces of that length, one after the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from compel import Compel, ReturnedEmbeddingsType

from .cache import Recent
from .quiet import quiet

KEPT_PROMPTS = 64


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
        self._encoders = [
            Compel(
                tokenizer,
                encoder,
                truncate_long_prompts=False,
                returned_embeddings_type=inner if self._pooled else plain,
                requires_pooled=self._pooled and encoder is texts[-1][1],
                device=str(device),
            )
            for tokenizer, encoder in texts
        ]
        self._kept: Recent[Prompt] = Recent(KEPT_PROMPTS)

    def encode(self, prompt: str) -> Prompt:
        """The embedding of ``prompt``, B = 1."""
        return self._kept.get(prompt, lambda: self._encode(prompt))

    def pair(self, negative: str, prompt: str) -> Prompt:
        """The embeddings of both, for classifier-free guidance: B = 2, the negative one first."""
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
        written = with_compels_weights(prompt)
        texts, pooled = [], None
        with quiet():  # a prompt over the limit is nothing to warn of here
            for encoder in self._encoders:
                if encoder.requires_pooled:
                    text, pooled = encoder(written)
                    pooled = pooled.to(self._dtype)
                else:
                    text = encoder(written)
                texts.append(text.to(self._dtype))
        return Prompt(torch.cat(texts, -1), pooled)

    def _same_length(self, texts: list[torch.Tensor]) -> list[torch.Tensor]:
        """``texts``, the shorter ones continued by the embedding of nothing, as compel does it."""
        longest = max(text.shape[1] for text in texts)
        nothing = self.encode("").text
        for index, text in enumerate(texts):
            missing = longest - text.shape[1]
            if missing:
                texts[index] = torch.cat([text, nothing.repeat(1, missing // nothing.shape[1], 1)], 1)
        return texts


_WEIGHT = re.compile(r":\s*(\d+(?:\.\d*)?|\.\d+)\s*$")


def with_compels_weights(prompt: str) -> str:
    """``prompt`` with each ``(words:1.3)`` written as compel reads it, ``(words)1.3``; the rest as it was.

    >>> with_compels_weights("a (red:1.2) castle, ((old:1.1) town:0.5)")
    'a (red)1.2 castle, ((old)1.1 town)0.5'
    """
    opened: list[int] = []
    written: list[str] = []
    escaped = False
    for sign in prompt:
        written.append(sign)
        if escaped or sign == "\\":
            escaped = not escaped
        elif sign == "(":
            opened.append(len(written) - 1)
        elif sign == ")" and opened:
            start = opened.pop()
            inside = "".join(written[start + 1 : -1])
            found = _WEIGHT.search(inside)
            if found:
                written[start:] = [f"({inside[: found.start()]}){float(found[1]):g}"]
    return "".join(written)
