"""A person's words for every report: its sentence, what helps, and the actions to offer. Standard library only; no bpy.

The only place where reports become English. Fields are shown on one line, whoever wrote them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ..actions import Action
from ..connection import Retrying
from ..report import Problem, Report
from ..serving import (
    LoadedWithout,
    MemoryReleased,
    ModelKept,
    ModelNotLoaded,
    ModelRestored,
    PictureFailed,
    ReloadFailed,
)
from .connection import CONNECTION
from .entry import Words, one_line, says, written
from .exporting import EXPORTING
from .serving import SERVING
from .setup import SETUP
from .sticking import STICKING
from .viewport import VIEWPORT

__all__ = ["WORDS", "actions", "one_line", "remedy", "sentence", "written"]


def _retrying(notice: Retrying) -> str:
    words = sentence(notice.problem)
    if notice.frame_lost:
        words += " A frame was under way; the newest view will be sent again."
    return f"{words} Trying again " + (f"in {notice.seconds} s." if notice.seconds > 0 else "now.")


# Those that say what another report says, too.
_NESTED = (
    says(Retrying, _retrying),
    says(
        ModelKept,
        lambda n: f"{n.wanted} could not be loaded, so {n.kept} goes on: {_within(n.cause)}.",
    ),
    says(
        ModelRestored,
        lambda n: f"{n.wanted} could not be loaded, so {n.restored} is back: {_within(n.cause)}.",
    ),
    says(
        MemoryReleased,
        lambda n: (
            f"The memory of {n.model} was released after {n.seconds:g} seconds without a frame; "
            "the next frame loads it again."
        ),
    ),
    says(
        ReloadFailed,
        lambda n: f"{n.model} could not be loaded again, and a later frame will try once more: {_within(n.cause)}.",
    ),
    says(LoadedWithout, lambda n: written(n.detail)),
    says(
        ModelNotLoaded,
        lambda p: sentence(p.cause),
        "Choose another model; the embedded one is always available.",
        Action.OPEN_PREFERENCES,
        Action.OPEN_LOG,
    ),
    says(
        PictureFailed,
        lambda p: sentence(p.cause),
        "The next change of the view tries again.",
        Action.OPEN_LOG,
    ),
)

WORDS: dict[type[Report], Words[Any]] = {
    words.kind: words for words in (*SETUP, *CONNECTION, *SERVING, *STICKING, *VIEWPORT, *EXPORTING, *_NESTED)
}
"""The words for each kind of report."""


def sentence(report: Report) -> str:
    """What ``report`` says, as one or more whole sentences on one line."""
    texts = {
        field.name: _field(getattr(report, field.name))
        for field in dataclasses.fields(report)  # type: ignore[arg-type]  # each kind of report is a dataclass
        if isinstance(getattr(report, field.name), str)
    }
    return str(WORDS[type(report)].sentence(dataclasses.replace(report, **texts)))  # type: ignore[type-var]


def remedy(problem: Problem) -> str:
    """What helps against ``problem``, in one sentence or two."""
    return WORDS[type(problem)].remedy


def actions(problem: Problem) -> tuple[Action, ...]:
    """What a person can do about ``problem`` at once, the best first."""
    return WORDS[type(problem)].actions


def _field(text: str) -> str:
    """``text`` as it stands within a sentence: on one line, with no full stop of its own."""
    return one_line(text).rstrip(".")


def _within(problem: Problem) -> str:
    return sentence(problem).rstrip(".")
