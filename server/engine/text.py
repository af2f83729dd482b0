"""Prompts to embeddings, each encoded once. torch and transformers' modules handed in."""

from __future__ import annotations

from typing import Any

import torch

from .cache import Recent

KEPT_PROMPTS = 64


class PromptEncoder:
    """The CLIP text encoder with the embeddings of the prompts used last.

    A prompt longer than the tokenizer's limit (77 tokens as a rule) is cut there, as diffusers does it.
    """

    def __init__(self, tokenizer: Any, encoder: Any, device: torch.device, dtype: torch.dtype) -> None:
        self._tokenizer, self._encoder, self._device, self._dtype = tokenizer, encoder, device, dtype
        self._kept: Recent[torch.Tensor] = Recent(KEPT_PROMPTS)

    def encode(self, prompt: str) -> torch.Tensor:
        """The embedding of ``prompt``: 1 x tokens x width, on the device."""
        return self._kept.get(prompt, lambda: self._encode(prompt))

    def pair(self, negative: str, prompt: str) -> torch.Tensor:
        """The embeddings of both, for classifier-free guidance: 2 x tokens x width, the negative one first."""
        key = (negative, prompt)
        return self._kept.get(key, lambda: torch.cat([self.encode(negative), self.encode(prompt)]))

    def _encode(self, prompt: str) -> torch.Tensor:
        tokens = self._tokenizer(
            prompt,
            padding="max_length",
            max_length=self._tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        mask = tokens.attention_mask if getattr(self._encoder.config, "use_attention_mask", False) else None
        embedding = self._encoder(
            tokens.input_ids.to(self._device), attention_mask=None if mask is None else mask.to(self._device)
        )[0]
        return embedding.to(self._dtype)
