"""Differences of weights from the factors in a file: LoRA, LoHa, LoKr, DoRA and whole ones. torch alone.

The formulas are those of peft (https://github.com/huggingface/peft, tuners/lora, loha and lokr) and of LyCORIS
(https://github.com/KohakuBlueleaf/LyCORIS, lycoris/functional). All is computed in fp32.

LoHa is scaled once, by alpha / rank, as LyCORIS' own forward has it, with which it was trained, and peft, ComfyUI and
A1111, too. LyCORIS' ``get_diff_weight`` scales what ``get_weight`` has scaled (4.1.3, modules/loha.py): its
``get_merged_weight`` alone differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

Factors = Mapping[str, torch.Tensor]
"""The tensors of a layer by what they are: down, up, mid, hada_w1_a, lokr_w2, magnitude and so on."""


class Misfit(ValueError):
    """The factors of a layer do not belong together; the message says how, as the end of a sentence."""


class Difference(Protocol):
    """What is added to a weight. ``size``: (rows, numbers in each), which the weight must have, too."""

    @property
    def size(self) -> tuple[int, int]: ...
    def to(self, device: torch.device) -> Difference: ...
    def tensors(self) -> tuple[torch.Tensor, ...]: ...
    def of(self, original: torch.Tensor, factor: float) -> torch.Tensor:
        """What ``factor`` of it adds to a weight that was ``original``, fp32, in that one's shape."""
        ...


@dataclass(frozen=True)
class Linear:
    """A difference that does not depend on the weight: ``scale * make(factors)``, brought to the weight's shape."""

    make: Callable[[Factors], torch.Tensor]
    factors: Factors
    scale: float
    size: tuple[int, int]

    def to(self, device: torch.device) -> Linear:
        return Linear(self.make, {name: each.to(device) for name, each in self.factors.items()}, self.scale, self.size)

    def tensors(self) -> tuple[torch.Tensor, ...]:
        return tuple(self.factors.values())

    def whole(self, shape: torch.Size) -> torch.Tensor:
        """It all, fp32, in ``shape``."""
        made = self.make({name: each.float() for name, each in self.factors.items()})
        return made.reshape(shape).mul_(self.scale)

    def of(self, original: torch.Tensor, factor: float) -> torch.Tensor:
        return self.whole(original.shape).mul_(factor)


@dataclass(frozen=True)
class Replaced:
    """A weight in place of the model's own, as peft keeps what it trained as a whole."""

    value: torch.Tensor

    @property
    def size(self) -> tuple[int, int]:
        return size_of(self.value)

    def to(self, device: torch.device) -> Replaced:
        return Replaced(self.value.to(device))

    def tensors(self) -> tuple[torch.Tensor, ...]:
        return (self.value,)

    def of(self, original: torch.Tensor, factor: float) -> torch.Tensor:
        return (self.value.float().reshape(original.shape) - original.float()).mul_(factor)


@dataclass(frozen=True)
class Decomposed:
    """DoRA (arXiv 2402.09353): ``magnitude`` times the direction of the weight with ``inner`` added.

    ``by_output``: one magnitude for each row of the weight, as in peft; else for each column, as LyCORIS has had it.
    """

    inner: Linear
    magnitude: torch.Tensor
    by_output: bool

    @property
    def size(self) -> tuple[int, int]:
        return self.inner.size

    def to(self, device: torch.device) -> Decomposed:
        return Decomposed(self.inner.to(device), self.magnitude.to(device), self.by_output)

    def tensors(self) -> tuple[torch.Tensor, ...]:
        return (*self.inner.tensors(), self.magnitude)

    def of(self, original: torch.Tensor, factor: float) -> torch.Tensor:
        before = original.float()
        moved = before + self.inner.of(original, factor)
        kept = 0 if self.by_output else 1
        norm = moved.transpose(0, kept).flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
        each = [1] * moved.ndim
        each[kept] = -1
        return moved * (self.magnitude.float().flatten() / norm).view(each) - before


def rank_of(factors: Factors) -> int | None:
    """The rank by which an alpha beside ``factors`` is divided; None where they are whole, and have none."""
    for name in ("down", "embedding_a", "hada_w1_b", "lokr_w1_b", "lokr_w2_b"):
        if name in factors:
            return int(factors[name].shape[0])
    return None


def difference(factors: Factors, scale: float) -> Difference:
    """The difference of a weight that ``factors`` make, without those of its bias. Raises Misfit."""
    magnitude = factors.get("magnitude", factors.get("dora_scale"))
    made = _linear({name: each for name, each in factors.items() if name not in ("magnitude", "dora_scale")}, scale)
    if magnitude is None:
        return made
    # peft has one for each output; LyCORIS a row for the inputs, or a column for the outputs
    return Decomposed(made, magnitude, "magnitude" in factors or magnitude.shape[:1] == made.size[:1])


def whole(value: torch.Tensor, scale: float = 1.0) -> Linear:
    """A difference that is written out."""
    return Linear(_written_out, {"value": value}, scale, size_of(value))


def _linear(factors: Factors, scale: float) -> Linear:
    names = set(factors)
    try:
        for needed, make, measure in _KINDS:
            if names == needed:
                return Linear(make, factors, scale, measure(factors))
        if names in _LOKR:
            return Linear(_lokr, factors, scale, _lokr_size(factors))
    except (IndexError, ValueError):
        raise Misfit("its halves do not fit together") from None
    raise Misfit(_lacking(names))


