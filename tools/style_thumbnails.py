"""Render the thumbnails of the styles that come along, anew, with the embedded model. bpy, torch and Pillow.

    .venv/bin/python -m tools.style_thumbnails [--model FOLDER]

The draft is the demo's blockout through its camera, captured by the code that captures in Blender.
"""

import argparse
import io
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy
from PIL import Image

from addon.live.requests import PlainDraft, build_request
from addon.presets import Library, Preset, write
from addon.presets.library import SHIPPED
from addon.wire import Control, Style

ROOT = Path(__file__).resolve().parent.parent
BLEND = ROOT / "docs" / "demo" / "castle_town.blend"
MODEL = ROOT / "server" / "models" / "embedded"
SIDE, THUMBNAIL, QUALITY = 256, 128, 85
# Blender's module and torch each bring libraries that the other's may clash with: so in a process of its own.
CAPTURE = """
import os, sys, bpy, numpy
from addon.blender.capture.offscreen import Capturer, ensure_gpu, view_from_camera
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
ensure_gpu()
side = int(sys.argv[3])
draft = Capturer().draw(view_from_camera(bpy.context.scene, side, side), side, side)
numpy.savez(sys.argv[2], image=draft.image, depth=draft.inverse_depth, near=draft.near,
            view=draft.view, projection=draft.projection)
sys.stdout.flush()
os._exit(0)
"""


def capture() -> PlainDraft:
    """The demo's blockout as a draft."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "draft.npz"
        subprocess.run([sys.executable, "-c", CAPTURE, str(BLEND), str(out), str(SIDE)], cwd=ROOT, check=True)
        with numpy.load(out) as draft:
            view, projection = (tuple(map(tuple, draft[name].tolist())) for name in ("view", "projection"))
            return PlainDraft(draft["image"], draft["depth"], float(draft["near"]), view, projection)


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

    draft = capture()
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
