"""Where the user's pictures are kept on this machine, and how they are moved there. Standard library only; no bpy."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

CARRIED = "carried_over.txt"
"""In a folder whose files were carried over: else what is deleted in the new place would come back."""
PIECE = 4 * 1024 * 1024
"""Bytes copied at a time."""
_SHELL_FOLDERS = r"Software\Microsoft\Windows\CurrentVersion\Explorer\User Shell Folders"


def pictures_home(home: Path, environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The user's own folder for pictures, by the system's settings; ``home``: their home folder. May not exist yet."""
    if platform == "win32":
        told = _from_registry()
        return Path(os.path.expandvars(told)) if told else home / "Pictures"
    if platform == "darwin":
        return home / "Pictures"
    settings = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "user-dirs.dirs"
    try:
        found = re.search(r'^XDG_PICTURES_DIR="(.+)"$', settings.read_text("utf-8"), re.MULTILINE)
    except (OSError, ValueError):
        found = None
    chosen = Path(found[1].replace("$HOME", str(home))) if found else home
    return home / "Pictures" if chosen == home else chosen  # the home folder itself stands for none


def _from_registry() -> str:
    if sys.platform != "win32":
        return ""
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _SHELL_FOLDERS) as key:
            return str(winreg.QueryValueEx(key, "My Pictures")[0])
    except OSError:
        return ""


def carry_over(source: Path, target: Path) -> Iterator[None]:
    """Copy all files under ``source`` to ``target``, once; pauses after each piece, so that nothing waits for long.

    Nothing in ``target`` is written over, and ``source`` stays. Raises OSError; the next try goes on from there.
    """
    if not source.is_dir() or (source / CARRIED).exists():
        return
    for path in sorted(source.rglob("*")):
        if path.is_file():
            yield from _copy(path, target / path.relative_to(source))
    (source / CARRIED).write_text(f"These files are in {target} now; the ones here may be deleted.\n", "utf-8")


def _copy(path: Path, wanted: Path) -> Iterator[None]:
    target, number = wanted, 2
    while target.exists():
        if filecmp.cmp(path, target):
            return
        target, number = wanted.with_stem(f"{wanted.stem}_{number}"), number + 1
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with path.open("rb") as old, part.open("wb") as new:
        while piece := old.read(PIECE):
            new.write(piece)
            yield
    shutil.copystat(path, part)
    os.replace(part, target)
