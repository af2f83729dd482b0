"""Reads a file of bounded length, and no pipe or device. Standard library only; no bpy."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
"""To open a pipe would otherwise wait for whoever writes to it."""


class TooLong(OSError):
    """The file has more bytes than are expected."""


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of the file ``path``, wherever links lead, ``most`` of them at most.

    Raises OSError, whose ``strerror`` goes on from "cannot be read:", for all but a regular file of that length;
    TooLong where only the length is wrong.
    """
    handle = os.open(path, _FLAGS)
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if stat.S_ISDIR(about.st_mode):
            raise OSError(0, "it is a folder, not a file")
        if not stat.S_ISREG(about.st_mode):
            raise OSError(0, "it is no ordinary file, but a device, a pipe or a link to one")
        data = file.read(most + 1) if about.st_size <= most else b""
        if len(data) > most or about.st_size > most:
            raise TooLong(0, f"it has {max(about.st_size, len(data))} bytes, but {most} at most are expected")
        return data
