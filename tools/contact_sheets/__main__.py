"""The command that makes contact sheets. torch through the engine, Blender's module in a process of its own.

    python -m tools.contact_sheets [NAME ...]                 those of docs/contact-sheets, all of them or by name
    python -m tools.contact_sheets --rows strength 0.6 0.9 --columns steps 1 2 4 --scene FILE.blend --out FOLDER

Settings: scene, prompt, strength, steps, size, depth (its weight), seed. What no axis has is said by its option.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from addon.live.requests import PlainDraft, build_request
from addon.presets import Library
from addon.presets.library import SHIPPED
from tools.contact_sheets.captures import CASTLE, ROOT, capture
from tools.contact_sheets.grid import draw
from tools.contact_sheets.looks import Axis, Look, Sheet

OUT = ROOT / "docs" / "contact-sheets"
MODEL = ROOT / "server" / "models" / "embedded"
QUALITY = 72
STYLES = [listed.preset.around("") for listed in Library(SHIPPED / "none").styles]
PROMPTS = (
    "a sandstone castle town on grass at noon",
    "a red brick village on autumn leaves at sunset",
    "a stone brick castle on snow at dawn",
    "a neon glass city on asphalt at night",
    "a white plaster town on water at noon, watercolor",
    "a wooden plank village on dirt at overcast, pencil sketch",
)
SHEETS = (
    Sheet("styles", Axis("prompt", STYLES), Axis("strength", (0.55, 0.75, 0.95))),
    Sheet("scenes", Axis("scene", (str(CASTLE), "street", "room", "level", "cube")), Axis("prompt", PROMPTS)),
    Sheet("steps", Axis("strength", (0.5, 0.7, 0.9)), Axis("steps", (1, 2, 4, 8))),
    Sheet(
        "sizes",
        Axis("size", (256, 384, 512, 768)),
        Axis("depth", (0.0, 0.5, 1.0, 1.4)),
        Look("street", "a red brick street on asphalt at sunset"),
    ),
)


def make(sheet: Sheet, engine: Any, cell: int) -> Image.Image:
    """Draw the sheet with ``engine``, a ``StableDiffusionLcm``."""
    looks = sheet.looks()
    every = [look for row in looks for look in row]
    drafts: dict[str, dict[int, PlainDraft]] = {}
    for scene in dict.fromkeys(look.scene for look in every):
        drafts[scene] = capture(scene, sorted({look.size for look in every}))
    made: list[list[Any]] = []
    with tqdm(total=len(every), desc=sheet.name) as bar:
        for row in looks:
            made.append([])
            for look in row:
                request = build_request(1, drafts[look.scene][look.size], look.style())
                made[-1].append(engine.render(request).image)
                bar.update()
    return draw(sheet, [drafts[row[0].scene][row[0].size].image for row in looks], made, cell)


def asked(given: argparse.Namespace) -> list[Sheet]:
    """The sheets that the words of the command ask for. Raises ValueError, with a sentence, where they make none."""
    if given.rows or given.columns:
        if given.name or not (given.rows and given.columns):
            raise ValueError("a sheet of your own needs --rows and --columns, and no NAME")
        base = Look(**{name: getattr(given, name) for name in vars(Look())})
        return [Sheet(given.title, Axis.parse(given.rows), Axis.parse(given.columns), base)]
    names = [sheet.name for sheet in SHEETS]
    if unknown := set(given.name) - set(names):
        raise ValueError(f"there is no sheet {', '.join(sorted(unknown))}: say one of {', '.join(names)}")
    return [sheet for sheet in SHEETS if not given.name or sheet.name in given.name]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Make contact sheets: pictures of scenes over two settings each.")
    parser.add_argument("name", nargs="*", metavar="NAME", help="of docs' sheets, all of them when left out")
    for side in ("rows", "columns"):
        parser.add_argument(f"--{side}", nargs="+", metavar="WORD", help="a setting and its values, for another sheet")
    parser.add_argument("--title", default="sheet", help="the name of its file (sheet)")
    for name, value in vars(Look()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"where no axis has it ({value})")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER")
    parser.add_argument("--cell", type=int, default=168, help="pixels a side of each picture on the sheet (168)")
    given = parser.parse_args()
    try:
        sheets = asked(given)
    except ValueError as error:
        parser.error(str(error))
    from server.engine import StableDiffusionLcm  # takes seconds to import

    given.out.mkdir(parents=True, exist_ok=True)
    engine = StableDiffusionLcm.load(given.model)
    for sheet in sheets:
        path = given.out / f"{sheet.name}.webp"
        make(sheet, engine, given.cell).save(path, quality=QUALITY, method=6)
        print(f"{path}: {path.stat().st_size} bytes", flush=True)
    engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
