"""What can go wrong in the engine. Standard library only: no torch, so that anyone may import it cheaply."""

from __future__ import annotations

import errno
import re

from addon.problems import Problem
from addon.problems.serving import BadRequest, ModelFailed
from addon.problems.words import sentence


class EngineError(Exception):
    """A model that cannot be loaded or a picture that cannot be made, and the ``problem`` that says why.

    Made from a problem; or from a sentence that names the thing, its value and the remedy, which no part of the
    program needs to understand. ``is_request``: the request is at fault, not the model.
    """

    def __init__(self, problem: Problem | str, code: str = ModelFailed.code) -> None:
        if isinstance(problem, str):
            problem = BadRequest(problem) if code == BadRequest.code else ModelFailed(problem)
        super().__init__(problem)
        self.problem = problem

    @property
    def code(self) -> str:
        """The problem's code in the protocol."""
        return self.problem.code

    def __str__(self) -> str:
        """For logs and command lines: what was said where it was raised, else the problem's words."""
        if isinstance(self.problem, BadRequest | ModelFailed):
            return self.problem.detail
        return sentence(self.problem)


SHORTAGE = re.compile(r"alloc.*memory|memory.*alloc|bad_alloc|can't start new thread", re.DOTALL)


def ran_out_of_memory(error: BaseException | None) -> bool:
    """Whether ``error``, or what it came from, says that main memory ran out; libraries have words of their own."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if isinstance(error, RuntimeError | OSError | ImportError) and SHORTAGE.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
