"""Reports, as types with a code and typed fields; problems are one kind. Standard library only; no bpy.

A report is a frozen dataclass. Whatever decides something asks for its type or reads its fields; the words for a
person are made from it in ``words``, at the very edge, and nothing reads them back.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping
from typing import ClassVar, TypeVar

Value = str | int | float
"""What a field may hold when it goes to another process. Another report is written as fields of its own."""
R = TypeVar("R", bound="Report")


class Report:
    """Something that a person may be told. ``code``: the class's name in snake case, which another process knows."""

    code: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


class Notice(Report):
    """Nothing is wrong: what is going on, or what is worth knowing."""


class Problem(Report):
    """Something has failed, and something can be done about it."""


class UnknownReport(ValueError):
    """A code, or a code's fields, that this version does not know."""


def fields_of(report: Report) -> dict[str, Value]:
    """The fields of ``report`` as a flat mapping of plain values; a report in field ``cause`` as ``cause_code``, ..."""
    found: dict[str, Value] = {}
    for field in dataclasses.fields(report):  # type: ignore[arg-type]  # each kind of report is a dataclass
        value = getattr(report, field.name)
        if isinstance(value, Report):
            found[f"{field.name}_code"] = value.code
            found |= {f"{field.name}_{name}": inner for name, inner in fields_of(value).items()}
        else:
            found[field.name] = value
    return found


def from_fields(code: str, fields: Mapping[str, Value], kinds: Mapping[str, type[R]]) -> R:
    """The report of one of ``kinds`` (by code) that ``fields`` were made from. Fields of a newer version are ignored.

    Raises UnknownReport for a code that is not among ``kinds``, and for a field that is missing or of another type.
    """
    kind = kinds.get(code)
    if kind is None:
        raise UnknownReport(f"code is {code!r}, which is not known here")
    hints = typing.get_type_hints(kind)
    values: dict[str, object] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        name, hint = field.name, hints[field.name]
        if isinstance(hint, type) and issubclass(hint, Report):
            inner = {key.removeprefix(f"{name}_"): value for key, value in fields.items() if key.startswith(f"{name}_")}
            values[name] = from_fields(str(inner.pop("code", "")), inner, kinds)
        elif name in fields:
            values[name] = _typed(code, name, fields[name], hint)
        elif field.default is dataclasses.MISSING:
            raise UnknownReport(f"{code} lacks its field {name!r}")
    return kind(**values)


def _typed(code: str, name: str, value: object, hint: object) -> object:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise UnknownReport(f"field {name!r} of {code} is {value!r}, but must be of type {hint}")
    return value
