"""The environment's folder: whether it is complete, of which version, how it is removed. Standard library only; no bpy.

``.version`` in it says "incomplete" from before its first file until after its last check.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..problems import EnvironmentState
from .machine import BUILDS
from .plan import Plan, environments

VERSION_FILE = ".version"
ASIDE = ".before"
"""The end of the name of an environment that is made anew, until the new one works."""
REMOVED = "removed-"
"""Begins the name of an environment that is being deleted."""


class Environment:
    """What there is of ``plan``'s environment now."""

    def __init__(self, plan: Plan) -> None:
        self.folder = plan.folder
        self.python = python_of(self.folder)
        self.about = read(self.folder)
        """What ``.version`` holds: state, version, build, words of the check."""
        self.state = self._state(plan.home)

    @property
    def wants_gpu(self) -> bool:
        """Whether its build of PyTorch is one for an NVIDIA or AMD GPU."""
        build = BUILDS.get(self.about.get("build", ""))
        return build is not None and build.folder.startswith(("cu", "rocm"))

    def _state(self, home: Path) -> EnvironmentState:
        if is_complete(self.folder):
            return EnvironmentState.COMPLETE if runs(self.folder) else EnvironmentState.BROKEN
        if any(is_complete(other) for other in others(home, self.folder)):
            return EnvironmentState.OUTDATED
        return EnvironmentState.INCOMPLETE if self.folder.exists() else EnvironmentState.ABSENT


def python_of(folder: Path) -> Path:
    """The interpreter of the environment in ``folder``."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def runs(folder: Path) -> bool:
    """Whether the Python that made the environment in ``folder`` is still where it was."""
    if not python_of(folder).exists():  # a link to what is gone does not exist
        return False
    try:
        lines = (folder / "pyvenv.cfg").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    named = dict(line.partition("=")[::2] for line in lines)
    home = next((value.strip() for key, value in named.items() if key.strip() == "home"), "")
    return Path(home).is_dir()  # on Windows the interpreter is a copy, which stays


def site_packages(folder: Path) -> Path:
    """Where the environment's packages lie, of the Python that runs this."""
    if os.name == "nt":
        return folder / "Lib" / "site-packages"
    return folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def read(folder: Path) -> dict[str, str]:
    """What ``.version`` holds; nothing where it cannot be read."""
    try:
        values = json.loads((folder / VERSION_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}


def write(folder: Path, **values: str) -> None:
    """Write ``.version``, all of it or nothing. Raises OSError."""
    new = folder / (VERSION_FILE + ".new")
    new.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    new.replace(folder / VERSION_FILE)


def others(home: Path, folder: Path) -> list[Path]:
    """The environments beside ``folder``: of earlier versions, or left by a setup that was killed."""
    with contextlib.suppress(OSError):
        return [other for other in environments(home).iterdir() if other.is_dir() and other != folder]
    return []


def is_complete(folder: Path) -> bool:
    """Whether the environment in ``folder`` was made to its end."""
    return read(folder).get("state") == EnvironmentState.COMPLETE


def remove(folder: Path) -> None:
    """Remove a folder and all in it. Raises OSError when it stays: on Windows while a program runs in it."""
    with contextlib.suppress(FileNotFoundError):
        _insist(lambda: shutil.rmtree(folder))


def remove_all(home: Path) -> bool:
    """Take all environments away; False while another process sets one up. Raises OSError, as on Windows in use.

    They are out of the way at once; their files, which are gigabytes, are deleted by a thread. What is left when that
    is cut off goes with the next setup.
    """
    with alone(home) as mine:
        if not mine:
            return False
        away = []
        for folder in [one for one in environments(home).iterdir() if one.is_dir()]:
            gone = folder if folder.name.startswith(REMOVED) else folder.with_name(f"{REMOVED}{folder.name}")
            if gone != folder:
                remove(gone)
                rename(folder, gone)
                (gone / VERSION_FILE).unlink(missing_ok=True)  # it is none any more
            away.append(gone)
    threading.Thread(target=_delete, args=(away,), daemon=True).start()
    return True


def _delete(away: list[Path]) -> None:
    for folder in away:
        shutil.rmtree(folder, ignore_errors=True)


def rename(folder: Path, to: Path) -> None:
    """Give a folder another name. Raises OSError: on Windows while a program runs in it."""
    _insist(lambda: folder.rename(to))


def _insist(action: Callable[[], object], tries: int = 5) -> None:
    """Do it; antivirus software may have a file open for a moment, and a server ends a moment after it is asked."""
    for left in reversed(range(tries)):
        try:
            action()
            return
        except FileNotFoundError:
            raise
        except OSError:
            if not left:
                raise
            time.sleep(0.6)


@contextlib.contextmanager
def alone(home: Path) -> Iterator[bool]:
    """Hold the lock of all setups in ``home``; says False when another process holds it. Raises OSError."""
    environments(home).mkdir(parents=True, exist_ok=True)
    with open(environments(home) / "lock", "ab") as file:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True  # closing the file gives the lock back, as does the end of the process


@contextlib.contextmanager
def rolled_back(folder: Path) -> Iterator[None]:
    """Put ``folder`` aside; what is made in its place is removed, and it comes back, unless that succeeds.

    After a success the one put aside counts as one of the others, which go at the end.
    """
    aside = folder.with_name(folder.name + ASIDE)
    if is_complete(folder):
        remove(aside)
        rename(folder, aside)
    else:
        remove(folder)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # then .version still says incomplete
            remove(folder)
            if is_complete(aside):  # also that of a setup that was killed before
                rename(aside, folder)
        raise
