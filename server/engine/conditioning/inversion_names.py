"""Which textual inversions a prompt names, as A1111's and ComfyUI's do. Standard library only.

A1111 takes a name as it stands among the words, whatever its case; ComfyUI's prompts mark it: ``embedding:name``.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_LORA = r"(?P<tag><(?:lora|lyco|hypernet):[^<>]*>)"
_MARK = r"(?P<mark>\bembedding:(?:[\w./\\-]*[/\\])?)"


def named(prompt: str, names: Collection[str]) -> list[str]:
    """Those of ``names`` that ``prompt`` names.

    >>> named("a hut, (EasyNegative:1.2), embedding:styles/ink", ["easynegative", "ink", "hu"])
    ['easynegative', 'ink']
    """
    text = prompt.lower()
    some = [name for name in names if name.lower() in text]
    if not some:
        return []
    there = {found["name"].lower() for found in pattern(some).finditer(prompt) if found["name"]}
    return [name for name in some if name.lower() in there]


def marked(prompt: str, name: str) -> bool:
    """Whether ``prompt`` names ``name`` by ComfyUI's mark, and so means nothing else."""
    return any(found["mark"] for found in pattern([name]).finditer(prompt))


def pattern(names: Collection[str]) -> re.Pattern[str]:
    """Finds ``name``, with its ``mark`` where it has one; a ``tag`` in angle brackets of a LoRA's is no name."""
    longest_first = sorted(names, key=lambda name: -len(name))
    any_name = "|".join(map(re.escape, longest_first))
    end = r"(?:\.(?:safetensors|pt|bin))?(?!\w)"
    return re.compile(rf"{_LORA}|(?:{_MARK}|(?<!\w))(?P<name>{any_name}){end}", re.IGNORECASE)
