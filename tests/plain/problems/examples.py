"""One example of every kind of report, made from the types of its fields. No bpy."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator

from addon.problems import Notice, Problem, Report
from addon.problems.setup import NoRoom

VALUES: dict[object, object] = {str: "/some/where it is", int: 3, float: 12.5, bool: True}


def kinds(of: type[Report] = Report) -> Iterator[type[Report]]:
    """Every kind of report that the product defines."""
    for kind in of.__subclasses__():
        if kind.__module__.startswith("addon."):
            if kind not in (Problem, Notice):
                yield kind
            yield from kinds(kind)


def example(kind: type[Report]) -> Report:
    """A report of ``kind`` with every field filled in."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: VALUES[hints[name]] if hints[name] in VALUES else NoRoom("/a", 2, 1) for name in names})


def examples(kind: type[Report]) -> list[Report]:
    """Reports of ``kind``: one with every field filled in, one with those alone that must be."""
    full = example(kind)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    needed = [field.name for field in fields if field.default is dataclasses.MISSING]
    return [full, kind(**{name: getattr(full, name) for name in needed})]
