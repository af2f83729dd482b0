"""An entry of the table of words: those for one kind of report. Standard library only; no bpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..actions import Action
from ..report import Report

R = TypeVar("R", bound=Report)


@dataclass(frozen=True)
class Words(Generic[R]):
    """What a person reads of a ``kind`` of report: a ``sentence``, a ``remedy`` and ``actions``, the best first.

    ``sentence`` is a function of the report, so that the type checker knows each field that it uses.
    """

    kind: type[R]
    sentence: Callable[[R], str]
    remedy: str = ""
    actions: tuple[Action, ...] = ()


def says(kind: type[R], sentence: Callable[[R], str], remedy: str = "", *actions: Action) -> Words[Any]:
    """One line of a table."""
    return Words(kind, sentence, remedy, actions)


def one_line(text: str) -> str:
    """``text`` without line ends and control characters: a panel and a terminal show it, whoever wrote it."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def written(text: str) -> str:
    """Another program's ``text`` as a sentence of its own: on one line, with a capital and a full stop."""
    text = one_line(text)
    if text and text[-1] not in ".!?":
        text += "."
    first = text.split(" ", 1)[0]
    return text if "_" in first else text[:1].upper() + text[1:]  # the protocol's own names stay as they are


def size(count: float) -> str:
    """``count`` bytes as people say it: ``640 MB``, ``7.5 GB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
