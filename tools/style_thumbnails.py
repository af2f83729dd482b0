"""Render the thumbnails of the styles that come along, anew, with the embedded model. bpy, torch and Pillow.

    .venv/bin/python -m tools.style_thumbnails [--model FOLDER]

The draft is the demo's blockout through its camera, captured by the code that captures in Blender.
"""

import argparse
import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy
from PIL import Image

from addon.live.requests import build_request
from addon.presets import Library, Preset, write
from addon.presets.library import SHIPPED
from addon.wire import Control, Style
from tools.contact_sheets.captures import CASTLE, capture

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "server" / "models" / "embedded"
SIDE, THUMBNAIL, QUALITY = 512, 128, 85


def style_of(preset: Preset) -> Style:
    """What the settings in Blender would ask for, at rest, with ``preset`` chosen."""
    weight = 1.0 if preset.depth_weight is None else preset.depth_weight
    return Style(
        prompt=preset.around(""),
        negative_prompt=preset.negative_prompt or "",
        strength=preset.strength or 0.9,
        steps=max(preset.steps or 2, preset.settle_steps or 4),
        guidance=preset.guidance or 1.0,
        seed=preset.seed or 0,
        width=SIDE,
        height=SIDE,
        controls=(Control("depth", weight),) if weight > 0 else (),
    )


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Render the thumbnails of the styles that come along.")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FOLDER")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="also write all of them side by side")
    options = parser.parse_args()
    from server.engine import StableDiffusionLcm  # takes seconds to import

    draft = capture(CASTLE, (SIDE,))[SIDE]
    engine = StableDiffusionLcm.load(options.model)
    pictures = []
    for listed in Library(SHIPPED / "none").styles:
        picture = Image.fromarray(engine.render(build_request(1, draft, style_of(listed.preset))).image)
        small = picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        small.save(data, "JPEG", quality=QUALITY)
        listed.path.write_bytes(write(replace(listed.preset, thumbnail=data.getvalue())))
        pictures.append(numpy.asarray(small))
        print(f"{listed.path.name}: {len(data.getvalue())} bytes", flush=True)
    engine.close()
    if options.sheet is not None:
        Image.fromarray(numpy.concatenate(pictures, axis=1)).save(options.sheet)
    return 0


if __name__ == "__main__":
    sys.exit(main())
