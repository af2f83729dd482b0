"""Planes in memory that both ends share, on one machine: a file without a name. Standard library and numpy only.

The client makes a file in the system's memory (``/dev/shm``; elsewhere its folder for temporary files) that only its
user may open, and says the random part of its name in its hello. The server opens it, and as soon as the welcome is
there the client removes the name: from then on the file lives as long as one of the two has it open, so that it
goes with them however they end. One that ended in between leaves a file of one page, which the next client removes.

On Windows the file lies in its user's temporary folder, which is closed to others, is opened so that the system keeps
it in memory while it can, and is deleted by the system when the last of both has closed it.

Why a file, read and written, and neither ``multiprocessing.shared_memory`` nor ``mmap``: the former has a tracker,
a process of its own, that removes memory it doesn't own (only Python 3.13 can switch it off) and leaves a name in
the system for as long as the memory lives. In mapped memory a peer that truncates the file, or a full file system (a
container has 64 MB), ends the process with SIGBUS. Here it is a short read or an OSError; and what was read is a copy,
so the other side can't change it afterwards. It costs one copy by the kernel, at memory's speed.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import os
import re
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..wire import MAX_SIDE, MEMORY_BYTES, MEMORY_NAME, ProtocolError

POSIX = os.name == "posix"
SLOTS = 2
"""As many as a client has frames under way."""
SLOT_BYTES = MEMORY_BYTES // SLOTS
PICTURE_AT = SLOT_BYTES - MAX_SIDE * MAX_SIDE * 3
"""Where in a slot the picture goes, behind the largest frame with all its planes."""
PREFIX = "draftglass-"
STALE_SECONDS = 60.0
"""No greeting takes so long: an older file that still has its name belongs to nobody."""
_FLAGS = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT", "O_SHORT_LIVED", "O_TEMPORARY")
_OPEN = functools.reduce(operator.or_, (getattr(os, name, 0) for name in _FLAGS), os.O_RDWR)
"""Each system has some of these. A file that is deleted when closed can be opened once more only in the same way."""


class SharedMemory:
    """``MEMORY_BYTES`` that two processes of one user share. Made by :meth:`create` or :meth:`open`.

    Memory is taken only where something was written. For one thread.
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
            handle = os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            return None
        made = cls(handle, path, owner=True)
        if made._has_length() and made.write(0, [_as_plane(made.name)]):
            return made
        made.close()
        return None

    @classmethod
    def open(cls, name: str, folder: Path | None = None) -> SharedMemory | None:
        """Open the one whose client said ``name``. None unless it is there and only this process's user can open it.

        ``name`` may be anything; nothing but a file of exactly this kind is ever opened. What the client wrote into it
        must be readable here.
        """
        folder = folder or memory_folder()
        if folder is None or re.fullmatch(MEMORY_NAME, name) is None:
            return None
        path = folder / f"{PREFIX}{name}"
        try:
            handle = os.open(path, _OPEN)
        except OSError:
            return None
        opened = cls(handle, path, owner=False)
        with contextlib.suppress(OSError, ProtocolError):
            if _is_ours(os.fstat(handle)) and opened.read(0, len(name)) == name.encode():
                return opened
        opened.close()
        return None

    @property
    def name(self) -> str:
        """What a hello says."""
        return self._path.name.removeprefix(PREFIX)

    def write(self, at: int, planes: Sequence[NDArray[np.uint8]]) -> bool:
        """Write ``planes``, one-dimensional and contiguous, one behind the other. False where they can't be held."""
        if at < 0 or at + sum(plane.nbytes for plane in planes) > MEMORY_BYTES:
            return False
        try:
            for plane in planes:
                rest = plane.data
                while rest:
                    written = self._write_some(rest, at)
                    rest, at = rest[written:], at + written
        except OSError:  # the file system is full, or this is closed
            return False
        return True

    def read(self, at: int, count: int) -> bytes:
        """Return a copy of ``count`` bytes. Raises ProtocolError where there are fewer."""
        try:
            data = self._read_some(count, at) if at + count <= MEMORY_BYTES else b""
        except OSError:
            data = b""
        if len(data) != count:
            raise ProtocolError(
                f"a plane lies {at} bytes into the shared memory, but {count} bytes can't be read there"
            )
        return data

    def _write_some(self, data: memoryview, at: int) -> int:
        if POSIX:
            return os.pwrite(self._handle, data, at)
        os.lseek(self._handle, at, os.SEEK_SET)
        return os.write(self._handle, data)

    def _read_some(self, count: int, at: int) -> bytes:
        if POSIX:
            return os.pread(self._handle, count, at)
        os.lseek(self._handle, at, os.SEEK_SET)
        return os.read(self._handle, count)

    def _has_length(self) -> bool:
        """Give the file its length where that costs nothing; on Windows it would write zeros, so there it grows."""
        try:
            if POSIX:
                os.ftruncate(self._handle, MEMORY_BYTES)
        except OSError:
            return False
        return True

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
    """Where both ends look for shared memory; None where there is no place for it."""
    if sys.platform == "win32":  # by this name, as programs set others to their own temporary folders
        folder = Path(os.environ.get("LOCALAPPDATA", ""), "Temp")
        return folder if folder.is_absolute() and folder.is_dir() else None
    if sys.platform == "linux":
        folder = Path("/dev/shm")
        return folder if folder.is_dir() else None  # a temporary file might lie on a slow disk
    try:
        return Path(tempfile.gettempdir())
    except OSError:  # it tries to write there the first time: the disk is full, or no file number is left
        return None


def _as_plane(name: str) -> NDArray[np.uint8]:
    return np.frombuffer(name.encode(), np.uint8)


def _is_ours(about: os.stat_result) -> bool:
    """Whether it is a file of this kind that only this user can open; Windows' folder sees to the latter."""
    private = not POSIX or (about.st_uid == os.geteuid() and not about.st_mode & 0o077)
    whole = about.st_size == MEMORY_BYTES or not POSIX
    return stat.S_ISREG(about.st_mode) and private and about.st_nlink == 1 and whole


def _remove_stale(folder: Path) -> None:
    """Remove what clients of this user left that were killed while they greeted their server."""
    try:
        for entry in os.scandir(folder):
            if entry.name.startswith(PREFIX) and re.fullmatch(MEMORY_NAME, entry.name.removeprefix(PREFIX)):
                about = entry.stat(follow_symlinks=False)
                if (not POSIX or about.st_uid == os.geteuid()) and time.time() - about.st_mtime > STALE_SECONDS:
                    os.unlink(entry.path)
    except OSError:  # another one was faster, or the folder can't be listed
        pass
