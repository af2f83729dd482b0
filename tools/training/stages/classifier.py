"""A small classifier of a picture's four attributes, trained on real finished pictures only, to judge by. No bpy.

It is no part of the model. Its features also serve the Fréchet distance.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from tools.training.attributes import ATTRIBUTES
from tools.training.checkpoints import Course
from tools.training.dataset import Samples
from tools.training.optim import Average, Optimizer

Heads = Mapping[str, tuple[str, ...]]
"""What a classifier tells: attributes or parts, and the values of each."""
SIDE = 128
FEATURES = 64
EPOCHS = 40
WEIGHTS = Path(__file__).parent / "classifier.safetensors"


class Classifier(nn.Module):
    """Pictures (N, 3, 128, 128), -1..1, to features (N, 64), and from those one set of logits per attribute."""

    def __init__(self, heads: Heads = ATTRIBUTES) -> None:
        super().__init__()
        widths = (3, 32, 64, 96, 128, 128)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            if before > 3:
                layers += [nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.squeeze = nn.Linear(2 * widths[-1], FEATURES)
        self.heads = nn.ModuleList([nn.Linear(FEATURES, len(values)) for values in heads.values()])

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the features (N, 64): the strongest and the mean answers anywhere in the picture, squeezed."""
        maps = self.body(pictures)
        return self.squeeze(torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], 1))

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Return the logits of each attribute, in the order of the heads."""
        features = F.relu(self.features(pictures))
        return [head(F.dropout(features, 0.2, self.training)) for head in self.heads]


def as_input(pictures: NDArray[Any]) -> torch.Tensor:
    """Return the classifier's input of uint8 (N, H, W, 3): the mean over areas, 128 x 128, -1..1."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return F.interpolate(x, (SIDE, SIDE), mode="area")


def train_classifier(
    samples: Samples,
    path: Path = WEIGHTS,
    course: Course | None = None,
    batch: int = 32,
    seed: int = 4,
    device: str = "cpu",
    heads: Heads = ATTRIBUTES,
) -> Classifier:
    """Train on the finished pictures of `samples`, mirrored and cropped, and save the averaged weights, float16.

    ``course``: `EPOCHS` of the samples where it is left out. What a picture has not is no head's to learn from.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Classifier(heads).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer, average = Optimizer([model], 2e-3, plain=("heads",), weight_decay=0.02), Average(model, 0.99)
    pictures, labels = as_input(samples.finals), torch.from_numpy(samples.labels(heads))
    course = course or Course(steps=max(1, EPOCHS * len(samples) // batch))
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "average": average.module}
    checkpoint = path.with_suffix(".pt")
    average.count = course.resume(checkpoint, **parts)
    for _ in course.run("classifier", lambda: course.save(checkpoint, **parts)):
        rows = torch.from_numpy(rng.integers(0, len(samples), batch))
        x = pictures[rows]
        if rng.random() < 0.5:
            x = x.flip(3)
        side = int(rng.integers(88, SIDE + 1))
        top, left = rng.integers(0, SIDE - side + 1, 2)
        x = F.interpolate(x[:, :, top : top + side, left : left + side], (SIDE, SIDE), mode="bilinear")
        x = x.to(device, memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16):
            answers = model(x)
        y = labels[rows].to(device)
        losses = [
            F.cross_entropy(a.float(), y[:, j], label_smoothing=0.05, ignore_index=-1)
            for j, a in enumerate(answers)
            if bool((y[:, j] >= 0).any())
        ]
        torch.stack(losses).sum().backward()
        optimizer.step(course.progress)
        average.update(model)
        for mine, its in zip(average.module.buffers(), model.buffers(), strict=True):
            mine.copy_(its)
    state = {k: v.cpu() for k, v in average.module.state_dict().items()}
    halves = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in state.items()}
    save_file(halves, path, metadata={"heads": json.dumps(heads)})
    checkpoint.unlink(missing_ok=True)
    return load_classifier(path)


def load_classifier(path: Path = WEIGHTS) -> Classifier:
    """Return the trained classifier. Raises FileNotFoundError when it has not been trained."""
    with safe_open(path, "pt") as file:
        told = (file.metadata() or {}).get("heads")
    model = Classifier(json.loads(told) if told else ATTRIBUTES).eval().requires_grad_(False)
    state = load_file(path)
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return model


@torch.no_grad()
def judge(model: Classifier, pictures: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the guessed classes, int64 (N, 4), and the features, float64 (N, 64), of uint8 (N, H, W, 3)."""
    guesses, features = [], []
    for k in range(0, len(pictures), 32):
        x = as_input(pictures[k : k + 32])
        guesses.append(torch.stack([a.argmax(1) for a in model(x)], 1))
        features.append(model.features(x).double())
    return torch.cat(guesses).numpy(), torch.cat(features).numpy()
