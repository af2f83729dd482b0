"""What the system allows this process: processors, and remaining memory. psutil; no torch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

GROUPS, ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
"""Linux' list of the control groups that this process is in, as of a container, and where they are mounted."""
MAPPED = 64 << 20
"""Bytes of address space that the C library maps for a thread, beyond what is computed with."""


LOOK_SECONDS = 1.0


class MemoryWatch:
    """:func:`free_memory`, for who asks often: it takes milliseconds, so what was found holds for a second.

    Where more than half of that is needed, it is looked at anew. ``clock``: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._at, self._found = clock, -math.inf, (0, "cpu")

    def free(self, needed: int) -> tuple[int, str]:
        """Bytes that this process can still use, as far as it matters for ``needed``, and whose they are."""
        now = self._clock()
        if now - self._at > LOOK_SECONDS or needed > self._found[0] / 2:
            self._at, self._found = now, free_memory()
        return self._found


def quota(groups: Path = GROUPS, root: Path = ROOT) -> float:
    """How many processors this process may keep busy by its control groups' quotas, at least 1, infinity without any.

    Threads beyond the quota would wait for each other.
    """
    least = math.inf
    for folder, is_first in _folders("cpu", groups, root):
        with suppress(OSError, ValueError, ZeroDivisionError):
            if is_first:
                most, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            else:
                most, period = (folder / "cpu.max").read_text().split()
            if float(most) > 0:
                least = min(least, float(most) / float(period))
    return max(1.0, least)


def free_memory(mapped: int = MAPPED) -> tuple[int, str]:
    """Bytes that this process can still use, and whose they are: ``cpu``, the computer's, or ``limit``.

    The least of what the computer has free, of what its control groups leave, and of what is left of its own limit on
    address space, of which ``mapped`` bytes are for other things.
    """
    free = psutil.virtual_memory().available
    allowed = min(group_memory(), _address_space() - mapped)
    return (free, "cpu") if free <= allowed else (int(max(0, allowed)), "limit")


def group_memory(groups: Path = GROUPS, root: Path = ROOT) -> float:
    """Bytes that the process's control groups leave it, infinity where none is limited.

    Cached files count as used there, but are given up before anything is killed.
    """
    least = math.inf
    for folder, is_first in _folders("memory", groups, root):
        most, used, cached = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if is_first
            else ("memory.max", "memory.current", "inactive_file")
        )
        with suppress(OSError, ValueError):  # "max", or the root, which has no limit
            limit = int((folder / most).read_text())
            facts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            least = min(least, limit - int((folder / used).read_text()) + int(facts.get(cached, 0)))
    return least


def _address_space() -> float:
    if not sys.platform.startswith("linux"):  # elsewhere nobody limits it, and nothing says how much there is
        return math.inf
    import resource

    pages = Path("/proc/self/statm").read_text().split()
    least = math.inf
    for kind, used in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            least = min(least, limit - int(used) * resource.getpagesize())
    return least


def _folders(kind: str, groups: Path, root: Path) -> Iterator[tuple[Path, bool]]:
    """The groups that bound this process in ``kind``, and whether they are of the first version of control groups."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:  # not on Linux
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and kind not in kinds.split(","):
            continue
        top = root / kind if kinds else root
        place = top / path.lstrip("/")
        for folder in (place, *place.parents):
            if top not in (folder, *folder.parents):
                break
            yield folder, bool(kinds)
