"""Textual inversions in the forms of A1111, ComfyUI, kohya, OneTrainer and diffusers. torch and safetensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from .errors import EngineError
from .loading.recognise import FAMILIES, require

KEYS = ("emb_params", "string_to_param.*", "clip_l")
"""What the only tensor of one for a model with one text encoder is called by A1111 and by trainers."""

Vectors = Mapping[str, torch.Tensor]
"""What a file has of one inversion, by the names in it."""


@dataclass(frozen=True, eq=False)
class Bundled:
    """An inversion that a LoRA's file brings with it."""

    name: str
    vectors: Vectors


class Misfit(ValueError):
    """An inversion for another family of models; the message says which, as the end of a sentence."""


def fitted(vectors: Vectors, widths: Sequence[int]) -> list[torch.Tensor]:
    """``vectors`` for text encoders of these ``widths``, count x width each, in fp32. Raises Misfit.

    >>> [each.shape for each in fitted({"clip_l": torch.zeros(2, 8), "clip_g": torch.zeros(2, 9)}, [8, 9])]
    [torch.Size([2, 8]), torch.Size([2, 9])]
    """
    if len(widths) == 2:
        given = [vectors[key] for key in ("clip_l", "clip_g") if key in vectors]
    elif len(vectors) == 1:
        given = list(vectors.values())
    else:
        given = [vectors[key] for key in KEYS if key in vectors and "clip_g" not in vectors][:1]
    rows = [each.float().reshape(-1, each.shape[-1]) for each in given if each.numel()]
    if len({len(each) for each in rows}) > 1:
        raise Misfit(
            f"it is damaged: it has {' and '.join(str(len(each)) for each in rows)} vectors, not as many in both"
        )
    if [each.shape[-1] for each in rows] != list(widths):
        found = ", ".join(f"{key} {list(value.shape)}" for key, value in list(vectors.items())[:3])
        last = {value.shape[-1] for value in vectors.values() if value.ndim}
        family = "SDXL" if "clip_g" in vectors else next((FAMILIES[side] for side in last if side in FAMILIES), "")
        made = f"it was made for {family or 'another family of models'}"
        raise Misfit(f"{made} (it has {found}), and this model takes {' and '.join(map(str, widths))} numbers a word")
    return rows


def read_embedding(path: Path) -> Vectors:
    """What the file ``path`` has of an inversion. Raises EngineError."""
    require(path, ("embedding",), "an embedding")
    vectors = load_file(path)
    if not is_finite(vectors):
        raise EngineError(f"{path} is damaged: it has values that are no numbers; use another")
    return vectors


def is_finite(vectors: Vectors) -> bool:
    """Whether all values are numbers."""
    return all(bool(value.float().isfinite().all()) for value in vectors.values())
