"""``python -m server.bench``: which models, sizes, steps and arms; the table and where it goes. torch, no bpy."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch

from server.engine.cpu import give_way
from server.engine.devices import choose, cpu_threads
from server.engine.quiet import quiet

from . import models
from .measure import void
from .report import table, write
from .run import Bench

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m server.bench", description="Draftglass's speed beside others'.")
    parser.add_argument(
        "--model", action="append", help="embedded, sd15, sdxl (random, full size) or a path; repeatable"
    )
    parser.add_argument("--size", type=int, help="side of the picture (256 for embedded, else 512)")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="embedded model, 2 steps, under two minutes on a CPU")
    parser.add_argument("--no-compiled", action="store_true", help="leave torch.compile out, which takes minutes")
    parser.add_argument("--no-growth", action="store_true", help="leave out the cost by size, steps and clients")
    parser.add_argument("--minutes", type=float, default=9.0, help="begin no configuration after so long (%(default)s)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the results (docs/benchmarks)")
    parser.add_argument("--name", help="of the results' files; the device's by default")
    given = parser.parse_args(arguments)
    if any(not 1 <= steps <= 8 for steps in given.steps):
        parser.error(f"steps are {given.steps}, but must be from 1 to 8")
    if given.quick:
        given.steps, given.no_growth, given.no_compiled = [2], True, True
        given.model = given.model or ["embedded"]
        given.minutes = min(given.minutes, 1.0)  # what is begun is finished: a round of all arms, and the loops
    return given


def facts(device: torch.device, given: argparse.Namespace) -> dict[str, Any]:
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
        "command": "python -m server.bench" + _words(sys.argv[1:]),
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it; 1 when the arms' pictures disagree."""
    given = parse(arguments)
    warnings.filterwarnings("ignore")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    device = choose(given.device).device
    if device.type == "cpu":
        give_way()  # as the server's engine does: beside other programs all arms get the same share
        torch.set_num_threads(cpu_threads())
    chosen = given.model or (["embedded", *models.RANDOM] if device.type == "cuda" else ["embedded"])
    known, others = facts(device, given), Others()
    with quiet(), tempfile.TemporaryDirectory(prefix="draftglass-bench-") as work:
        bench = Bench(device, Path(work), given)
        for name in chosen:
            bench.model(name)
            known["other programs"] = str(others)
            _write(given, known, bench)  # what there is, should the rest be cut off
        if not given.no_growth:
            bench.growth(chosen)
    known["other programs"] = str(others)
    page = _write(given, known, bench)
    print(table([*bench.rows, *bench.grown]))
    print(f"\n{page}")
    bad = void(bench.rows)
    for row in bad:
        print(f"void: {row.arm} at {row.steps} steps differs: {row.decibels:.1f} dB", file=sys.stderr)
    return 1 if bad else 0


def _write(given: argparse.Namespace, known: dict[str, Any], bench: Bench) -> Path:
    name = given.name or re.sub(r"[^a-z0-9]+", "-", known["device"].lower()).strip("-")
    return write(given.out, name + ("-quick" if given.quick and not given.name else ""), known, bench.rows, bench.grown)


def _words(arguments: list[str]) -> str:
    """``arguments`` for people elsewhere: not where the results went, and PATH for this machine's paths."""
    before = ["", *arguments]
    told = [word for word, last in zip(arguments, before, strict=False) if "--out" not in (word[:5], last)]
    return "".join(f" {'PATH' if '/' in word else word}" for word in told)


if __name__ == "__main__":
    sys.exit(main())
