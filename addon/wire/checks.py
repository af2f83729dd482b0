"""Checks of single values, each with a sentence that names thing, value and what is valid. No I/O."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from .errors import ProtocolError

T = TypeVar("T")
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60


def show(value: object) -> str:
    """``value`` as it may stand in a sentence: one line, at most 60 characters, whatever it is.

    A plain repr would fail on deep nesting and on integers of thousands of digits, and copy a long text whole.
    """
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a whole number of {value.bit_length()} bits"
    try:
        text = " ".join(_REPR.repr(value).split())
    except ValueError:  # such an integer inside a list
        text = f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= 60 else text[:57] + "..."


def check_text(name: str, value: object, longest: int) -> None:
    """Raise ProtocolError unless ``value`` is a str of at most ``longest`` characters that UTF-8 can hold."""
    if not isinstance(value, str):
        raise ProtocolError(f"{name} is {show(value)}, but must be text")
    if len(value) > longest:
        raise ProtocolError(f"{name} has {len(value)} characters, but at most {longest} are allowed")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ProtocolError(f"{name} is {show(value)}, which holds half a surrogate pair: send valid Unicode") from None


def check_flag(name: str, value: object) -> None:
    """Raise ProtocolError unless ``value`` is true or false."""
    if not isinstance(value, bool):
        raise ProtocolError(f"{name} is {show(value)}, but must be true or false")


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raise ProtocolError unless ``value`` is a finite number from ``low`` to ``high``, both included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ProtocolError(f"{name} is {show(value)}, but must be a number from {low:g} to {high:g}")
    if not low <= value <= high:  # NaN fails too
        raise ProtocolError(f"{name} is {show(value)}, but must be from {low:g} to {high:g}")


def check_whole(name: str, value: object, low: int, high: int, multiple: int = 1) -> None:
    """Raise ProtocolError unless ``value`` is an int from ``low`` to ``high`` and a multiple of ``multiple``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high or value % multiple:
        rule = f"a whole number from {low} to {high}" + (f", a multiple of {multiple}" if multiple > 1 else "")
        raise ProtocolError(f"{name} is {show(value)}, but must be {rule}")


def check_timings(timings: object) -> None:
    """Raise ProtocolError unless ``timings`` is a dict of at most 100 names and milliseconds, 0 to 10**9."""
    if not isinstance(timings, dict):
        raise ProtocolError(f"timings is {show(timings)}, but must be an object of names and milliseconds")
    check_whole("number of timings", len(timings), 0, 100)
    for name, value in timings.items():
        check_text("name of a timing", name, 100)
        check_number(f"timing {show(name)}", value, 0, 1e9)


def check_words(name: str, value: object) -> tuple[str, ...]:
    """Return ``value``, a list of at most 16 texts of at most 40 characters, as a tuple, or raise ProtocolError."""
    if not isinstance(value, (tuple, list)):
        raise ProtocolError(f"{name} is {show(value)}, but must be a list of texts")
    check_whole(f"number of {name}", len(value), 0, 16)
    for word in value:
        check_text(f"one of {name}", word, 40)
    return tuple(value)


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise ProtocolError unless ``value`` is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise ProtocolError(f"{name} is {show(value)}, but must be one of {', '.join(choices)}")


def check_matrix(name: str, value: Any) -> tuple[tuple[float, ...], ...]:
    """Return ``value``, rows of numbers of any kind, as four tuples of four finite floats, or raise ProtocolError."""
    try:
        rows = tuple(tuple(_real(entry) for entry in row) for row in value)
    except (TypeError, ValueError, OverflowError):
        raise ProtocolError(f"{name} matrix is {show(value)}, but must be 4 rows of 4 numbers") from None
    if len(rows) != 4 or any(len(row) != 4 for row in rows):
        raise ProtocolError(
            f"{name} matrix has rows of {[len(row) for row in rows][:8]} numbers, but must be 4 rows of 4"
        )
    if not all(math.isfinite(entry) for row in rows for entry in row):
        raise ProtocolError(f"{name} matrix holds a number that is not finite: {show(rows)}")
    return rows


def check_image(name: str, value: object, longest_side: int) -> None:
    """Raise ProtocolError unless ``value`` is uint8, H x W x 3, sides from 8 to ``longest_side``."""
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
        raise ProtocolError(f"{name} is {_array(value)}, but must be uint8 of shape height x width x 3")
    check_whole(f"height of {name}", value.shape[0], 8, longest_side)
    check_whole(f"width of {name}", value.shape[1], 8, longest_side)


def check_array(name: str, value: object, dtype: Any, shape: tuple[int, ...]) -> None:
    """Raise ProtocolError unless ``value`` is an array of ``dtype`` and exactly ``shape``, the image's."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
        raise ProtocolError(f"{name} is {_array(value)}, but must be {np.dtype(dtype)} of the image's shape {shape}")


def check_each(name: str, value: object, kind: type[T], what: str, most: int) -> tuple[T, ...]:
    """Return ``value``, a list of at most ``most`` objects of ``kind``, as a tuple, or raise ProtocolError."""
    if not isinstance(value, (tuple, list)) or not all(isinstance(one, kind) for one in value):
        raise ProtocolError(f"{name} is {show(value)}, but must be a list of {what}")
    check_whole(f"number of {what}", len(value), 0, most)
    return tuple(value)


def check_fields(name: str, value: object) -> None:
    """Raise ProtocolError unless ``value`` is a dict of at most 32 names and short texts or finite numbers."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{name} is {show(value)}, but must be an object of names and texts or numbers")
    check_whole(f"number of {name}", len(value), 0, 32)
    for field, entry in value.items():
        check_text(f"name of one of {name}", field, 40)
        if isinstance(entry, str):
            check_text(f"{name} {show(field)}", entry, 4000)
        else:
            check_number(f"{name} {show(field)}", entry, -1e300, 1e300)


def _real(entry: object) -> float:
    if type(entry) is float:  # as nearly all are; to ask for Real costs ten times as much
        return entry
    # float() alone would take "1" and True; numpy's scalars are numbers.Real too.
    if isinstance(entry, bool) or not isinstance(entry, numbers.Real):
        raise TypeError
    return float(entry)


def _array(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    return show(value)
