"""``python -m tools.bench``: which models, sizes, steps and arms; the table and where it goes. torch, no bpy."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from server.engine.acceleration.priority import give_way
from server.engine.devices import choose, cpu_threads
from server.engine.quiet_libraries import quiet

from . import models
from .arguments import parse
from .facts import Others, facts
from .measure import void
from .report import table, write
from .run import Bench


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it; 1 when the arms' pictures disagree."""
    given = parse(arguments)
    warnings.filterwarnings("ignore")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    device = choose(given.device).device
    if device.type == "cpu":
        give_way()  # as the server's engine does: beside other programs all arms get the same share
        torch.set_num_threads(cpu_threads())
    chosen = given.model or ([*models.RANDOM, "embedded"] if device.type == "cuda" else ["embedded"])
    known, others = facts(device), Others()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # else the folder of models would be left behind
    cut = ""
    with quiet(), tempfile.TemporaryDirectory(prefix="draftglass-bench-") as work:

        def keep() -> None:
            """Write what there is, should the rest be cut off."""
            known["other programs"] = str(others)
            _write(given, known, bench)

        bench = Bench(device, Path(work), given, keep)
        known |= bench.conditions
        try:
            for name in chosen:
                bench.model(name)
            if not given.no_growth:
                bench.growth(chosen)
        except KeyboardInterrupt:
            cut = "interrupted"
        except Exception as error:
            cut = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if cut:
        known["cut off"] = cut
        print(f"bench: cut off: {cut}", file=sys.stderr)
        if not bench.rows:
            return 130 if cut == "interrupted" else 1
    known["other programs"] = str(others)
    page = _write(given, known, bench)
    bad = void(bench.rows)
    print(table(bench.rows, compared=not bad))
    if bench.grown:
        print(f"\n{table(bench.grown, compared=False)}")
    print(f"\n{page}")
    for row in bad:
        print(f"void: {row.arm} at {row.steps} steps differs: {row.decibels:.1f} dB", file=sys.stderr)
    return 130 if cut == "interrupted" else 1 if bad or cut else 0


def _write(given: argparse.Namespace, known: dict[str, Any], bench: Bench) -> Path:
    words = [known["device"], *(re.split(r"[\\/]", name.rstrip("\\/"))[-1] for name in given.model or ())]
    words += ["quick"] * given.quick
    name = given.name or re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")
    return write(given.out, name, known, bench.rows, bench.grown)


if __name__ == "__main__":
    sys.exit(main())
