"""Checkpoints that a training run resumes from, written so that a cut never leaves half a file. No bpy."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from tools.training.optim import Optimizer


def save_checkpoint(path: Path, step: int, **parts: torch.nn.Module | Optimizer) -> None:
    """Write the state of `parts` (each with a state_dict) and the number of steps done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save({"step": step, **{k: v.state_dict() for k, v in parts.items()}}, part)
    os.replace(part, path)


def load_checkpoint(path: Path, **parts: torch.nn.Module | Optimizer) -> int:
    """Restore `parts` from `path` and return the number of steps done."""
    data = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(data[name])
    return data["step"]
