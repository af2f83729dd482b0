"""Drafts of scenes. No bpy here.

Blender's module and torch bring libraries that may clash, so a process of its own draws them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from addon.live.requests import PlainDraft

ROOT = Path(__file__).resolve().parents[2]
CASTLE = ROOT / "docs" / "demo" / "castle_town.blend"


def capture(scene: str | Path, sizes: Sequence[int]) -> dict[int, PlainDraft]:
    """The square drafts of ``scene`` (a .blend, or a name of ``blockouts``) through its camera, by their sides.

    Raises RuntimeError with what Blender said where it can't.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", f"{__package__}.in_blender", str(scene), folder, *map(str, sizes)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{scene} was not captured: {done.stderr.strip()[-500:]}")
        drafts = {}
        for size in sizes:
            with np.load(Path(folder) / f"{size}.npz") as read:
                view, projection = (tuple(map(tuple, read[name].tolist())) for name in ("view", "projection"))
                drafts[size] = PlainDraft(read["image"], read["depth"], float(read["near"]), view, projection)
        return drafts
