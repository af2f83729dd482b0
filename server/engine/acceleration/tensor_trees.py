"""Trees of tensors (tuples, lists, dataclasses): listed, mapped, compared. torch only.

torch has the like in torch.utils._pytree, which is private and takes only dataclasses that are registered with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch


def tensors_of(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in tuples, lists and dataclasses, in a fixed order."""
    if torch.is_tensor(value):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from tensors_of(each)
    elif is_dataclass(value):
        for field in fields(value):
            yield from tensors_of(getattr(value, field.name))


def map_tensors(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """``value`` with each of its tensors changed."""
    if torch.is_tensor(value):
        return change(value)
    if isinstance(value, (tuple, list)):
        return type(value)(map_tensors(each, change) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: map_tensors(getattr(value, field.name), change) for field in fields(value)}
        )
    return value


def shape_of(value: Any) -> Any:
    """What a recording depends on: shapes, precisions and plain numbers, and what is None; not the tensors' values."""
    if torch.is_tensor(value):
        return tuple(value.shape), value.dtype
    if isinstance(value, (tuple, list)):
        return tuple(shape_of(each) for each in value)
    if is_dataclass(value):
        return tuple(shape_of(getattr(value, field.name)) for field in fields(value))
    return value
