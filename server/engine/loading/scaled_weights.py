"""Weights in fp8 with a scale beside them, as ComfyUI's tools write them, to plain ones. torch alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import EngineError
from .files import SCALES

BESIDE = (".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")
"""What lies there for sums in fp8, and does not change the weights."""


def multiplied(tensors: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """``tensors`` of the file ``path`` without scales: each has multiplied its weight, in fp32. Raises EngineError."""
    plain = {name: value for name, value in tensors.items() if not name.endswith((*SCALES, *BESIDE))}
    for name, scale in tensors.items():
        if not name.endswith(SCALES):
            continue
        of = f"{name.rpartition('.')[0]}.weight"
        if of not in plain:
            raise EngineError(f"{path} has the scale {name}, but not the weight {of}: it is damaged; copy it again")
        weight, value = plain[of], scale.float()
        if name + "_2" in tensors or weight.dtype == torch.uint8:
            raise EngineError(
                f"{path} has {of} in four bits, two of them in each byte, which cannot be read: take it in fp8 or fp16"
            )
        plain[of] = weight.float() * _spread(value, weight, f"{path} has the scale {name}")
    for name, weight in plain.items():
        if name.endswith(".weight") and not weight.is_floating_point():
            kind = str(weight.dtype).removeprefix("torch.")
            raise EngineError(
                f"{path} has {name} as whole numbers ({kind}) without a scale that is known, so it cannot be read: "
                "take it in fp8 or fp16"
            )
    return plain


def _spread(scale: torch.Tensor, weight: torch.Tensor, what: str) -> torch.Tensor:
    """``scale`` in a shape that multiplies ``weight``: one for all, one for each row, or one for each block."""
    if scale.numel() == 1:
        return scale.reshape(())
    rows = weight.shape[0] if weight.ndim else 0
    if scale.numel() == rows and scale.shape[0] == rows:
        return scale.reshape(rows, *[1] * (weight.ndim - 1))
    if scale.ndim == weight.ndim == 2 and all(w % s == 0 for w, s in zip(weight.shape, scale.shape, strict=True)):
        high, wide = (w // s for w, s in zip(weight.shape, scale.shape, strict=True))
        return scale.repeat_interleave(high, 0).repeat_interleave(wide, 1)
    raise EngineError(f"{what} of shape {list(scale.shape)}, which is none for a weight of {list(weight.shape)}")
