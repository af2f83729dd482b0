"""The circumstances of a measurement: the machine, versions, how busy everything else was. psutil and torch, no bpy."""

from __future__ import annotations

import contextlib
import platform
import re
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch

from server.engine.devices import cpu_threads


def facts(device: torch.device) -> dict[str, Any]:
    """What a figure means nothing without."""
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    else:
        where = f"{_processor()}, {cpu_threads()} threads"
    return {
        "device": where,
        "versions": ", ".join(
            [
                f"Python {platform.python_version()}",
                f"torch {torch.__version__}",
                *(f"{name} {_version(name)}" for name in ("diffusers", "transformers", "streamdiffusion")),
                *([f"CUDA {torch.version.cuda}"] if device.type == "cuda" else []),
            ]
        ),
        "date": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
        "command": "python -m tools.bench" + _words(sys.argv[1:]),
    }


class Others:
    """How busy everything else on the machine is from when this is made: figures taken then are worth less."""

    def __init__(self) -> None:
        self._begun, self._all, self._own = time.monotonic(), self._busy(), self._of_ours()

    @staticmethod
    def _busy() -> float:
        times = psutil.cpu_times()
        return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))

    @staticmethod
    def _of_ours() -> float:
        total = 0.0
        for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += sum(process.cpu_times()[:4])  # with children that have ended
        return total

    def __str__(self) -> str:
        passed = (time.monotonic() - self._begun) * (psutil.cpu_count() or 1)
        share = (self._busy() - self._all - self._of_ours() + self._own) / max(passed, 1e-3)
        return f"took {100 * min(1.0, max(0.0, share)):.0f} % of the processors' time meanwhile"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _commit() -> str:
    """Of the code that is measured, "+" behind it where that was changed since."""
    asked = ["git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(asked, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"


def _words(arguments: list[str]) -> str:
    """``arguments`` for people elsewhere: not where the results went, and PATH for this machine's paths."""
    before = ["", *arguments]
    told = [word for word, last in zip(arguments, before, strict=False) if "--out" not in (word[:5], last)]
    return "".join(f" {'PATH' if '/' in word else word}" for word in told)
