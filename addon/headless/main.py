"""One run from the command line to the files it leaves. Imports no torch; bpy only through addon.blender.scene_file."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..live import Address, LiveLoop
from ..problems.errors import AddressError
from ..problems.words import sentence
from ..version import VERSION
from .arguments import Options, parse
from .errors import HeadlessError
from .film import Film, write_video
from .output import UNFINISHED, keep, prepare, write, writing
from .plan import Shot, shots, with_cuts
from .report import report
from .run import Outcome, Run, wait_until_live
from .server import TemporaryServer
from .supervisor import DRAWING, OPENING, end_with_parent, mark

if TYPE_CHECKING:
    from ..blender.scene_file.scene import OfflineScene

INTERRUPTED = 130
ENCODE = Path(__file__).parents[1] / "blender" / "pictures" / "encode.py"
PACKAGES = ("numpy", "websockets", "pillow", "torch", "diffusers", "transformers", "peft")
"""Libraries whose versions go into the report; those of the server hold when it was started here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit status: 0, 2 after one line that says what was wrong, 130 when interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a log may know fewer letters than a folder's name has
        sys.stdout.reconfigure(errors="replace")
    options = parse(arguments)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    end_with_parent()
    try:
        perform(options)
    except HeadlessError as error:
        print(f"python -m addon: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("python -m addon: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def end(status: int) -> NoReturn:
    """End the process with ``status``, at once: Blender's module may hang or crash when Python tears it down."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def perform(options: Options) -> None:
    """Take every shot and write everything. Raises HeadlessError."""
    folder = prepare(options.out)
    if options.video is not None:
        prepare(options.video.parent, "--video")
    planned = shots(options)
    mark(OPENING)
    scene = open_scene(options)
    planned = with_cuts(planned, scene.cuts(options.frames)) if options.frames is not None else planned
    with writing(folder):
        film = Film(folder, folder / UNFINISHED, options, planned) if options.frames is not None else None
    there = film.there if film is not None else {}
    missing = [shot for shot in planned if shot.index not in there]
    if there:
        _say(f"{len(there)} of {len(planned)} frames are there already, made with the same settings")
    outcome = Outcome(keep=film.add if film is not None else None)
    notes: list[str] = []
    try:
        if missing:
            with serving(options) as (address, check):
                with _blender():
                    scene.ready()
                    notes = scene.begin(options.frames or ())
                for note in notes:
                    _say(note)
                mark(DRAWING)
                loop = LiveLoop(address, client=f"draftglass-headless {VERSION}", settle=False)
                try:
                    with writing(folder):
                        drive(loop, missing, options, scene, check, outcome)
                finally:
                    loop.stop()
    except (HeadlessError, KeyboardInterrupt):
        keep(folder / UNFINISHED, [*there.values(), *outcome.shown], len(planned))
        raise
    for note in scene.sentences():
        _say(note)
    made = report(outcome, options, scene.about() if missing else {}, _versions(), [*notes, *scene.sentences()])
    shown = sorted([*there.values(), *outcome.shown], key=lambda one: one.shot.index)
    write(folder, shown, made, options)
    if film is not None:
        with writing(folder):
            film.finish(folder, shown)
    if options.video is not None:
        try:
            write_video(options.video, shown, scene.frames_a_second, [sys.executable, str(ENCODE)])
        except OSError as error:
            raise HeadlessError(f"--video is {str(options.video)!r}, but can't be written: {error}") from None
        print(f"written: {options.video}, {len(shown)} frames at {scene.frames_a_second:g} a second")


def open_scene(options: Options) -> OfflineScene:
    """Open the file in Blender's module. Raises HeadlessError."""
    if not options.scene.is_file():
        what = "is a folder" if options.scene.is_dir() else "does not exist"
        raise HeadlessError(f"{options.scene} {what}: give a .blend file")
    try:
        from ..blender.scene_file.choice import Wanted
        from ..blender.scene_file.scene import OfflineScene
    except ImportError as error:
        raise HeadlessError(_lacking(error)) from None
    with _blender():
        moving = options.move.name if options.move else None
        wanted = Wanted(options.scene_name, options.view_layer, options.camera)
        planes, ids = options.planes, options.steady > 0
        return OfflineScene(options.scene, options.size, options.frames is None, moving, wanted, planes, ids)


@contextlib.contextmanager
def serving(options: Options) -> Iterator[tuple[Address, Callable[[], None]]]:
    """The address of the server that was named, or of one that lives as long as this context; and its check."""
    if options.server is not None:
        try:
            yield Address(options.server, token_file=options.token_file), lambda: None
        except AddressError as error:
            raise HeadlessError(sentence(error.problem)) from None
        return
    with TemporaryServer(options.model, options.device) as own:
        yield own.address(), own.check


def drive(
    loop: LiveLoop,
    planned: Sequence[Shot],
    options: Options,
    scene: OfflineScene,
    check: Callable[[], None],
    outcome: Outcome,
) -> None:
    """Wait for the model, then take ``planned`` into ``outcome``, with a progress bar on standard error for each."""
    from tqdm import tqdm

    bars: list[Any] = []

    def loaded(percent: float) -> None:
        if not bars and percent > 0:  # a model that is none at all is told in one line, without a bar above it
            bars.append(tqdm(total=100, desc="loading the model", unit="%", leave=False, bar_format="{l_bar}{bar}|"))
        for bar in bars:
            _advance(bar, percent)

    try:
        wait_until_live(loop, check, loaded)
    finally:
        for bar in bars:
            bar.close()
    offset = options.move.offset if options.move else (0.0, 0.0, 0.0)

    def capture(shot: Shot) -> Any:
        scene.place(shot.turn, shot.frame, offset if shot.moved else None)
        return scene.draw()

    run = Run(loop, planned, options, capture, scene.show, outcome)
    with tqdm(total=len(planned), desc="pictures", unit="frame") as bar, _blender():
        run.finish(check, lambda done: _advance(bar, done))


@contextlib.contextmanager
def _blender() -> Iterator[None]:
    """Turn Blender's refusals into one line for the user."""
    try:
        yield
    except RuntimeError as error:  # OfflineError is one: its sentence is for the user already
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise HeadlessError(lines[0].removeprefix("Error: ")) from None


def _lacking(error: ImportError) -> str:
    """What to install, for an import of Blender's module that failed."""
    if isinstance(error, ModuleNotFoundError):
        return (
            f"{error.name} is not installed in this Python ({sys.version.split()[0]}): make demo makes an environment "
            "with all that is needed; Blender's module has wheels for Python 3.11 only"
        )
    library = str(error).split(":")[0]
    return (
        f"Blender's module can't be loaded, as {library} is missing; on Debian and Ubuntu: apt-get install "
        "libgl1 libegl1 libgl1-mesa-dri libxrender1 libxi6 libxfixes3 libxkbcommon0 libsm6"
    )


def _say(sentence: str) -> None:
    print(f"python -m addon: {sentence}", file=sys.stderr)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _advance(bar: Any, done: float) -> None:
    """Update ``bar`` only on news: each update may print."""
    if done != bar.n:
        bar.update(done - bar.n)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
