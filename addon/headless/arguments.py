"""The command line of ``python -m addon``, read and checked. Standard library and the wire's limits; no bpy, no I/O."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..version import VERSION
from ..wire import MAX_SIDE
from ..wire.style import MAX_SEED, MAX_STEPS, SAMPLERS
from .values import Move, frame_range, move, number, power_of_two, views_range, whole

MOST_SHOTS = 10_000
MOST_PROMPT = 4000
EXPORTS = (".glb", ".usdz", ".blend")
"""How files to export to end."""
MOST_VIEWS = 64
TEXTURE_SIZES = 32, 4096
DEVICES = ("auto", "cpu", "cuda", "mps")
EXAMPLE = "'a sandstone castle town on grass at noon'"


@dataclass(frozen=True)
class Options:
    """What was asked for, checked. Just one of ``orbit`` (a number of views), ``frames`` and ``stick`` is set; ``only``
    those of an orbit's views are taken. ``views``, ``texture_size`` and ``exports`` are for ``stick``.

    ``scene`` is the file; ``scene_name``, ``camera`` and ``view_layer`` say which of those in it, else those that
    its window shows. ``server``: the URL of one that runs already, with its ``token_file``; else one is started with
    ``model`` on ``device``.
    """

    scene: Path
    prompts: tuple[str, ...]
    out: Path
    orbit: int | None = None
    frames: range | None = None
    only: range | None = None
    scene_name: str | None = None
    camera: str | None = None
    view_layer: str | None = None
    size: int = 256
    steps: int = 2
    strength: float = 0.7
    seed: int = 0
    depth_weight: float = 1.0
    steady: float = 0.0
    sampler: str = ""
    eta: float | None = None
    move: Move | None = None
    animation: bool = False
    video: Path | None = None
    planes: bool = False
    stick: bool = False
    views: int = 8
    texture_size: int = 2048
    exports: tuple[Path, ...] = ()
    server: str | None = None
    token_file: Path | None = None
    model: str = "embedded"
    device: str = "auto"

    def settings(self) -> dict[str, Any]:
        """Everything as plain values, for the report."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, range):  # as it is given: the first and the last, and the step where there is one
        return [value[0], value[-1], value.step][: 2 if value.step == 1 else 3]
    return str(value) if isinstance(value, Path) else value


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
    actions: list[argparse.Action] = []

    def add(*names: str, **how: Any) -> None:
        actions.append(parser.add_argument(*names, **how))

    add("scene", type=Path, metavar="SCENE.blend", help="the file to take the views from")
    add("--prompt", action="append", default=[], metavar="TEXT", help="what the pictures show; repeat for more rounds")
    add(
        "--orbit",
        metavar="N",
        help="N views around what the scene's camera sees, at its height and distance; the first is its own view",
    )
    add(
        "--frames",
        metavar="A:B[:STEP]",
        help="frames A to B of the animation, through the scene's camera; A alone is one frame",
    )
    add("--only", metavar="A:B", help="of an orbit's N views, from 0 on, only those from A to B; A alone is one view")
    add("--scene", dest="scene_name", metavar="NAME", help="the scene in the file (the one that its window shows)")
    add("--camera", metavar="NAME", help="the camera to look through (the scene's)")
    add("--view-layer", metavar="NAME", help="the view layer to draw (the one that the file's window shows)")
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
    add("--sampler", metavar="NAME", help=f"{' or '.join(SAMPLERS)} (what the model was made for)")
    add("--eta", metavar="X", help="how much of the noise tcd replaces at each step, up to 1 (what suits the model)")
    add("--move", metavar="NAME=X,Y,Z", help="move this object by this much, halfway through each round")
    add("--animation", action="store_true", help="write animation.webp too")
    add("--video", type=Path, metavar="FILE.mp4", help="write the pictures as a video too, at the scene's frame rate")
    add(
        "--planes", action="store_true", help="write planes_NNN.npz too: depth, matrices, ids and normals of each draft"
    )
    add("--stick", action="store_true", help="lay the pictures on the scene as its textures, from several views")
    add("--views", metavar="N", help=f"with --stick: how many views, all round ({defaults.views})")
    add("--texture-size", metavar="TEXELS", help=f"with --stick: longest side of a texture ({defaults.texture_size})")
    add(
        "--export",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help=f"with --stick: write the textured scene to this file, {', '.join(EXPORTS)}; repeat for more",
    )
    add("--out", type=Path, metavar="DIR", help="folder for drafts, pictures, sheet.png and report.json")
    add("--server", metavar="URL", help="a server that runs already, such as ws://127.0.0.1:8765/live")
    add("--token-file", type=Path, metavar="PATH", help="that server's token file")
    add("--model", help="for the server that is started: a name that it knows, a diffusers folder or .safetensors file")
    add("--device", help=f"for the server that is started: {', '.join(DEVICES)}")
    add("--version", action="version", version=VERSION)
    given = parser.parse_args(_joined(sys.argv[1:] if arguments is None else arguments, actions))
    try:
        return _checked(given, defaults)
    except ValueError as error:
        parser.error(str(error))


