"""A style picture as an IP-Adapter's embeddings, encoded once per picture. torch and transformers' modules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPImageProcessorPil

from ..cache import Recent
from ..loading.controls import StyleParts
from ..sampling.pipeline import Pipeline
from .conditions import KeptFor

KEPT_PICTURES = 4


class StylePicture:
    """The style picture in use, of the IP-Adapter whose layers are in the pipeline's UNet. One thread only."""

    def __init__(self, parts: StyleParts, pipeline: Pipeline, place: Callable[[Any], Any]) -> None:
        self.encoder = place(parts.encoder)
        self._hidden, self._pipeline = parts.hidden, pipeline
        side = self.encoder.config.image_size
        self._processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
        self._kept: Recent[torch.Tensor] = Recent(KEPT_PICTURES)
        # what the encoder makes of no picture: the negative row, and what stands in where there is none
        self._nothing = self._encode(torch.zeros(1, 3, side, side))
        if not self._hidden:
            self._nothing = torch.zeros_like(self._nothing)
        self._encoded = self._nothing
        self._rows: KeptFor[torch.Tensor] = KeptFor(2 * KEPT_PICTURES)
        self.weight = -1.0
        self._set_weight(0.0)

    def use(self, image: NDArray[np.uint8] | None, weight: float) -> None:
        """Follow ``image``, uint8 H x W x 3, from the next picture on; None or a weight of 0 is none."""
        if image is None or weight <= 0:
            self._encoded = self._nothing
            self._set_weight(0.0)
            return
        key = hashlib.blake2b(np.ascontiguousarray(image).tobytes()).digest(), image.shape
        self._encoded = self._kept.get(key, lambda: self._encode(self._pixels(image)))
        self._set_weight(weight)

    def rows(self, rows: int) -> torch.Tensor:
        """The encoded picture for ``rows`` rows, 1 or 2: B x 1 x ..., the negative row first."""
        both = self._nothing, self._encoded
        return self._rows.get(both, lambda: (self._encoded if rows == 1 else torch.cat(both))[:, None], rows)

    def _set_weight(self, weight: float) -> None:
        if weight == self.weight:
            return
        for processor in self._pipeline.unet.attn_processors.values():
            if hasattr(processor, "to_k_ip"):
                processor.scale = [weight]
        self.weight = weight
        if self._pipeline.quick is None:  # which has it among its inputs
            self._pipeline.baked += 1

    def _pixels(self, image: NDArray[np.uint8]) -> torch.Tensor:
        return self._processor(Image.fromarray(image), return_tensors="pt").pixel_values

    @torch.inference_mode()
    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(self.encoder.device, self.encoder.dtype)
        if self._hidden:
            return self.encoder(pixels, output_hidden_states=True).hidden_states[-2]
        return self.encoder(pixels).image_embeds
