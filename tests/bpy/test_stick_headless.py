"""``python -m addon --stick`` as a process of its own, with the model that comes with the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from addon.headless.arguments import EXPORTS
from tests.bpy.headless_rig import make_files, run

SIZE = 64


def read(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB")).astype(int)


def test_the_command_line_knows_what_can_be_exported(blender: Any) -> None:
    from addon.blender.export.write import FORMATS

    assert tuple(FORMATS) == EXPORTS


@pytest.mark.slow
def test_a_scene_is_textured_from_some_views_and_written(tmp_path: Path) -> None:
    make_files(tmp_path, "camera")
    out = tmp_path / "out"
    arguments = [
        "--prompt",
        "a red brick wall",
        "--stick",
        "--views",
        2,
        "--size",
        SIZE,
        "--texture-size",
        64,
        "--steps",
        1,
    ]
    exports = [tmp_path / "new" / "scene.glb", out / "scene.blend"]
    done = run(tmp_path / "camera.blend", *arguments, "--export", exports[0], "--export", exports[1], "--out", out)
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    assert [one["file"] for one in report["exports"]] == list(map(str, exports))
    assert all(Path(one["file"]).stat().st_size == one["bytes"] > 0 for one in report["exports"])
    assert len(report["views"]) == 2
    for view in report["views"]:
        assert np.shape(view["view"]) == np.shape(view["projection"]) == (4, 4)
        assert 0 < view["new"] <= 1 and 0 < view["coverage"] <= 1
        assert 0 < view["stick_seconds"] < view["seconds"]
        assert read(out / view["draft"]).shape == read(out / view["picture"]).shape == (SIZE, SIZE, 3)
    assert report["views"][0]["view"] != report["views"][1]["view"]
    assert report["views"][0]["coverage"] < report["views"][1]["coverage"]
    assert report["views"][1]["coverage"] <= report["covered"]["at_all"] == 1
    assert report["looks"][0]["view"] == report["views"][0]["view"]
    picture, look = read(out / "picture_000.png"), read(out / report["looks"][0]["picture"])
    box = slice(SIZE * 7 // 16, SIZE * 9 // 16), slice(SIZE // 8, SIZE // 4)
    assert np.abs(picture[box] - look[box]).mean() < 12, "the scene shows the picture"
    assert read(out / "sheet.png").any()


def test_what_cannot_be_written_is_said_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.glb").mkdir()
    own = tmp_path / "own.blend"
    own.write_text("")
    refused = {
        tmp_path / "file" / "a.glb": "can't be written",
        tmp_path / "folder.glb": "a folder",
        own: "the very file",
    }
    for path, words in refused.items():
        done = run(own, "--prompt", "a", "--stick", "--export", path, "--out", tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "--export is" in done.stderr and words in done.stderr
