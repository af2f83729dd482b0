"""Muon for weight matrices and AdamW for the rest, with a warm-up and cosine schedule, and weight averages. No bpy."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


def orthogonalize(update: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return the nearest semi-orthogonal matrix to a batch of matrices (..., m, n), roughly.

    Quintic Newton-Schulz iteration with the coefficients of Muon (Keller Jordan, 2024).
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = update.bfloat16() if update.size(-1) > 64 else update
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(update.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised per weight matrix; a convolution counts as (out, in * kh * kw).

    The step has a root mean square of 0.2 * lr, so that the learning rate of AdamW fits (Moonlight, arXiv 2502.16982).
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make one step from the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                buffer = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                flat = p.grad.lerp(buffer, group["momentum"]).reshape(p.size(0), -1)
                update = orthogonalize(flat).reshape(p.shape) * (0.2 * math.sqrt(max(flat.shape)))
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])


class Optimizer:
    """Muon on matrices and convolutions, AdamW on vectors, embeddings and the parameters named in `plain`."""

    def __init__(
        self, modules: list[nn.Module], lr: float, plain: tuple[str, ...] = (), weight_decay: float = 0.0
    ) -> None:
        named = [(n, p) for m in modules for n, p in m.named_parameters() if p.requires_grad]
        matrix = [p for n, p in named if p.ndim >= 2 and not any(s in n for s in plain)]
        chosen = {id(p) for p in matrix}
        rest = [p for _, p in named if id(p) not in chosen]
        self.parts: list[torch.optim.Optimizer] = []
        if matrix:
            self.parts.append(Muon(matrix, lr=lr, weight_decay=weight_decay))
        if rest:
            self.parts.append(torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0))
        self.parameters = [p for _, p in named]
        self.lr = lr

    def step(self, progress: float, warmup: float = 0.02, clip: float = 1.0) -> None:
        """Make one step; `progress` in 0..1 sets the learning rate: linear warm-up, then cosine to 2 %."""
        factor = min(1.0, (progress + 1e-4) / warmup) * (
            0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        )
        torch.nn.utils.clip_grad_norm_(self.parameters, clip)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.lr * factor
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the state of both optimizers."""
        return [p.state_dict() for p in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore what `state_dict` returned."""
        for part, state in zip(self.parts, states, strict=False):
            part.load_state_dict(state)


class Average:
    """An exponential moving average of a module's weights, kept as a module of its own in `.module`."""

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay, self.count = decay, 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards `module`; early on it follows faster, so that it forgets the initial weights."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for a, p in zip(self.module.parameters(), module.parameters(), strict=False):
            a.lerp_(p, 1 - decay)
