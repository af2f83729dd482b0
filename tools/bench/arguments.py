"""The benchmark's command line: what may be said, and what is wrong with what was. argparse, no measuring."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from server.engine import EngineError
from server.engine.devices import choose
from server.engine.loading.inspection import inspect

from .models import RANDOM, spec

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for; ends the process with one sentence and status 2 where that cannot be measured."""
    parser = argparse.ArgumentParser("python -m tools.bench", description="Draftglass's speed beside others'.")
    parser.add_argument(
        "--model",
        action="append",
        help="embedded, sd15, sdxl (random, full size), a path, or a name that `models list` shows; repeatable",
    )
    parser.add_argument("--size", type=int, help="side of the picture (256 for embedded, else 512)")
    parser.add_argument(
        "--steps", type=int, nargs="+", default=None, help="each from 1 to 8, measured in this order (4 2 1)"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="embedded model, 2 steps, under two minutes on a CPU")
    parser.add_argument("--no-compiled", action="store_true", help="leave torch.compile out, which takes minutes")
    parser.add_argument("--no-growth", action="store_true", help="leave out the cost by size, steps and clients")
    parser.add_argument("--rounds", type=int, help="turns that each arm takes (10, with --quick 6)")
    parser.add_argument(
        "--minutes", type=float, default=15.0, help="start no configuration after this long (%(default)s)"
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the results (docs/benchmarks)")
    parser.add_argument("--name", help="of the results' files; the device's, and the models' where given, by default")
    given = parser.parse_args(arguments)
    if given.quick:
        given.no_growth = given.no_compiled = True
        given.minutes = min(given.minutes, 1.0)  # what is begun is finished: a round of all arms
    given.steps = given.steps or ([2] if given.quick else [4, 2, 1])
    given.rounds = (6 if given.quick else 10) if given.rounds is None else given.rounds
    if not 1 <= given.rounds <= 1000:
        parser.error(f"rounds is {given.rounds}, but must be from 1 to 1000")
    if any(not 1 <= steps <= 8 for steps in given.steps):
        parser.error(f"steps are {given.steps}, but must be from 1 to 8")
    if given.size is not None and (not 64 <= given.size <= 2048 or given.size % 8):
        parser.error(f"size is {given.size}, but must be from 64 to 2048 and a multiple of 8")
    if not 0 < given.minutes < float("inf"):
        parser.error(f"minutes is {given.minutes}, but must be a number above 0")
    if given.name is not None and not re.fullmatch(r"\w[\w.-]*", given.name):
        parser.error(f"name is {given.name!r}, but must be letters, digits, '-', '_' and '.', as it names files")
    try:
        choose(given.device)
        for name in given.model or ():
            if not name:
                raise EngineError("model is '', but must be embedded, sd15, sdxl, a path or a model's name")
            if name != "embedded" and name not in RANDOM:
                inspect(spec(name))
        given.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=given.out):
            pass
    except EngineError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"out is {str(given.out)!r}, but must be a folder that can be written: {error.strerror}")
    return given
