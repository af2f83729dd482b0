"""A run with --stick, from the file to its textured copies. bpy only through addon.blender.scene_file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from ...live import LiveLoop
from ...problems.errors import ProblemError
from ...version import VERSION
from ..arguments import Options
from ..errors import HeadlessError
from ..output import UNFINISHED, keep, prepare, remove_older, write_pictures, writing
from ..report import report, table
from ..run import Outcome
from ..session import advance, blender_words, open_scene, say, serving, versions, wait_for_model
from ..supervisor import DRAWING, OPENING, mark
from .painting import Painter
from .sheet import stick_sheet

if TYPE_CHECKING:
    from ...blender.capture.draft import Draft
    from ...blender.scene_file.scene import OfflineScene
    from ...blender.scene_file.textured import Laid

LOOKS = {"the same view": 0.0, "a third round": 1 / 3, "two thirds round": 2 / 3}
"""How the textured scene is looked at: captions, and turns of the orbit."""


def perform_stick(options: Options) -> None:
    """Texture the scene, and write everything. Raises HeadlessError."""
    folder = prepare(options.out)
    for path in options.exports:
        prepare(path.parent, "--export")
        if path.is_dir():
            raise HeadlessError(f"--export is {str(path)!r}, a folder: give a file's name")
        if path.exists() and options.scene.exists() and path.samefile(options.scene):
            raise HeadlessError(f"--export is {str(path)!r}, the very file that is opened: give another name")
    mark(OPENING)
    scene = open_scene(options)
    outcome, made = Outcome(), Made()
    try:
        with serving(options) as (address, check):
            loop = LiveLoop(address, client=f"draftglass-headless {VERSION}", settle=False)
            try:
                with blender_words():
                    _texture(scene, options, loop, check, outcome, made)
            finally:
                loop.stop()
    except (ProblemError, HeadlessError, KeyboardInterrupt) as error:
        keep(folder / UNFINISHED, outcome.shown, options.views)
        if isinstance(error, ProblemError):
            raise HeadlessError(str(error)) from None
        raise
    for note in made.notes:
        say(note)
    _write(folder, outcome, made, report(outcome, options, scene.about(), versions(), made.notes), options)


@dataclass
class Made:
    """What comes of the pictures. ``looks``: by their captions. ``covered``: by pictures, and at all."""

    views: list[dict[str, Any]] = field(default_factory=list)
    looks: dict[str, Draft] = field(default_factory=dict)
    covered: tuple[float, float] = (0.0, 0.0)
    exports: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _texture(
    scene: OfflineScene, options: Options, loop: LiveLoop, check: Callable[[], None], outcome: Outcome, made: Made
) -> None:
    """Take all views and export; fill ``outcome`` and ``made`` as it goes on."""
    from tqdm import tqdm

    from ...blender.scene_file.textured import TexturedScene

    scene.ready()
    made.notes += scene.begin(())
    mark(DRAWING)
    textured = TexturedScene(scene, options.texture_size)
    wait_for_model(loop, check)
    painter = Painter(loop, options, scene.show, check, outcome)
    with tqdm(total=options.views, desc="views", unit="view") as bar:
        for laid in textured.around(options.views, painter.paint):
            made.views.append(_about(laid))
            advance(bar, len(made.views))
    made.covered = textured.covered()
    made.looks |= {words: textured.look(turn) for words, turn in LOOKS.items()}
    for path in options.exports or (options.out / f"{options.scene.stem}_textured.blend",):
        began = time.perf_counter()
        textured.export(path)
        seconds = round(time.perf_counter() - began, 3)
        made.exports.append({"file": str(path), "bytes": path.stat().st_size, "seconds": seconds})
    made.notes += [*scene.sentences(), *textured.refusals()]


def _write(folder: Path, outcome: Outcome, made: Made, about: dict[str, Any], options: Options) -> None:
    about["views"] = [{**view, **_files(number)} for number, view in enumerate(made.views)]
    about["covered"] = {"by_pictures": round(made.covered[0], 4), "at_all": round(made.covered[1], 4)}
    about["looks"] = [
        {"picture": f"textured_{number}.png", "of": words, **_camera(look)}
        for number, (words, look) in enumerate(made.looks.items())
    ]
    about["exports"] = made.exports
    images = {words: look.image for words, look in made.looks.items()}
    with writing(folder):
        names = write_pictures(folder, outcome.shown, len(outcome.shown))
        for look, image in zip(about["looks"], images.values(), strict=True):
            Image.fromarray(image).save(folder / look["picture"])
        stick_sheet(options.prompts[0], outcome.shown, images).save(folder / "sheet.png")
        text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
        (folder / "report.json").write_text(text, encoding="utf-8", errors="replace")
        remove_older(folder, names)
    print(table(about))
    files = [*(one["file"] for one in made.exports), folder / "sheet.png", folder / "report.json"]
    print(f"written: {', '.join(map(str, files))} and {len(outcome.shown)} drafts and pictures")


def _about(laid: Laid) -> dict[str, Any]:
    return {
        **_camera(laid.draft),
        "new": round(laid.new, 4),
        "coverage": round(laid.coverage, 4),
        "seconds": round(laid.picture_seconds + laid.stick_seconds, 3),
        "picture_seconds": round(laid.picture_seconds, 3),
        "stick_seconds": round(laid.stick_seconds, 3),
    }


def _camera(draft: Any) -> dict[str, Any]:
    """World to view and view to clip space, 4 x 4 each, row by row, as Blender has them: Z up."""
    return {name: [list(row) for row in getattr(draft, name)] for name in ("view", "projection")}


def _files(number: int) -> dict[str, str]:
    return {"draft": f"draft_{number:03}.png", "picture": f"picture_{number:03}.png"}
