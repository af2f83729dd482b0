"""Prompts as people write them in A1111, ComfyUI and compel: weights, breaks and LoRAs. Standard library only.

Linear in the prompt's length, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from ..errors import EngineError

STEP = 1.1
"""What one pair of parentheses multiplies by."""
MOST = 10.0
"""The largest weight, above or below 0, of whatever was written: larger ones are no numbers in half precision."""
LARGEST = 1e9
"""Beyond which no product of weights is computed on the way: infinity times 0 is no number."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_TOKEN = re.compile(
    rf"""\\(?P<escaped>[()\[\]\\+-]?)
    | (?P<open>[(\[])
    | (?::\s*(?P<inner>{_NUMBER})\s*)?\)(?P<outer>\d*\.\d+|\++|-+(?!\w))?
    | (?P<close>\])
    | \b(?P<break>BREAK)\b
    | (?<=[\w\U000f0000-\U000ffffd])(?P<signs>\++|-+)(?=[\s,.;)\]]|$)
    """,
    re.VERBOSE,
)
_NETWORK = re.compile(r"<(?P<kind>lora|lyco|hypernet):(?P<name>[^:<>]+)(?P<rest>(?::[^<>]*)?)>", re.IGNORECASE)
_ABSENT = (
    (re.compile(r"__[\w./*-]+?__"), "the wildcard", "write one of its words in its place"),
    (re.compile(r"\bembedding:[\w./-]+"), "the embedding", "put its file into embeddings, or say it in words"),
)
"""What other tools put something else in the place of, and no file here does."""
_IN_TIME = (
    (re.compile(rf"(?<!\\)\[[^\[\]]*:\s*{_NUMBER}\s*\]"), "changes words while a picture is made"),
    (re.compile(r"(?<!\\)\[[^\[\]]*[^\[\]\\]\|[^\[\]]*\]"), "takes words in turn from step to step"),
)
"""What A1111 has act on some of the steps, of which there are few here."""
_AND = re.compile(r"\bAND\b")
"""Between two prompts in A1111, with a UNet call for each."""


@dataclass(frozen=True)
class Lora:
    """``<lora:name:weight>`` in a prompt."""

    name: str
    weight: float


@dataclass(frozen=True)
class Segment:
    """What stands between two BREAKs: ``pieces`` with their weights, at least one, none blank but the only one.

    ``plain``: the same without marks, as a pooled embedding is made of.
    """

    pieces: tuple[tuple[str, float], ...]
    plain: str


def loras_named(prompt: str) -> tuple[Lora, ...]:
    """The LoRAs that ``prompt`` names in A1111's angle brackets. Raises EngineError for what cannot be used.

    >>> loras_named("a castle <lora:moss:0.8>")
    (Lora(name='moss', weight=0.8),)
    """
    found = []
    for each in _NETWORK.finditer(prompt):
        given = each["rest"].removeprefix(":").split(":")[0].strip()
        if each["kind"].lower() == "hypernet":
            words = f"the prompt names the hypernetwork {each['name']!r}, but none can be used: take {each[0]!r} away"
            raise EngineError(words, "bad_request")
        if given and not re.fullmatch(_NUMBER, given):
            words = f"{each[0]!r} in the prompt has the weight {given!r}, but it must be a number, such as 0.8"
            raise EngineError(words, "bad_request")
        found.append(Lora(each["name"].strip(), float(given) if given else 1.0))
    return tuple(found)


def check_words(prompt: str, loras: Collection[str]) -> None:
    """Raise EngineError where ``prompt`` names what nothing here stands for: a wildcard, an embedding and the like.

    ``loras``: the names of those in use, also of files without their ends, in lower case.
    """
    for pattern, what, remedy in _ABSENT:
        if found := pattern.search(prompt):
            words = f"the prompt names {what} {found[0]!r}, which is not there: {remedy}"
            raise EngineError(words, "bad_request")
    for pattern, what in _IN_TIME:
        if found := pattern.search(prompt):
            words = f"{found[0]!r} in the prompt {what} in A1111, which is not done here: write the words that you want"
            raise EngineError(words, "bad_request")
    for lora in loras_named(prompt):
        if lora.weight and not {lora.name.lower(), PurePath(lora.name).name.lower()} & set(loras):
            words = f"the prompt names the LoRA {lora.name!r}, which is not in use: choose it among the style's LoRAs"
            raise EngineError(words, "bad_request")


def check_composed(prompt: str) -> None:
    """Raise EngineError where ``prompt`` is several, which A1111 composes: its negative one never is."""
    if _AND.search(prompt):
        words = "AND in the prompt composes two prompts in A1111, which is not done here: write 'and', or a comma"
        raise EngineError(words, "bad_request")


