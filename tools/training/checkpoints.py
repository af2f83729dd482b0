"""A stage's course, counted in steps or in time, and the checkpoints that it resumes from. No bpy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from tools.training.optim import Optimizer


class Course:
    """The steps of a stage: so many of them (``steps``), or as many as ``seconds`` hold, those of earlier runs counted.

    A checkpoint is written every ``every`` steps and at the end, to a file that a cut never leaves half written.
    """

    def __init__(self, steps: int | None = None, seconds: float | None = None, every: int = 100) -> None:
        if (steps is None) == (seconds is None):
            raise ValueError(f"steps is {steps} and seconds is {seconds}, but one of them is wanted")
        self.total, self.seconds, self.every = steps, seconds, every
        self.done, self.spent = 0, 0.0

    @property
    def progress(self) -> float:
        """How much of the stage is done, 0..1: what learning rates go by."""
        return self.done / self.total if self.total else min(1.0, self.spent / max(self.seconds or 0.0, 1e-9))

    def resume(self, path: Path, **parts: torch.nn.Module | Optimizer | torch.optim.Optimizer) -> int:
        """Restore ``parts`` from the checkpoint at ``path``, if there is one, and return the number of steps done."""
        if path.exists():
            data = torch.load(path, map_location="cpu", weights_only=True)
            for name, part in parts.items():
                part.load_state_dict(data[name])
            self.done, self.spent = data["step"], data.get("seconds", 0.0)
        return self.done

    def run(self, name: str, save: Callable[[], None]) -> Iterator[int]:
        """Yield the steps to make, showing them as ``name``; ``save`` writes the checkpoint."""
        before, start = self.spent, time.monotonic()
        with tqdm(initial=self.done, total=self.total, desc=name, mininterval=10) as bar:
            while self.progress < 1:
                yield self.done
                self.done += 1
                self.spent = before + time.monotonic() - start
                bar.update()
                if self.done % self.every == 0 or self.progress >= 1:
                    save()

    def save(self, path: Path, **parts: torch.nn.Module | Optimizer | torch.optim.Optimizer) -> None:
        """Write the state of ``parts`` (each with a state_dict), the steps done and the seconds that they took."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        torch.save({"step": self.done, "seconds": self.spent, **{k: v.state_dict() for k, v in parts.items()}}, part)
        os.replace(part, path)
