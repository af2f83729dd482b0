"""The command line of ``python -m addon``, read and checked. Standard library and the wire's limits; no bpy, no I/O."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..version import VERSION
from ..wire import MAX_SIDE
from ..wire.style import MAX_SEED, MAX_STEPS

MOST_SHOTS = 10_000
MOST_PROMPT = 4000
LAST_FRAME = 1_048_574
"""Blender's own last frame."""
DEVICES = ("auto", "cpu", "cuda", "mps")
EXAMPLE = "'a sandstone castle town on grass at noon'"


@dataclass(frozen=True)
class Move:
    """An object that stands elsewhere in the second half of the shots: by ``offset`` (x, y, z) in scene units."""

    name: str
    offset: tuple[float, float, float]


@dataclass(frozen=True)
class Options:
    """What was asked for, checked. Just one of ``orbit`` (a number of views) and ``frames`` (first, last) is set.

    ``server``: the URL of one that runs already, with its ``token_file``; else one is started with ``model`` on
    ``device``.
    """

    scene: Path
    prompts: tuple[str, ...]
    out: Path
    orbit: int | None = None
    frames: tuple[int, int] | None = None
    size: int = 256
    steps: int = 2
    strength: float = 0.9
    seed: int = 0
    depth_weight: float = 1.0
    steady: float = 0.0
    move: Move | None = None
    animation: bool = False
    server: str | None = None
    token_file: Path | None = None
    model: str = "embedded"
    device: str = "auto"

    def settings(self) -> dict[str, Any]:
        """Everything as plain values, for the report."""
        values = asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as everything else that is wrong."""
        self.exit(2, f"{self.prog}: {message}\n")


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Return the options in ``arguments`` (default: the process's own); exit 2 with one line where one is wrong."""
    defaults = Options(Path(), (), Path())
    parser = _Parser(
        "python -m addon",
        description="Turn views of a .blend file into pictures, without a window: the live loop as Blender runs it.",
    )
    add = parser.add_argument
    add("scene", type=Path, metavar="SCENE.blend", help="the file to take the views from")
    add("--prompt", action="append", default=[], metavar="TEXT", help="what the pictures show; again for another round")
    add(
        "--orbit",
        metavar="N",
        help="N views around the scene, from the scene camera's height and distance if it has one",
    )
    add("--frames", metavar="A:B", help="frames A to B of the animation, through the scene's camera")
    add("--size", metavar="PIXELS", help=f"side of drafts and pictures ({defaults.size})")
    add("--steps", metavar="N", help=f"steps of the model for each picture ({defaults.steps})")
    add(
        "--strength",
        metavar="X",
        help=f"how far a picture may leave its draft's colours, up to 1 ({defaults.strength})",
    )
    add("--seed", metavar="N", help=f"another seed, another picture ({defaults.seed})")
    add(
        "--depth-weight",
        metavar="X",
        help=f"how closely a picture keeps to the scene's depth ({defaults.depth_weight})",
    )
    add(
        "--steady",
        metavar="X",
        help=f"how firmly surfaces keep their picture from one view to the next, up to 1 ({defaults.steady})",
    )
    add("--move", metavar="NAME=X,Y,Z", help="move this object by so much half way through each round")
    add("--animation", action="store_true", help="write animation.webp too")
    add("--out", type=Path, metavar="DIR", help="folder for drafts, pictures, sheet.png and report.json")
    add("--server", metavar="URL", help="a server that runs already, such as ws://127.0.0.1:8765/live")
    add("--token-file", type=Path, metavar="PATH", help="where that server's token lies")
    add("--model", help="for the server that is started: a name that it knows, a diffusers folder or .safetensors file")
    add("--device", help=f"for the server that is started: {', '.join(DEVICES)}")
    add("--version", action="version", version=VERSION)
    given = parser.parse_args(arguments)
    try:
        return _checked(given, defaults)
    except ValueError as error:
        parser.error(str(error))


