"""A run with --stick, from the file to its textured copies. bpy only through addon.blender.scene_file."""

from __future__ import annotations

import json
import time
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
from ..session import advance, blender_words, open_scene, say, serving, versions, wait_for_model
from ..supervisor import DRAWING, OPENING, mark
from .painting import Painter
from .sheet import stick_sheet

if TYPE_CHECKING:
    from ...blender.scene_file.textured import TexturedScene

LOOKS = {"the same view": 0.0, "a third round": 1 / 3, "two thirds round": 2 / 3}
"""How the textured scene is looked at: captions, and turns of the orbit."""


def perform_stick(options: Options) -> None:
    """Texture the scene, and write everything. Raises HeadlessError."""
    from tqdm import tqdm

    folder = prepare(options.out)
    targets = options.exports or (folder / f"{options.scene.stem}_textured.blend",)
    for path in options.exports:
        prepare(path.parent, "--export")
    mark(OPENING)
    scene = open_scene(options)
    painter: Painter | None = None
    try:
        with serving(options) as (address, check), blender_words():
            from ...blender.scene_file.textured import TexturedScene

            scene.ready()
            notes = scene.begin(())
            for note in notes:
                say(note)
            mark(DRAWING)
            textured = TexturedScene(scene, options.texture_size)
            loop = LiveLoop(address, client=f"draftglass-headless {VERSION}", settle=False)
            try:
                wait_for_model(loop, check)
                painter = Painter(loop, options, scene.show, check)
                views: list[dict[str, Any]] = []
                began = time.perf_counter()
                with tqdm(total=options.views, desc="views", unit="view") as bar:
                    for laid in textured.around(options.views, painter.paint):
                        seconds = time.perf_counter() - began
                        views.append(_about(laid, seconds))
                        advance(bar, len(views))
                        began = time.perf_counter()
            finally:
                loop.stop()
            looks = {words: textured.look(turn) for words, turn in LOOKS.items()}
            exports = [_export(textured, path) for path in targets]
    except ProblemError as error:
        _keep(folder, painter, options)
        raise HeadlessError(str(error)) from None
    except (HeadlessError, KeyboardInterrupt):
        _keep(folder, painter, options)
        raise
    for note in (*scene.sentences(), *textured.refusals()):
        say(note)
    told = [*notes, *scene.sentences(), *textured.refusals()]
    made = report(painter.outcome, options, scene.about(), versions(), told)
    shown = painter.outcome.shown
    made["views"] = [{**view, **_files(number)} for number, view in enumerate(views)]
    made["objects"] = {name: round(share, 4) for name, share in textured.shares.items()}
    made["exports"] = exports
    with writing(folder):
        names = write_pictures(folder, shown, len(shown))
        for number, look in enumerate(looks.values()):
            Image.fromarray(look.image).save(folder / f"textured_{number}.png")
        made["looks"] = [
            {"picture": f"textured_{number}.png", "of": words, **_camera(look)}
            for number, (words, look) in enumerate(looks.items())
        ]
        images = {words: look.image for words, look in looks.items()}
        stick_sheet(options.prompts[0], shown, images).save(folder / "sheet.png")
        text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        (folder / "report.json").write_text(text, encoding="utf-8", errors="replace")
        remove_older(folder, names)
    print(table(made))
    print(f"written: {', '.join(one['file'] for one in exports)}, {folder / 'sheet.png'}, {folder / 'report.json'}")


def _about(laid: Any, seconds: float) -> dict[str, Any]:
    return {
        **_camera(laid.draft),
        "coverage": round(laid.coverage, 4),
        "seconds": round(seconds, 3),
        "stick_seconds": round(laid.seconds, 3),
    }


def _camera(draft: Any) -> dict[str, Any]:
    """World to view and view to clip space, 4 x 4 each, row by row, as Blender has them: Z up."""
    return {name: [list(row) for row in getattr(draft, name)] for name in ("view", "projection")}


def _files(number: int) -> dict[str, str]:
    return {"draft": f"draft_{number:03}.png", "picture": f"picture_{number:03}.png"}


def _export(textured: TexturedScene, path: Path) -> dict[str, Any]:
    began = time.perf_counter()
    textured.export(path)
    return {"file": str(path), "bytes": path.stat().st_size, "seconds": round(time.perf_counter() - began, 3)}


def _keep(folder: Path, painter: Painter | None, options: Options) -> None:
    """What was made before the run broke off."""
    if painter is not None:
        keep(folder / UNFINISHED, painter.outcome.shown, options.views)
