"""What every refusal must be: a ProtocolError that a person can read. pytest and addon.wire only."""

from __future__ import annotations

import pytest

from addon.wire import ProtocolError, unpack

CODES = {"bad_message", "bad_request", "too_large"}


def refusal(data: bytes) -> ProtocolError:
    """The error that ``data`` raises; fails when there is none, or when a person could not read it."""
    with pytest.raises(ProtocolError) as caught:
        unpack(data)
    fair(caught.value)
    return caught.value


def fair(error: ProtocolError) -> None:
    sentence = str(error)
    assert sentence.strip() == sentence and 10 < len(sentence) <= 300
    assert all(character.isprintable() for character in sentence), f"not one printable line: {sentence!r}"
    assert error.code in CODES
