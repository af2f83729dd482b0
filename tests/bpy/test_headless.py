"""``python -m addon`` as a process of its own: Blender's module, the loop, a server with a small random checkpoint."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bpy.headless_rig import PATIENCE, ROOT, SIZE, make_files, run
from tests.plain.server.rig import Spawned

SERVERS = ("wire", "queue", "engine", "upload", "encode", "depth", "step", "step 1", "decode", "download", "reply")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the .blend files and the checkpoint of these tests."""
    folder = make_files(tmp_path_factory.mktemp("headless"), "camera", "boxes", "empty")
    (folder / "text.blend").write_text("this is no .blend file")
    (folder / "cut.blend").write_bytes((folder / "boxes.blend").read_bytes()[:5000])
    return folder


@pytest.fixture(scope="module")
def server(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The arguments that name a server which runs as long as these tests do."""
    folder = tmp_path_factory.mktemp("server")
    with Spawned(folder, "--model", str(files / "model"), "--device", "cpu") as running:
        yield ["--server", running.listening()["url"], "--token-file", str(folder / "token")]


def read(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB")).astype(int)


def test_an_orbit_leaves_drafts_pictures_sheet_animation_and_report(files: Path, tmp_path: Path) -> None:
    """With a server of its own, which is gone afterwards; from another folder, with relative paths."""
    out = tmp_path / "new" / "out"
    out.mkdir(parents=True)
    for name in ("draft_000.png", "draft_900.png", "picture_900.png", "mine.png"):  # of a longer run before
        (out / name).write_bytes(b"")
    arguments = [
        "boxes.blend",
        "--prompt",
        "a castle",
        "--prompt",
        "ice",
        "--orbit",
        "4",
        "--size",
        SIZE,
        "--steps",
        "1",
    ]
    arguments += ["--move", "blue=0,0,3", "--animation", "--model", "model", "--device", "cpu", "--out", out]
    done = run(*arguments, cwd=files)
    assert done.returncode == 0, done.stderr
    assert "pictures: 100%" in done.stderr and "8/8" in done.stderr, "a progress bar on standard error"
    assert "Traceback" not in done.stderr and "EGL" not in done.stderr
    assert done.stdout.splitlines()[0].split() == ["stage", "p50", "ms", "p95", "ms"]
    assert str(out / "sheet.png") in done.stdout

    expected = {f"{kind}_{index:03}.png" for kind in ("draft", "picture") for index in range(8)}
    assert {path.name for path in out.iterdir()} == {
        *expected,
        "mine.png",
        "sheet.png",
        "animation.webp",
        "report.json",
    }
    drafts = [read(out / f"draft_{index:03}.png") for index in range(8)]
    pictures = [read(out / f"picture_{index:03}.png") for index in range(8)]
    assert all(plane.shape == (SIZE, SIZE, 3) for plane in (*drafts, *pictures))
    for first, second in zip(drafts[:4], drafts[4:], strict=True):
        assert (first == second).all(), "each prompt has the same orbit"
    assert all((first != second).any() for first, second in zip(pictures[:4], pictures[4:], strict=True))
    before, after = drafts[1], drafts[3]  # opposite views: red and blue have changed places, and blue has risen
    near, far = is_colour(before, 2), is_colour(before, 0)
    assert abs(top(is_colour(after, 0)) - top(near)) <= 2 and top(is_colour(after, 2)) < top(far) - 4

    report = json.loads((out / "report.json").read_text())
    assert (report["frames"], report["drops"], report["frames_sent"]) == (8, 0, 8)
    assert report["frames_per_second"] == pytest.approx(8 / report["seconds"], rel=0.01)
    for stage in ("capture", "draw", "read", "display", "whole", "overhead", *SERVERS):
        assert 0 <= report["stages_ms"][stage]["p50"] <= report["stages_ms"][stage]["p95"]
    assert report["stages_ms"]["unet"]["p50"] > report["stages_ms"]["step"]["p50"] > 0, "the engine's own stages too"
    assert 0 < report["overhead_ms"]["p50"] <= report["overhead_ms"]["p95"] and report["overhead_ms"]["frames"] <= 8
    assert report["settings"]["prompts"] == ["a castle", "ice"] and report["settings"]["size"] == SIZE
    assert report["versions"]["blender"] and report["versions"]["torch"] and report["device"]["drawing"]


def is_colour(draft: np.ndarray, channel: int) -> np.ndarray:
    others = [other for other in range(3) if other != channel]
    return draft[..., channel] > draft[..., others].max(-1) + 60


def top(mask: np.ndarray) -> int:
    assert mask.any()
    return int(np.nonzero(mask.any(1))[0][0])


def test_frames_are_seen_through_the_camera_and_the_same_request_gives_the_same(
    files: Path, server: list[str], tmp_path: Path
) -> None:
    arguments = [
        files / "camera.blend",
        "--prompt",
        "a castle",
        "--frames",
        "1:3",
        "--size",
        SIZE,
        "--steps",
        1,
        *server,
    ]
    for name in ("one", "two"):
        done = run(*arguments, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    for index in range(3):
        for kind in ("draft", "picture"):
            first, second = ((tmp_path / name / f"{kind}_{index:03}.png") for name in ("one", "two"))
            assert (read(first) == read(second)).all()
    widths = [int(is_colour(read(tmp_path / "one" / f"draft_{index:03}.png"), 0).any(0).sum()) for index in range(3)]
    assert widths[0] > widths[1] > widths[2] > 0, "the camera flies away"
    assert json.loads((tmp_path / "one" / "report.json").read_text())["settings"]["frames"] == [1, 3]
    done = run(*arguments, "--seed", 1, "--out", tmp_path / "three")
    assert (read(tmp_path / "one" / "picture_000.png") != read(tmp_path / "three" / "picture_000.png")).any()


def test_an_orbit_goes_by_the_scenes_camera_where_there_is_one(files: Path, server: list[str], tmp_path: Path) -> None:
    for scene, views in (("camera", "2"), ("boxes", "1")):
        out = tmp_path / scene
        done = run(files / f"{scene}.blend", "--prompt", "x", "--orbit", views, "--size", SIZE, "--out", out, *server)
        assert done.returncode == 0, done.stderr
    front, back = (read(tmp_path / "camera" / f"draft_{index:03}.png") for index in range(2))
    red_left = [np.nonzero(is_colour(draft, 0))[1].mean() < SIZE / 2 for draft in (front, back)]
    assert red_left == [True, False]
    overview = read(tmp_path / "boxes" / "draft_000.png")
    assert is_colour(overview, 0).any() and is_colour(overview, 2).any()
    edge = np.concatenate([overview[0], overview[-1], overview[:, 0], overview[:, -1]])
    assert (edge == edge[0]).all(), "all of the scene is in the picture"


@pytest.mark.parametrize(
    "scene, more, words",
    [
        ("missing.blend", ["--orbit", "2"], "missing.blend does not exist: give a .blend file"),
        ("", ["--orbit", "2"], "is a folder: give a .blend file"),
        ("text.blend", ["--orbit", "2"], "text.blend is no .blend file"),
        ("cut.blend", ["--orbit", "2"], "cut.blend can't be opened"),
        ("empty.blend", ["--orbit", "2"], "is empty: there is nothing in it to be seen"),
        ("boxes.blend", ["--frames", "1:2"], "has no camera: add one, or use --orbit"),
        ("boxes.blend", ["--orbit", "2", "--move", "blu=1,2,3"], "there is no object 'blu'"),
        ("boxes.blend", ["--orbit", "0"], "--orbit is '0'"),
        ("boxes.blend", ["--orbit", "2", "--server", "ws://127.0.0.1:9/live"], "No server is listening at 127.0.0.1:9"),
        ("boxes.blend", ["--orbit", "2", "--server", "http://127.0.0.1"], "must begin with ws://"),
        ("boxes.blend", ["--orbit", "2", "--model", "nowhere"], "model is"),
        ("boxes.blend", ["--orbit", "2", "--out", "/dev/null/out"], "--out is '/dev/null/out', but can't be written"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(
    files: Path, tmp_path: Path, scene: str, more: list[str], words: str
) -> None:
    done = run(files / scene, "--prompt", "x", "--out", tmp_path / "out", *more)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("python -m addon: "), done.stderr
    assert words in done.stderr and done.stdout == ""


def test_a_folder_with_letters_that_the_log_does_not_know(
    files: Path, server: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    out = tmp_path / os.fsdecode(b"sch\xc3\xb6n caf\xe9")  # in part no UTF-8
    done = run(files / "boxes.blend", "--prompt", "x", "--orbit", "1", "--size", SIZE, "--out", out, *server)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "report.json").read_text("utf-8"))["settings"]["out"].endswith("schön caf?")
    assert "sch?n caf?" in done.stdout


def test_a_wrong_token_and_an_empty_model_are_told(files: Path, server: list[str], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong")
    (tmp_path / "model").mkdir()
    arguments = [files / "boxes.blend", "--prompt", "x", "--orbit", "1", "--out", tmp_path / "out"]
    done = run(*arguments, *server[:3], tmp_path / "token")
    assert done.returncode == 2 and "does not know the token" in done.stderr and done.stderr.count("\n") == 1
    done = run(*arguments, "--model", tmp_path / "model")
    assert done.returncode == 2 and done.stderr.startswith("python -m addon: ") and done.stderr.count("\n") == 1
    assert str(tmp_path / "model") in done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_run_takes_its_server_along_and_keeps_what_was_made(
    files: Path, tmp_path: Path, name: str
) -> None:
    older = tmp_path / "out" / "picture_000.png"
    older.parent.mkdir()
    older.write_bytes(b"of an earlier run")
    environment = tmp_path / "tmp"
    environment.mkdir()
    arguments = [files / "boxes.blend", "--prompt", "x", "--orbit", "10000", "--size", SIZE, "--out", tmp_path / "out"]
    command = [sys.executable, "-m", "addon", *map(str, arguments), "--model", str(files / "model")]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "TMPDIR": str(environment)}, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = ""
        while not re.search(r"pictures:.* [1-9]\d*/10000", said):
            said += (piece := process.stderr.read(1))
            assert piece, said
        server = next(
            int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if serves(path, environment)
        )
        process.send_signal(getattr(signal, name))
        rest = process.stderr.read()
        assert process.wait(PATIENCE) == 130
    assert rest.endswith("python -m addon: interrupted\n") and "Traceback" not in rest
    kept = tmp_path / "out" / "unfinished"
    count = int(re.search(rf"(\d+) of 10000 pictures were made and are in {re.escape(str(kept))}\n", rest)[1])
    pictures = sorted(kept.glob("picture_????.png"))
    assert len(pictures) == count and all(read(picture).shape == (SIZE, SIZE, 3) for picture in pictures)
    assert {path.name for path in kept.glob("draft_????.png")} == {f"draft_{path.name[8:]}" for path in pictures}
    assert older.read_bytes() == b"of an earlier run"
    end = time.monotonic() + PATIENCE
    while Path(f"/proc/{server}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{server}").exists()
    assert not list(environment.glob("draftglass-*"))


def serves(cmdline: Path, folder: Path) -> bool:
    """Whether the process is a server whose token lies under ``folder``."""
    try:
        words = cmdline.read_bytes().split(b"\0")
    except OSError:  # it has just ended
        return False
    return b"server" in words and any(word.startswith(os.fsencode(folder)) for word in words)
