"""A small cache that drops what has gone unused for longest. Standard library only.

functools.lru_cache counts values, not their bytes; a package of its own would be one more to install.
"""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")
MOST_BYTES = 32 * 2**20
"""Of what depends on a request alone."""


def weigh(value: Any) -> int:
    """The bytes of all arrays and tensors in ``value``, within tuples, lists, dicts and dataclasses."""
    if isinstance(count := getattr(value, "nbytes", None), int):
        return count
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return sum(weigh(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, dict):
        return sum(map(weigh, value.values()))
    return sum(map(weigh, value)) if isinstance(value, (tuple, list)) else 0


class Recent(Generic[Value]):
    """Keeps the ``size`` values used last, of ``most`` bytes together. Not thread-safe: one thread renders.

    Whatever the newest takes, it is kept. Who may ask for anything, such as a prompt of 4000 letters, fills no memory.
    """

    def __init__(self, size: int, most: float = math.inf) -> None:
        if size < 1:
            raise ValueError(f"size of a cache is {size}, but must be at least 1")
        self.size, self.most = size, most
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._bytes: dict[Hashable, int] = {}

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value kept under ``key``; when there is none, ``make()`` makes it. An exception keeps nothing."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = make()
        self._values[key] = value
        if self.most < math.inf:
            self._bytes[key] = weigh(value)
        while len(self._values) > self.size or (len(self._values) > 1 and sum(self._bytes.values()) > self.most):
            self._bytes.pop(self._values.popitem(last=False)[0], None)
        return value

    def peek(self, key: Hashable) -> Value | None:
        """The value kept under ``key``, if any; that it was asked for does not count as used."""
        return self._values.get(key)

    def clear(self) -> None:
        self._values.clear()
        self._bytes.clear()

    def __len__(self) -> int:
        return len(self._values)
