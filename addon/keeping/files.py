"""Kept files: their names, and writing them whole. Standard library only; no bpy."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from pathlib import Path

LONGEST = 40
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def slug(prompt: str, otherwise: str = "picture") -> str:
    """The beginning of ``prompt`` as a file's name: letters and digits of any script, joined by underscores."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", prompt).replace("_", " "))
    name = ""
    for word in words:
        longer = f"{name}_{word}" if name else word
        if len(longer) > LONGEST:
            break
        name = longer
    name = name or "".join(words)[:LONGEST] or otherwise
    return f"{name}_" if name.lower() in _RESERVED else name


def free_path(folder: Path, stem: str, suffix: str = ".png") -> Path:
    """The first of ``stem_001``, ``stem_002``, ... in ``folder`` that is not taken."""
    number = 1
    while (path := folder / f"{stem}_{number:03d}{suffix}").exists():
        number += 1
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Write ``path``, all of it or nothing, as where the disk gets full meanwhile. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with part.open("xb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
