"""What can go wrong in the engine. Standard library only: no torch, so that anyone may import it cheaply."""

from __future__ import annotations


class EngineError(Exception):
    """A model that cannot be loaded or a picture that cannot be made.

    ``str(error)`` is one sentence for the user that names the thing, its value and the remedy; ``code`` is one of
    the wire's ``Failure`` codes: ``bad_request``, ``model_failed``, ``out_of_memory`` or ``internal``. ``missing``:
    bytes of memory that were too few, where that is known.
    """

    def __init__(self, sentence: str, code: str = "model_failed", missing: int = 0) -> None:
        super().__init__(sentence)
        self.code, self.missing = code, missing
