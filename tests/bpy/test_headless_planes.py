"""``python -m addon --planes --only A:B``: what lies in the files, held to the scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.bpy.headless_rig import SIZE, make_files, run


def test_planes_say_where_everything_is_and_only_some_views_are_taken(tmp_path: Path) -> None:
    files, out = make_files(tmp_path, "boxes"), tmp_path / "out"
    out.mkdir()
    (out / "planes_007.npz").write_bytes(b"")  # of a longer run before
    command = ["boxes.blend", "--prompt", "a castle", "--orbit", "8", "--only", "2:3", "--planes", "--out", out]
    done = run(*command, "--size", SIZE, "--steps", "1", "--model", "model", "--device", "cpu", cwd=files)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir() if "_" in path.name} == {
        f"{kind}_00{index}.{end}"
        for kind, end in (("draft", "png"), ("picture", "png"), ("planes", "npz"))
        for index in (0, 1)
    }
    views = []
    for index in (0, 1):
        with np.load(out / f"planes_00{index}.npz") as file:
            planes = dict(file)
        assert [planes[name].dtype for name in ("inverse_depth", "ids", "normals")] == [np.uint16, np.uint16, np.uint8]
        assert planes["view"].shape == planes["projection"].shape == (4, 4)
        shown = planes["ids"] > 0
        assert shown.any() and (shown == (planes["inverse_depth"] > 0)).all()
        assert (planes["normals"].any(-1) == shown).all()
        for number, world in zip(planes["object_ids"], planes["object_matrices"], strict=True):
            local = places(planes, planes["ids"] == number) @ np.linalg.inv(world).T
            assert np.abs(local[:, :3]).max() == pytest.approx(1, abs=0.02), "on the sides of a cube of side 2"
        views.append(planes["view"])
    step = np.degrees(np.arccos(np.clip((np.trace(views[0][:3, :3] @ views[1][:3, :3].T) - 1) / 2, -1, 1)))
    assert step == pytest.approx(45), "an eighth of a turn"


def places(planes: dict[str, np.ndarray], where: np.ndarray) -> np.ndarray:
    """The places in the world of the pixels ``where``, N x 4, in perspective."""
    row, column = np.nonzero(where)
    distance = 65535 * planes["near"] / planes["inverse_depth"][row, column]
    projection = planes["projection"]
    x = ((column + 0.5) * 2 / SIZE - 1 + projection[0, 2]) / projection[0, 0]
    y = (1 - (row + 0.5) * 2 / SIZE + projection[1, 2]) / projection[1, 1]
    seen = np.stack([x * distance, y * distance, -distance, np.ones(len(row))], 1)
    return seen @ np.linalg.inv(planes["view"]).T