def _checked(given: argparse.Namespace, defaults: Options) -> Options:
    if not given.prompt:
        raise ValueError(f"--prompt is missing: say what the pictures should show, such as --prompt {EXAMPLE}")
    for prompt in given.prompt:
        if not prompt.strip() or len(prompt) > MOST_PROMPT:
            shown = repr(prompt if len(prompt) < 60 else prompt[:57] + "...")
            raise ValueError(f"--prompt is {shown}, but must be 1 to {MOST_PROMPT} characters, such as {EXAMPLE}")
    for name, text in (*(("--prompt", prompt) for prompt in given.prompt), ("--move", given.move or "")):
        try:
            text.encode()
        except UnicodeEncodeError:  # bytes that the shell hands over as they are
            raise ValueError(f"{name} is {text[:60]!r}, which is no UTF-8: type it anew") from None
    if given.out is None:
        raise ValueError("--out is missing: name the folder that the pictures should go to")
    if (given.orbit is None) == (given.frames is None):
        words = "neither is" if given.orbit is None else "both are"
        raise ValueError(f"--orbit N or --frames A:B says which views to take, one of them: {words} given")
    if given.server is not None and (given.model is not None or given.device is not None):
        raise ValueError("--model and --device are for a server that is started here: leave them out with --server")
    if given.server is None and given.token_file is not None:
        raise ValueError("--token-file is for a server that runs already: give its --server URL too, or leave it out")
    if given.device is not None and given.device not in DEVICES:
        raise ValueError(f"--device is {given.device!r}, but must be one of {', '.join(DEVICES)}")
    orbit = None if given.orbit is None else _whole("--orbit", given.orbit, 1, MOST_SHOTS)
    frames = None if given.frames is None else _frames(given.frames)
    views = orbit or (frames[1] - frames[0] + 1 if frames else 0)
    if views * len(given.prompt) > MOST_SHOTS:
        raise ValueError(
            f"{views} views under {len(given.prompt)} prompts are more than {MOST_SHOTS} pictures: take fewer"
        )
    return Options(
        given.scene,
        tuple(given.prompt),
        given.out,
        orbit,
        frames,
        _whole("--size", given.size, 64, MAX_SIDE, defaults.size, 8),
        _whole("--steps", given.steps, 1, MAX_STEPS, defaults.steps),
        _number("--strength", given.strength, 0.01, 1, defaults.strength),
        _whole("--seed", given.seed, 0, MAX_SEED, defaults.seed),
        _number("--depth-weight", given.depth_weight, 0, 2, defaults.depth_weight),
        _number("--steady", given.steady, 0, 1, defaults.steady),
        None if given.move is None else _move(given.move),
        given.animation,
        given.server,
        given.token_file,
        given.model or defaults.model,
        given.device or defaults.device,
    )


def _whole(name: str, text: str | None, low: int, high: int, default: int = 0, multiple: int = 1) -> int:
    if text is None:
        return default
    value = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None
    if value is None or not low <= value <= high or value % multiple:
        rule = f"a whole number from {low} to {high}" + (f", a multiple of {multiple}" if multiple > 1 else "")
        raise ValueError(f"{name} is {text!r}, but must be {rule}")
    return value


def _number(name: str, text: str | None, low: float, high: float, default: float) -> float:
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # NaN fails too
        raise ValueError(f"{name} is {text!r}, but must be a number from {low:g} to {high:g}")
    return value


def _frames(text: str) -> tuple[int, int]:
    parts = re.fullmatch(r"([0-9]{1,7}):([0-9]{1,7})", text)
    first, last = (int(parts[1]), int(parts[2])) if parts else (1, 0)
    if not first <= last <= LAST_FRAME:
        raise ValueError(
            f"--frames is {text!r}, but must be A:B, the first frame and the last, such as 1:24, up to {LAST_FRAME}"
        )
    return first, last


def _move(text: str) -> Move:
    name, _, numbers = text.rpartition("=")
    try:
        x, y, z = (float(part) for part in numbers.split(","))
    except ValueError:
        x = y = z = math.nan
    if not name or not all(math.isfinite(value) for value in (x, y, z)):
        raise ValueError(f"--move is {text!r}, but must be NAME=X,Y,Z, an object's name and three numbers")
    return Move(name, (x, y, z))
