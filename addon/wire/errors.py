"""What can be wrong with a message. Standard library only, no I/O."""


class ProtocolError(ValueError):
    """Bytes or values that are no valid message.

    ``str(error)`` is one sentence that names the thing, its value and what would be right;
    ``code`` is the word a program can act on, sent as ``Failure.code``.
    """

    def __init__(self, sentence: str, code: str = "bad_message") -> None:
        super().__init__(sentence)
        self.code = code
