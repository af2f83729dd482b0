"""Lends copies the names of the data-blocks that they are exported in place of. Imports bpy.

Names are unique in a file of Blender's, and exporters write those of what they are given.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator

import bpy

AWAY = "lent by Draftglass"


class Names:
    """What was lent, and to whom."""

    def __init__(self) -> None:
        self._pairs: list[tuple[bpy.types.ID, bpy.types.ID]] = []
        self._own: dict[int, tuple[bpy.types.ID, str]] = {}

    def add(self, original: bpy.types.ID, copy: bpy.types.ID) -> None:
        """``copy`` is to bear the name of ``original``; the second of one original bears it with a number."""
        self._pairs.append((original, copy))

    def lend(self) -> None:
        """Have all of them bear it. Linked originals keep theirs: names are unique within a library each."""
        for original, _ in self._pairs:
            self._own.setdefault(original.as_pointer(), (original, original.name))
        for original, _ in self._own.values():
            if original.library is None:
                original.name = AWAY
        for original, copy in self._pairs:
            copy.name = self._own[original.as_pointer()][1]

    def give_back(self) -> None:
        """After the copies are gone."""
        for original, name in self._own.values():
            if original.library is None:
                original.name = name
        self._own.clear()
        self._pairs.clear()


@contextlib.contextmanager
def names_for_files(blocks: Iterable[bpy.types.ID]) -> Iterator[None]:
    """Give ``blocks`` names that a file may have anywhere: exporters name files after images, slashes and all."""
    own = [(block, block.name) for block in blocks if block.library is None]
    own = [(block, name) for block, name in own if _for_file(name) != name]
    for block, name in own:
        block.name = _for_file(name)
    try:
        yield
    finally:
        for block, name in own:
            block.name = name


def _for_file(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
