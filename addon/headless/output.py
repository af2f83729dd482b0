"""What a run leaves in its folder: pictures, the sheet, the report. Standard library and Pillow; no bpy."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from .arguments import Options
from .errors import HeadlessError
from .planes import write_planes
from .report import table
from .run import ShotResult
from .sheet import animation, contact_sheet

UNFINISHED = "unfinished"
"""The folder, in that of ``--out``, for what a run made that broke off: finished ones of an earlier run stay."""
_OURS = re.compile(r"(draft|picture)_(\d{3,})\.png|planes_(\d{3,})\.npz")


def write(folder: Path, shown: Sequence[ShotResult], made: dict[str, Any], options: Options) -> None:
    """Write drafts, pictures, sheet, the report ``made`` and, if asked for, the animation; print where it all is."""
    with writing(folder):
        names = write_pictures(folder, shown, len(shown))
        contact_sheet(shown, options.move.name if options.move else "").save(folder / "sheet.png")
        if options.animation:
            animation(shown, folder / "animation.webp")
        text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        (folder / "report.json").write_text(text, encoding="utf-8", errors="replace")  # a path need not be UTF-8
        remove_older(folder, names)
    print(table(made))
    print(f"written: {folder / 'sheet.png'}, {folder / 'report.json'}", end="")
    print(f", {folder / 'animation.webp'}" if options.animation else "", end="")
    print(f" and {len(shown)} drafts and pictures")


def keep(folder: Path, made: Sequence[ShotResult], planned: int) -> None:
    """Write what a run made of ``planned`` shots before it broke off, and say where: it may have taken hours."""
    if not made:
        return
    try:
        remove_older(folder, write_pictures(prepare(folder), made, planned))
    except (HeadlessError, OSError):  # the disk may be full; why the run broke off is said in any case
        return
    print(f"python -m addon: {len(made)} of {planned} pictures were made and are in {folder}", file=sys.stderr)


def write_pictures(folder: Path, made: Sequence[ShotResult], planned: int) -> set[str]:
    """Write draft, picture and, if asked for, planes of each of ``made``; return the files' names. Raises OSError."""
    digits = max(3, len(str(planned - 1)))
    names = set()
    for shown in made:
        for kind, pixels in (("draft", shown.draft), ("picture", shown.picture)):
            name = f"{kind}_{shown.shot.index:0{digits}}.png"
            Image.fromarray(pixels).save(folder / name, compress_level=3)
            names.add(name)
        if shown.planes is not None:
            name = f"planes_{shown.shot.index:0{digits}}.npz"
            write_planes(folder / name, shown.planes)
            names.add(name)
    return names


def remove_older(folder: Path, names: set[str]) -> None:
    """Remove drafts and pictures of a longer run before this one, which would pass for this one's. Raises OSError."""
    for old in folder.iterdir():
        if _OURS.fullmatch(old.name) and old.name not in names:
            old.unlink()


def prepare(folder: Path, option: str = "--out") -> Path:
    """Make ``folder``. Raises HeadlessError where that fails or nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".draftglass"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise HeadlessError(f"{option} is {str(folder)!r}, but can't be written: {error.strerror or error}") from None
    return folder


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a disk's refusals into one line for the user."""
    try:
        yield
    except OSError as error:
        raise HeadlessError(f"--out is {str(folder)!r}, but can't be written: {error.strerror or error}") from None
