"""Opens a .blend file and finds what of it is missing or switched off. Imports bpy."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy

from .errors import OfflineError

MAGIC = (b"BLENDER", b"\x28\xb5\x2f\xfd", b"\x1f\x8b")
"""How a .blend file begins: plain, compressed by zstandard, and, in old ones, by gzip."""
NAMED = 3
"""How many of a kind a sentence names before it counts the others."""


def open_file(path: Path) -> None:
    """Open ``path`` with its scripts switched off. Raises OfflineError."""
    with path.open("rb") as file:
        if not file.read(7).startswith(MAGIC):
            raise OfflineError(f"{path} is no .blend file")
    try:
        with silent():  # Blender reports the read on standard output
            bpy.ops.wm.open_mainfile(filepath=str(path.absolute()), use_scripts=False)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0].removeprefix("Error: ")
        for again in (f'Loading "{path.absolute()}" failed: ', f"Failed to read blend file '{path.absolute()}': "):
            reason = reason.removeprefix(again)
        raise OfflineError(f"{path} can't be opened: {reason}") from None


def missing() -> str:
    """What the file links to and Blender could not find, as a part of a sentence; empty where all is there."""
    libraries = [library for library in bpy.data.libraries if library.is_missing]
    parts = []
    if libraries:
        paths = named([bpy.path.abspath(library.filepath, library=library.parent) for library in libraries])
        parts.append(f"the {'library' if len(libraries) == 1 else 'libraries'} {paths} can't be found")
    gone: dict[str, list[str]] = {}
    for block in bpy.data.user_map():
        if block.is_missing and block.library is not None and block.library not in libraries:
            gone.setdefault(block.library.filepath, []).append(f"{block.id_type.lower()} {block.name!r}")
    for path, blocks in gone.items():
        parts.append(f"{bpy.path.abspath(path)} has no {named(sorted(blocks), quoted=False)} any more")
    return "; ".join(parts)


def python_off() -> str:
    """The drivers that need Python, as a part of a sentence; empty where there are none. After an evaluation only."""
    found = []
    for block in bpy.data.user_map() if bpy.app.autoexec_fail else ():
        animation = getattr(block, "animation_data", None)
        for curve in animation.drivers if animation is not None else ():
            driver = curve.driver
            if (
                driver is not None
                and driver.type == "SCRIPTED"
                and not (driver.is_simple_expression or driver.is_valid)
            ):
                found.append(f"{curve.data_path} of {block.name!r}")
    return named(sorted(set(found)), quoted=False)


def named(names: list[str], quoted: bool = True) -> str:
    """The first few of ``names``, and how many there are besides."""
    shown = [repr(name) if quoted else name for name in names[:NAMED]]
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    *first, last = [*shown, *more] or [""]
    return f"{', '.join(first)} and {last}" if first else last


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep what Blender and its drivers print past Python off the terminal."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)
