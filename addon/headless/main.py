"""One run from the command line to the files it leaves. Imports no torch; bpy only through addon.blender.scene_file."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..live import LiveLoop
from ..version import VERSION
from .arguments import Options, parse
from .errors import HeadlessError
from .film import Film, write_video
from .output import UNFINISHED, keep, prepare, write, writing
from .plan import Shot, shots, with_cuts
from .report import report
from .run import Outcome, Run
from .session import advance, blender_words, open_scene, say, serving, versions, wait_for_model
from .stick.perform import perform_stick
from .supervisor import DRAWING, OPENING, end_with_parent, mark

if TYPE_CHECKING:
    from ..blender.scene_file.scene import OfflineScene

INTERRUPTED = 130
ENCODE = Path(__file__).parents[1] / "blender" / "pictures" / "encode.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit status: 0, 2 after one line that says what was wrong, 130 when interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a log may know fewer letters than a folder's name has
        sys.stdout.reconfigure(errors="replace")
    options = parse(arguments)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    end_with_parent()
    try:
        (perform_stick if options.stick else perform)(options)
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
        say(f"{len(there)} of {len(planned)} frames are there already, made with the same settings")
    outcome = Outcome(keep=film.add if film is not None else None)
    notes: list[str] = []
    try:
        if missing:
            with serving(options) as (address, check):
                with blender_words():
                    scene.ready()
                    notes = scene.begin(options.frames or ())
                for note in notes:
                    say(note)
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
        say(note)
    made = report(outcome, options, scene.about() if missing else {}, versions(), [*notes, *scene.sentences()])
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

    wait_for_model(loop, check)
    offset = options.move.offset if options.move else (0.0, 0.0, 0.0)

    def capture(shot: Shot) -> Any:
        scene.place(shot.turn, shot.frame, offset if shot.moved else None)
        return scene.draw()

    run = Run(loop, planned, options, capture, scene.show, outcome)
    with tqdm(total=len(planned), desc="pictures", unit="frame") as bar, blender_words():
        run.finish(check, lambda done: advance(bar, done))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
