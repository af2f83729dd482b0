"""The token of one server run, and the file that hands it to clients of the same user. Standard library only."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import sys
from pathlib import Path


def default_token_file() -> Path:
    """Where server and add-on look for the token unless told otherwise: a place of this user's own."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif os.environ.get("XDG_RUNTIME_DIR"):
        base = Path(os.environ["XDG_RUNTIME_DIR"])
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "draftglass" / "token"


MARK = "draftglass-"
"""Begins each token, so that a file of ours can be told from everything else."""
OURS = re.compile(rf"(?:{MARK})?[\w-]{{43}}\s*", re.ASCII)
"""A token; before version 0.2.0 it had no mark."""
LONGEST = 200


class TokenFile:
    """A fresh token, in a file that only its owner can read from the moment it exists.

    The file is written under another name, created exclusively with mode 0600, and then moved into place: nobody
    ever sees half a token, a symbolic link at ``path`` is never followed, and a reader that is just opening the
    file of an earlier server keeps that one. A file there that holds anything else than a token is left alone.
    """

    def __init__(self, path: Path) -> None:
        """Write the file. Raises OSError with a sentence when the place can't be trusted or written."""
        self.path = Path(os.path.abspath(path))
        self.token = MARK + secrets.token_urlsafe(32)
        _prepare(self.path)
        beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(self.token)
            os.replace(beside, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise

    def remove(self) -> None:
        """Remove the file, unless a later server has put its own token there."""
        with contextlib.suppress(OSError):
            if not self.path.is_symlink() and self.path.read_text(encoding="ascii") == self.token:
                self.path.unlink()


def _prepare(path: Path) -> None:
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError(f"the token file {path} is no ordinary file: remove it, or give another place by --token-file")
    if path.exists() and not _is_token(path):
        raise OSError(
            f"the file {path} is there already and holds no token of Draftglass, so it is left alone: "
            "give another place by --token-file"
        )
    if os.name != "posix":
        return  # Windows: the user's own folders are closed to others by their access lists
    about = folder.stat()
    if about.st_uid not in (os.getuid(), 0):
        raise OSError(f"the folder {folder} of the token file belongs to another user: give another by --token-file")
    open_to_others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if open_to_others and not about.st_mode & stat.S_ISVTX:
        raise OSError(
            f"other users may write into {folder}, where the token file should be: "
            "close the folder to them (chmod go-w), or give another by --token-file"
        )


def _is_token(path: Path) -> bool:
    """Whether ``path`` holds a token of ours, or nothing. Raises OSError where it cannot be read."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        held = file.read(LONGEST)
    marked = not held or held.startswith(MARK.encode()) or path == default_token_file()
    return marked and (not held or OURS.fullmatch(held.decode("ascii", "replace")) is not None)
