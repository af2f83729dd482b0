"""Planes in memory that both ends share, on one machine: a file without a name. Standard library and numpy only.

The client makes a file in the system's memory (``/dev/shm``; elsewhere its folder for temporary files) that only its
user may open, and says the random part of its name in its hello. The server opens it, and as soon as the welcome is
there the client removes the name: from then on the file lives as long as one of the two has it open, so that it
goes with them however they end. One that ended in between leaves an empty file, which the next client removes.

Why a file, read and written, and neither ``multiprocessing.shared_memory`` nor ``mmap``: the former has a tracker,
a process of its own, that removes memory it doesn't own (only Python 3.13 can switch it off) and leaves a name in
the system for as long as the memory lives. In mapped memory a peer that truncates the file, or a full file system (a
container has 64 MB), ends the process with SIGBUS. Here it is a short read or an OSError; and what was read is a copy,
so the other side can't change it afterwards. It costs one copy by the kernel, at memory's speed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..wire import MAX_SIDE, MEMORY_BYTES, MEMORY_NAME, ProtocolError

SLOTS = 2
"""As many as a client has frames under way."""
SLOT_BYTES = MEMORY_BYTES // SLOTS
PICTURE_AT = MAX_SIDE * MAX_SIDE * 5
"""Where in a slot the picture goes, behind the largest draft with depth."""
PREFIX = "draftglass-"
STALE_SECONDS = 60.0
"""No greeting takes so long: an older file that still has its name belongs to nobody."""


class SharedMemory:
    """``MEMORY_BYTES`` that two processes of one user share. Made by :meth:`create` or :meth:`open`.

    Memory is taken only where something was written.
    """

    def __init__(self, handle: int, path: Path, owner: bool) -> None:
        self._handle, self._path, self._has_name = handle, path, owner

    @classmethod
    def create(cls, folder: Path | None = None) -> SharedMemory | None:
        """Make one, with a name. None where that doesn't go: the planes then go through the socket."""
        folder = folder or memory_folder()
        if folder is None:
            return None
        _remove_stale(folder)
        path = folder / f"{PREFIX}{secrets.token_hex(16)}"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        made = cls(handle, path, owner=True)
        try:
            os.ftruncate(handle, MEMORY_BYTES)
        except OSError:
            made.close()
            return None
        return made

    @classmethod
    def open(cls, name: str, folder: Path | None = None) -> SharedMemory | None:
        """Open the one whose client said ``name``. None unless it is there and only this process's user can open it.

        ``name`` may be anything; nothing but a file of exactly this kind is ever opened.
        """
        folder = folder or memory_folder()
        if folder is None or re.fullmatch(MEMORY_NAME, name) is None:
            return None
        path = folder / f"{PREFIX}{name}"
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        about = os.fstat(handle)
        private = about.st_uid == os.geteuid() and not about.st_mode & 0o077
        if not (stat.S_ISREG(about.st_mode) and private and about.st_nlink == 1 and about.st_size == MEMORY_BYTES):
            os.close(handle)
            return None
        return cls(handle, path, owner=False)

    @property
    def name(self) -> str:
        """What a hello says."""
        return self._path.name.removeprefix(PREFIX)

    def write(self, at: int, planes: Sequence[NDArray[Any]]) -> bool:
        """Write the bytes of ``planes``, contiguous arrays, one behind the other. False where they can't be held."""
        if at < 0 or at + sum(plane.nbytes for plane in planes) > MEMORY_BYTES:
            return False
        try:
            for plane in planes:
                rest = plane.data.cast("B")
                while rest:
                    written = os.pwrite(self._handle, rest, at)
                    rest, at = rest[written:], at + written
        except OSError:  # the file system is full, or this is closed
            return False
        return True

    def read(self, at: int, count: int) -> bytes:
        """Return a copy of ``count`` bytes. Raises ProtocolError where there are fewer."""
        try:
            data = os.pread(self._handle, count, at) if at + count <= MEMORY_BYTES else b""
        except OSError:
            data = b""
        if len(data) != count:
            raise ProtocolError(
                f"a plane lies {at} bytes into the shared memory, but {count} bytes can't be read there"
            )
        return data

    def remove_name(self) -> None:
        """Take the file's name away; both ends keep what they have opened."""
        if self._has_name:
            self._has_name = False
            with contextlib.suppress(OSError):
                self._path.unlink()

    def close(self) -> None:
        """Let go of it. Safe to call twice."""
        self.remove_name()
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def memory_folder() -> Path | None:
    """Where both ends look for shared memory; None where there is none (Windows)."""
    if sys.platform == "win32":
        return None
    if sys.platform == "linux":
        folder = Path("/dev/shm")
        return folder if folder.is_dir() else None  # a temporary file might lie on a slow disk
    return Path(tempfile.gettempdir())


def _remove_stale(folder: Path) -> None:
    """Remove what clients of this user left that were killed while they greeted their server."""
    try:
        for entry in os.scandir(folder):
            if entry.name.startswith(PREFIX) and re.fullmatch(MEMORY_NAME, entry.name.removeprefix(PREFIX)):
                about = entry.stat(follow_symlinks=False)
                if about.st_uid == os.geteuid() and time.time() - about.st_mtime > STALE_SECONDS:
                    os.unlink(entry.path)
    except OSError:  # another one was faster, or the folder can't be listed
        pass