def networks_named(prompt: str) -> list[str]:
    """All that stands in angle brackets in ``prompt`` to name a LoRA or its like, as it is written."""
    return [found[0] for found in _NETWORK.finditer(prompt)]


def segments(prompt: str) -> list[Segment]:
    """The parts of ``prompt`` between BREAKs; at least one. LoRAs in angle brackets are left out.

    As in A1111: ``(words:1.3)``, ``(words)`` is 1.1, ``[words]`` 1 / 1.1, nested they multiply; what is not closed
    reaches to the end, what was never opened is text, and a backslash takes the meaning from the bracket that
    follows. As in compel, where that means nothing in A1111: ``(words)1.3``, ``word++`` is 1.1 squared, ``word--`` 0.9
    squared; ``(words)2`` is A1111's, and its 2 a word. No weight is beyond :data:`MOST` or below its negative.

    >>> [segment.plain for segment in segments("a (red:1.5) castle BREAK sea")]
    ['a red castle', 'sea']
    >>> segments("a (red:1.5) castle")[0].pieces
    (('a', 1.0), ('red', 1.5), ('castle', 1.0))
    """
    parts: list[list[tuple[str, float]]] = [[]]
    for text, weight in _pieces(_NETWORK.sub("", prompt)):
        if text is None:
            parts.append([])
        else:
            parts[-1].append((text, weight))
    return [Segment(_joined(part), " ".join("".join(text for text, _ in part).split())) for part in parts]


Piece = tuple[str | None, float]
"""A text and its weight; None where the prompt breaks."""


def _pieces(prompt: str) -> list[Piece]:
    """All pieces in their order with their weights. Brackets of the two kinds may cross."""
    # pieces, numbers of brackets that open, and kinds of brackets that close
    events: list[Piece | int | str] = []
    factors: list[tuple[str, float]] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}
    at = 0
    for found in _TOKEN.finditer(prompt):
        text = prompt[at : found.start()]
        at = found.end()
        if found["signs"] and (parts := re.fullmatch(r"(.*?)([\w\U000f0000-\U000ffffd][^\s,]*)", text, re.DOTALL)):
            # the word alone, not what stands before it
            events += [(parts[1], 1.0), (parts[2], _of_signs(found["signs"]))]
            continue
        if text:
            events.append((text, 1.0))
        if found["escaped"] is not None:
            events.append((found["escaped"], 1.0))
        elif found["open"]:
            opened[found["open"]].append(len(factors))
            events.append(len(factors))
            factors.append((found["open"], STEP if found["open"] == "(" else 1 / STEP))  # where none closes it
        elif found["break"]:
            events.append((None, 1.0))
        elif not found["signs"] and opened[kind := "[" if found["close"] else "("]:
            number = opened[kind].pop()
            events.append(kind)
            if kind == "(":
                factors[number] = (kind, _factor(found["inner"], found["outer"]))
        else:
            events.append((found[0], 1.0))
    events.append((prompt[at:], 1.0))
    return list(_multiplied(events, factors))


def _multiplied(events: list[Piece | int | str], factors: list[tuple[str, float]]) -> Iterator[Piece]:
    """The pieces of ``events``, each with the factors of all the brackets that it stands in."""
    products: dict[str, list[float]] = {"(": [1.0], "[": [1.0]}
    for event in events:
        if isinstance(event, int):
            kind, factor = factors[event]
            products[kind].append(_bounded(products[kind][-1] * factor, LARGEST))
        elif isinstance(event, str):
            products[event].pop()
        else:
            text, weight = event
            yield text, weight * products["("][-1] * products["["][-1]


def _factor(inner: str | None, outer: str | None) -> float:
    if inner:
        return _bounded(float(inner), LARGEST)
    if not outer:
        return STEP
    return _of_signs(outer) if outer[0] in "+-" else float(outer)


def _of_signs(signs: str) -> float:
    return float((1.1 if signs[0] == "+" else 0.9) ** min(len(signs), 100))


def _bounded(weight: float, most: float) -> float:
    return max(-most, min(weight, most))


def _joined(pieces: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """``pieces`` with neighbours of the same weight made one, and the blank ones left out."""
    joined: list[tuple[str, float]] = []
    for text, weight in pieces:
        if joined and (joined[-1][1] == weight or not text.strip()):
            joined[-1] = (joined[-1][0] + text, joined[-1][1])
        elif text:
            joined.append((text, weight))
    kept = [(text.strip(), _bounded(weight, MOST)) for text, weight in joined if text.strip()]
    return tuple(kept) or (("", 1.0),)
