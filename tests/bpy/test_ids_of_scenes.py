"""Ids of whole scenes against what rays find: no wrong pixel but beside edges, and those of one pixel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bpy.rays import cast, inner, matrices_of

CASTLE = Path(__file__).resolve().parents[2] / "docs" / "demo" / "castle_town.blend"
OTHERS = sorted(Path(os.environ.get("DRAFTGLASS_SCENES", os.devnull)).glob("*.blend"))
"""Other people's scenes, which are no part of the project."""


def wrong(path: Path, side: int, turns: list[float]) -> tuple[int, int]:
    """Of the pixels of an orbit's views that lie off all edges, how many have another id than a ray finds; and all."""
    import bpy

    from addon.blender.scene_file.errors import OfflineError
    from addon.blender.scene_file.scene import OfflineScene

    try:
        opened = OfflineScene(path, side, True, None, ids=True)
    except OfflineError as error:
        pytest.skip(str(error))
    opened.ready()
    opened.begin(())
    bad = count = 0
    for turn in turns:
        opened.place(turn, None, None)
        draft = opened.draw()
        hits, _, matrices, _ = cast(bpy.context.scene, draft)
        labels = np.unique(np.round(matrices, 3).reshape(-1, 16), axis=0, return_inverse=True)[1].reshape(hits.shape)
        sure = inner(labels)
        off = np.abs(matrices_of(draft) - matrices).max((2, 3)) > 1e-3 * np.maximum(np.abs(matrices).max((2, 3)), 1)
        bad += int((sure & (off | ((draft.ids > 0) != hits))).sum())
        count += int(sure.sum())
    return bad, count


def test_the_castle(blender: Any) -> None:
    bad, count = wrong(CASTLE, 96, [0.0, 0.4])
    assert bad == 0 and count > 96 * 96


@pytest.mark.slow
@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_a_scene_of_somebody_else(path: Path, blender: Any) -> None:
    bad, count = wrong(path, 192, [0.0, 0.5])
    assert bad == 0 and count > 0
