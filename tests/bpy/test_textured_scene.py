"""A .blend file's scene textured by pictures of known colours: what it looks like, what is covered, what is written."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bpy.shapes import cube

SIZE = 64
RED = (200, 40, 30)


@pytest.fixture
def textured(scene: Any, tmp_path: Path) -> Any:
    """The scene of a file with two cubes, not yet textured."""
    import bpy

    from addon.blender.scene_file.scene import OfflineScene
    from addon.blender.scene_file.textured import TexturedScene

    cube(scene, (-1.2, 0, 0))
    cube(scene, (1.2, 0, 0))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "cubes.blend"))
    opened = OfflineScene(tmp_path / "cubes.blend", SIZE, True)
    opened.ready()
    opened.begin(())
    return TexturedScene(opened, 64)


def test_pictures_become_textures_and_go_into_the_files(textured: Any, tmp_path: Path) -> None:
    def paint(number: int, draft: Any) -> np.ndarray:
        assert draft.image.shape == (SIZE, SIZE, 3) and number == len(made)
        picture = np.full((SIZE, SIZE, 3), RED, np.uint8)
        picture[:, SIZE // 2 :] = RED[::-1]
        return picture

    made: list[Any] = []
    for laid in textured.around(2, paint):
        made.append(laid)
    assert 0 < made[0].coverage < made[1].coverage <= 1 and made[0].new > 0
    assert made[0].draft.view != made[1].draft.view
    own, some = textured.covered()
    assert own >= made[0].coverage and some == 1
    look = textured.look(0.0)
    assert look.view == made[0].draft.view
    box = look.image[SIZE * 7 // 16 : SIZE * 9 // 16, SIZE * 9 // 32 : SIZE * 11 // 32].astype(int)
    assert np.abs(box - RED).max() <= 8, "the texture as it is, whatever the light"
    assert textured.refusals() == []
    textured.export(tmp_path / "cubes.glb")
    data = (tmp_path / "cubes.glb").read_bytes()
    written = json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])
    assert len(written["images"]) == len(written["nodes"]) == 2
    assert all("KHR_materials_unlit" in material["extensions"] for material in written["materials"])
