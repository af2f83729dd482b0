"""A small cache that drops what has gone unused for longest. Standard library only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Keeps the ``size`` values used last. Not thread-safe: one thread renders."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"size of a cache is {size}, but must be at least 1")
        self.size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value kept under ``key``; when there is none, ``make()`` makes it. An exception keeps nothing."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = make()
        self._values[key] = value
        while len(self._values) > self.size:
            self._values.popitem(last=False)
        return value

    def peek(self, key: Hashable) -> Value | None:
        """The value kept under ``key``, if any; that it was asked for does not count as used."""
        return self._values.get(key)

    def clear(self) -> None:
        self._values.clear()

    def __len__(self) -> int:
        return len(self._values)
