"""Prompts with weighted parts. Standard library only; linear in the prompt's length, whatever it holds."""

from __future__ import annotations

import re

STEP = 1.1
"""What one pair of parentheses multiplies by."""
MOST = 10.0
"""The largest weight, above or below 0, of whatever was written: larger ones are no numbers in half precision."""

_TOKEN = re.compile(
    r"""\\(?P<escaped>[()\[\]\\+-])
    | (?P<open>[(\[])
    | (?::\s*(?P<inner>[+-]?(?:\d+\.?\d*|\.\d+))\s*)?\)(?P<outer>\d*\.\d+|\d+(?![\w:])|\++|-+(?!\w))?
    | (?P<close>\])
    | (?<=\w)(?P<signs>\++|-+)(?=[\s,.;)\]]|$)
    """,
    re.VERBOSE,
)
_INNER = re.compile(r":\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)")


def weighted(prompt: str) -> list[tuple[str, float]]:
    """The pieces of ``prompt`` with their weights; at least one, none of them blank but the only one.

    As in A1111 and ComfyUI: ``(words:1.3)``, ``(words)`` is 1.1, ``[words]`` 1 / 1.1, nested they multiply, and a
    backslash takes the meaning from what follows. As in compel: ``(words)1.3``, ``word++`` is 1.1 squared, ``word--``
    0.9 squared. Signs that pair with nothing are text. No weight is beyond :data:`MOST` or below its negative.

    >>> weighted("a (red:1.5) castle++")
    [('a', 1.0), ('red', 1.5), ('castle', 1.2100000000000002)]
    """
    pieces: list[tuple[str, float]] = []
    opened: list[tuple[str, int]] = []

    def scale(start: int, factor: float) -> None:
        pieces[start:] = [(text, weight * factor) for text, weight in pieces[start:]]

    at = 0
    for found in _TOKEN.finditer(prompt):
        if found.start() > at:
            pieces.append((prompt[at : found.start()], 1.0))
        at = found.end()
        if found["escaped"]:
            pieces.append((found["escaped"], 1.0))
        elif found["open"]:
            opened.append((found["open"], len(pieces)))
            pieces.append((found["open"], 1.0))
        elif found["signs"]:
            # the word alone, not what stands before it; there is none after a weight such as that of (a)1.2++
            text, weight = pieces.pop()
            parts = re.fullmatch(r"(.*?)(\w[^\s,]*)", text, re.DOTALL)
            if parts is None:
                pieces += [(text, weight), (found["signs"], 1.0)]
                continue
            before, word = parts.groups()
            pieces += [(before, weight), (word, weight * _of_signs(found["signs"]))]
        elif opened and opened[-1][0] == ("[" if found["close"] else "("):
            start = opened.pop()[1]
            pieces[start] = ("", 1.0)
            scale(start, 1 / STEP if found["close"] else _factor(found["inner"], found["outer"]))
        else:
            pieces.append((found[0], 1.0))
    pieces.append((prompt[at:], 1.0))
    return _joined(pieces)


def for_compel(prompt: str) -> str:
    """``prompt`` as compel's users write it: ``(words)1.3`` in place of ``(words:1.3)``.

    >>> for_compel("a (red:1.5) castle")
    'a (red)1.5 castle'
    """
    return _INNER.sub(r")\1", prompt)


def _factor(inner: str | None, outer: str | None) -> float:
    if inner:
        return float(inner)
    if not outer:
        return STEP
    return _of_signs(outer) if outer[0] in "+-" else float(outer)


def _of_signs(signs: str) -> float:
    return float((1.1 if signs[0] == "+" else 0.9) ** min(len(signs), 100))


def _joined(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """``pieces`` with neighbours of the same weight made one, and the blank ones left out."""
    joined: list[tuple[str, float]] = []
    for text, weight in pieces:
        if joined and (joined[-1][1] == weight or not text.strip()):
            joined[-1] = (joined[-1][0] + text, joined[-1][1])
        else:
            joined.append((text, weight))
    kept = [(text.strip(), max(-MOST, min(weight, MOST))) for text, weight in joined if text.strip()]
    return kept or [("", 1.0)]