def _lacking(names: set[str]) -> str:
    for needed in (*(needed for needed, _, _ in _KINDS), *_LOKR):
        if names < needed:
            return f"it lacks {', '.join(sorted(needed - names))}"
    return f"nothing is known that consists of {', '.join(sorted(names))}"


def size_of(value: torch.Tensor) -> tuple[int, int]:
    """Its rows, and how many numbers each of them has."""
    return (value.shape[0], math.prod(value.shape[1:])) if value.ndim else (1, 1)


def _product_size(up: torch.Tensor, down: torch.Tensor) -> tuple[int, int]:
    if up.ndim < 2 or down.ndim < 2 or math.prod(up.shape[1:]) != down.shape[0] or not down.shape[0]:
        raise ValueError
    return up.shape[0], math.prod(down.shape[1:])


def _written_out(of: Factors) -> torch.Tensor:
    return of["value"]


def _lora(of: Factors) -> torch.Tensor:
    return of["up"].flatten(1) @ of["down"].flatten(1)


def _embedding(of: Factors) -> torch.Tensor:
    return (of["embedding_b"] @ of["embedding_a"]).T


def _tucker(core: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``core``: i x j x kernel; ``a``: i x out; ``b``: j x in. Out x in x kernel."""
    return torch.einsum("ij...,ip,jr->pr...", core, a, b)


def _tucker_size(core: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> tuple[int, int]:
    if core.ndim < 3 or core.shape[:2] != (a.shape[0], b.shape[0]) or a.ndim != 2 or b.ndim != 2:
        raise ValueError
    return a.shape[1], b.shape[1] * math.prod(core.shape[2:])


def _lora_tucker(of: Factors) -> torch.Tensor:
    return _tucker(of["mid"], of["up"].flatten(1).T, of["down"].flatten(1))


def _loha(of: Factors) -> torch.Tensor:
    return (of["hada_w1_a"] @ of["hada_w1_b"]) * (of["hada_w2_a"] @ of["hada_w2_b"])


def _loha_size(of: Factors) -> tuple[int, int]:
    one = _product_size(of["hada_w1_a"], of["hada_w1_b"])
    if one != _product_size(of["hada_w2_a"], of["hada_w2_b"]):
        raise ValueError
    return one


def _loha_tucker(of: Factors) -> torch.Tensor:
    one = _tucker(of["hada_t1"], of["hada_w1_a"], of["hada_w1_b"])
    return one * _tucker(of["hada_t2"], of["hada_w2_a"], of["hada_w2_b"])


def _loha_tucker_size(of: Factors) -> tuple[int, int]:
    one = _tucker_size(of["hada_t1"], of["hada_w1_a"], of["hada_w1_b"])
    if one != _tucker_size(of["hada_t2"], of["hada_w2_a"], of["hada_w2_b"]):
        raise ValueError
    return one


def _lokr(of: Factors) -> torch.Tensor:
    one = of["lokr_w1"] if "lokr_w1" in of else of["lokr_w1_a"] @ of["lokr_w1_b"]
    if "lokr_t2" in of:
        other = _tucker(of["lokr_t2"], of["lokr_w2_a"], of["lokr_w2_b"])
    else:
        other = of["lokr_w2"] if "lokr_w2" in of else of["lokr_w2_a"] @ of["lokr_w2_b"]
    return torch.kron(one.reshape(*one.shape, *[1] * (other.ndim - one.ndim)), other.contiguous())


def _lokr_size(of: Factors) -> tuple[int, int]:
    one = size_of(of["lokr_w1"]) if "lokr_w1" in of else _product_size(of["lokr_w1_a"], of["lokr_w1_b"])
    if "lokr_t2" in of:
        other = _tucker_size(of["lokr_t2"], of["lokr_w2_a"], of["lokr_w2_b"])
    else:
        other = size_of(of["lokr_w2"]) if "lokr_w2" in of else _product_size(of["lokr_w2_a"], of["lokr_w2_b"])
    return one[0] * other[0], one[1] * other[1]


_Kind = tuple[set[str], Callable[[Factors], torch.Tensor], Callable[[Factors], tuple[int, int]]]
_KINDS: tuple[_Kind, ...] = (
    ({"up", "down"}, _lora, lambda of: _product_size(of["up"], of["down"])),
    (
        {"up", "down", "mid"},
        _lora_tucker,
        lambda of: _tucker_size(of["mid"], of["up"].flatten(1).T, of["down"].flatten(1)),
    ),
    (
        {"embedding_a", "embedding_b"},
        _embedding,
        lambda of: (of["embedding_a"].shape[1], _product_size(of["embedding_b"], of["embedding_a"])[0]),
    ),
    ({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}, _loha, _loha_size),
    ({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"}, _loha_tucker, _loha_tucker_size),
)
_LOKR = tuple(
    {*one, *other}
    for one in (("lokr_w1",), ("lokr_w1_a", "lokr_w1_b"))
    for other in (("lokr_w2",), ("lokr_w2_a", "lokr_w2_b"), ("lokr_t2", "lokr_w2_a", "lokr_w2_b"))
)