def _joined(arguments: Sequence[str], actions: Sequence[argparse.Action]) -> list[str]:
    """``--frames -10:10`` as ``--frames=-10:10``, and the like: argparse takes what begins with - for an option."""
    names = {name for action in actions for name in action.option_strings}
    takes_value = {name for action in actions if action.nargs != 0 for name in action.option_strings}
    joined: list[str] = []
    for argument in arguments:
        option = argument.startswith("-") and argument.split("=")[0] in names
        if joined and joined[-1] in takes_value and argument.startswith("-") and not option:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def check_stick(given: argparse.Namespace) -> None:
    """Raise ValueError where --stick and what goes with it does not fit together."""
    beside = {"--views": given.views, "--texture-size": given.texture_size, "--export": given.export}
    not_beside = {"--orbit": given.orbit, "--frames": given.frames, "--only": given.only, "--move": given.move}
    not_beside |= {"--animation": given.animation, "--video": given.video, "--planes": given.planes}
    not_beside |= {"--steady": given.steady}
    for name, value in (not_beside if given.stick else beside).items():
        if value and given.stick:
            raise ValueError(f"{name} is not for --stick, which chooses its own views: leave one of them out")
        if value:
            raise ValueError(f"{name} is for --stick: give that too, or leave it out")
    if given.stick and len(given.prompt) > 1:
        raise ValueError(
            f"--prompt is given {len(given.prompt)} times, but --stick takes one: run it again for another"
        )
    for path in given.export:
        if path.suffix.lower() not in EXPORTS:
            raise ValueError(f"--export is {str(path)!r}, but must be a file that ends in {', '.join(EXPORTS)}")
    if len({path.absolute() for path in given.export}) < len(given.export):
        raise ValueError("--export names one file twice: leave one of them out")


def _checked(given: argparse.Namespace, defaults: Options) -> Options:
    if not given.prompt:
        raise ValueError(f"--prompt is missing: say what the pictures should show, such as --prompt {EXAMPLE}")
    for prompt in given.prompt:
        if not prompt.strip() or len(prompt) > MOST_PROMPT:
            shown = repr(prompt if len(prompt) < 60 else prompt[:57] + "...")
            raise ValueError(f"--prompt is {shown}, but must be 1 to {MOST_PROMPT} characters, such as {EXAMPLE}")
    texts = {"--move": given.move, "--scene": given.scene_name}
    texts |= {"--camera": given.camera, "--view-layer": given.view_layer}
    for name, text in (*(("--prompt", prompt) for prompt in given.prompt), *texts.items()):
        try:
            (text or "").encode()
        except UnicodeEncodeError:  # bytes that the shell hands over as they are
            raise ValueError(f"{name} is {text[:60]!r}, which is not UTF-8: type it again") from None
    if given.out is None:
        raise ValueError("--out is missing: name the folder that the pictures should go to")
    check_stick(given)
    if not given.stick and (given.orbit is None) == (given.frames is None):
        words = "neither is" if given.orbit is None else "both are"
        raise ValueError(f"--orbit N or --frames A:B says which views to take, one of them: {words} given")
    if given.server is not None and (given.model is not None or given.device is not None):
        raise ValueError("--model and --device are for a server that is started here: leave them out with --server")
    if given.server is None and given.token_file is not None:
        raise ValueError("--token-file is for a server that runs already: give its --server URL too, or leave it out")
    if given.device is not None and given.device not in DEVICES:
        raise ValueError(f"--device is {given.device!r}, but must be one of {', '.join(DEVICES)}")
    if given.sampler is not None and given.sampler not in SAMPLERS:
        raise ValueError(f"--sampler is {given.sampler!r}, but must be one of {', '.join(SAMPLERS)}")
    if given.eta is not None and given.sampler == "lcm":
        raise ValueError(f"--eta is {given.eta!r}, which lcm has no use for: give --sampler tcd, or leave it out")
    if given.video is not None and given.video.suffix.lower() != ".mp4":
        raise ValueError(f"--video is {str(given.video)!r}, but must be a file that ends in .mp4")
    orbit = None if given.orbit is None else whole("--orbit", given.orbit, 1, MOST_SHOTS)
    frames = None if given.frames is None else frame_range(given.frames)
    only = None if given.only is None else views_range(given.only, orbit)
    views = len(only or range(orbit) if orbit else frames or ())
    if views * len(given.prompt) > MOST_SHOTS:
        raise ValueError(
            f"{views} views under {len(given.prompt)} prompts are more than {MOST_SHOTS} pictures: take fewer"
        )
    return Options(
        scene=given.scene,
        prompts=tuple(given.prompt),
        out=given.out,
        orbit=orbit,
        frames=frames,
        only=only,
        scene_name=given.scene_name,
        camera=given.camera,
        view_layer=given.view_layer,
        size=whole("--size", given.size, 64, MAX_SIDE, defaults.size, 8),
        steps=whole("--steps", given.steps, 1, MAX_STEPS, defaults.steps),
        strength=number("--strength", given.strength, 0.01, 1, defaults.strength),
        seed=whole("--seed", given.seed, 0, MAX_SEED, defaults.seed),
        depth_weight=number("--depth-weight", given.depth_weight, 0, 2, defaults.depth_weight),
        steady=number("--steady", given.steady, 0, 1, defaults.steady),
        sampler=given.sampler or "",
        eta=None if given.eta is None else number("--eta", given.eta, 0, 1, 0),
        move=None if given.move is None else move(given.move),
        animation=given.animation,
        video=given.video,
        planes=given.planes,
        stick=given.stick,
        views=whole("--views", given.views, 1, MOST_VIEWS, defaults.views),
        texture_size=power_of_two("--texture-size", given.texture_size, *TEXTURE_SIZES, defaults.texture_size),
        exports=tuple(given.export),
        server=given.server,
        token_file=given.token_file,
        model=given.model or defaults.model,
        device=given.device or defaults.device,
    )
