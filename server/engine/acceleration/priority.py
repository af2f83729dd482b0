"""Being a good neighbour on the CPU: Blender's threads come first. Standard library and psutil, no torch."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

import psutil

NICENESS = 5
"""Enough that Blender's threads get about three times the share of a core that both want."""


def give_way() -> None:
    """Lower the priority of the calling thread and of those that it will start; on Windows of the whole process.

    To be called in the engine's thread before torch starts its own. Where the system refuses, all stays as it is.
    """
    with contextlib.suppress(OSError, psutil.Error, AttributeError):
        if sys.platform == "win32":
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        elif sys.platform == "linux":  # where each thread has a priority of its own
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
        else:
            os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


def wait_less() -> None:
    """Have torch's threads, where they are GNU's, spin a thirtieth as long for each other until they sleep.

    It costs 4 % where nobody else wants their cores. Beside one busy thread, on two cores, a frame by two threads takes
    a tenth of the processors' time that it took before. To be called before torch is imported; what the user has set
    stays.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
