"""What can be wrong with a message. Standard library only, no I/O."""

from __future__ import annotations


class ProtocolError(ValueError):
    """Bytes or values that are no valid message.

    ``str(error)`` is one sentence that names the thing, its value and what would be right;
    ``code`` is the word a program can act on, sent as ``Failure.code``. ``id`` is that of the message, if it
    could be read: the answer to a request that is wrong in some field still names the request.
    """

    def __init__(self, sentence: str, code: str = "bad_message", id: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.id = id
