"""Problems and notices as the wire's messages: a code, its fields, and the sentence. Standard library and the wire."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from addon.problems import Problem, Report, fields_of
from addon.problems.serving import BadMessage, BadRequest, Internal, OutOfMemory, TooLarge
from addon.problems.words import sentence
from addon.wire import Failure, ProtocolError, Status
from addon.wire.messages import State

from ..engine import EngineError
from ..engine.errors import ran_out_of_memory

LONGEST = 3900
"""Characters of a text in a message: somewhat fewer than the wire allows."""
R = TypeVar("R", bound=Report)


def failure_of(problem: Problem, number: int | None = None) -> Failure:
    """The message that says ``problem``, of the request ``number`` or of none."""
    problem = fitting(problem)
    return Failure(problem.code, fields_of(problem), number, line(sentence(problem), LONGEST))


def status_of(state: State, percent: float, model: str, report: Report | None = None) -> Status:
    """The message that says how it is with ``model``, and ``report`` beside that."""
    model = line(model, 400)
    if report is None:
        return Status(state, percent, model)
    report = fitting(report)
    return Status(state, percent, model, report.code, fields_of(report), line(sentence(report), LONGEST))


def problem_of(error: Exception) -> Problem:
    """What ``error``, raised while a model was loaded or used, is told as."""
    if isinstance(error, EngineError):
        return error.problem
    if ran_out_of_memory(error):
        return OutOfMemory("the server")
    return Internal(str(error) or type(error).__name__)


def problem_of_message(error: ProtocolError) -> Problem:
    """Why a client's message was refused."""
    kinds = {kind.code: kind for kind in (BadRequest, TooLarge)}
    return kinds.get(error.code, BadMessage)(str(error))


def fitting(report: R) -> R:
    """``report`` with texts that a message may carry: of one line, not too long, in valid Unicode."""
    texts: dict[str, object] = {}
    for field in dataclasses.fields(report):  # type: ignore[arg-type]  # each kind of report is a dataclass
        value = getattr(report, field.name)
        if isinstance(value, str):
            texts[field.name] = line(value, LONGEST)
        elif isinstance(value, Report):
            texts[field.name] = fitting(value)
    return dataclasses.replace(report, **texts)  # type: ignore[type-var]


def line(text: str, longest: int) -> str:
    """``text`` as a message may carry it: one line, and valid Unicode, which a path need not be."""
    return " ".join(text.split()).encode("utf-8", "replace").decode()[:longest]
