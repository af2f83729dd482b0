"""Recording in Blender's module: the pictures shown meanwhile, in a video and a sequence that another program reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from addon.keeping import KeepError
from addon.wire import Frame, Request, Style

GREYS = (40, 120, 200)
TIMES = (0.0, 0.5, 0.6)
"""When each grey is shown; all ends at 1 s."""


@pytest.fixture
def recorder(scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The recorder of the registered add-on, with a clock of the test's; it keeps to the test's folder."""
    from addon.blender import registration
    from addon.blender.pictures import record

    registration.register()
    scene.draftglass_keep.folder = str(tmp_path)
    scene.draftglass_keep.record_fps = 10
    monkeypatch.setattr(record.time, "perf_counter", lambda: clock[0])
    yield record.recorder
    registration.unregister()


clock = [0.0]


def play(recorder: Any, scene: Any, kind: str, seconds: float = 900) -> None:
    """Record the greys, and wait for what is made of them."""
    from addon.blender.live import switch as live
    from addon.live.shown import ShownPicture

    scene.draftglass_keep.record_as = kind
    recorder.start(scene)
    request = Request(Frame(1, np.zeros((32, 32, 3), np.uint8)), Style("a castle", width=96, height=64))
    for grey, at in zip(GREYS, TIMES, strict=True):
        clock[0] = 100 + at
        live._tell(ShownPicture(np.full((64, 96, 3), grey, np.uint8), request))
    assert recorder.count == 3
    clock[0] = 101.0
    recorder.stop()
    assert recorder.making
    end = time.monotonic() + seconds
    while not recorder.poll():
        assert time.monotonic() < end, "the file is not made"
        time.sleep(0.05)
    assert not recorder.failed, recorder.sentence


def expected() -> list[int]:
    """The grey of each of the ten frames of a second."""
    return [GREYS[0]] * 5 + [GREYS[1]] + [GREYS[2]] * 4


def test_a_sequence(recorder: Any, scene: Any, tmp_path: Path) -> None:
    play(recorder, scene, "SEQUENCE")
    assert recorder.result == tmp_path / "a_castle_001"
    files = sorted(recorder.result.iterdir())
    assert [path.name for path in files] == [f"{number:06d}.png" for number in range(1, 11)]
    assert [int(np.asarray(Image.open(path)).mean()) for path in files] == expected()
    assert [path.name for path in tmp_path.iterdir()] == ["a_castle_001"], "what was in between is left behind"


def test_a_video(recorder: Any, scene: Any, tmp_path: Path) -> None:
    import bpy

    play(recorder, scene, "VIDEO")
    assert recorder.result == tmp_path / "a_castle_001.mp4"
    clip = bpy.data.movieclips.load(str(recorder.result))
    assert tuple(clip.size) == (96, 64) and clip.frame_duration == 10 and clip.fps == pytest.approx(10)
    assert greys_of(recorder.result, 10) == pytest.approx(expected(), abs=4)


def greys_of(path: Path, count: int) -> list[float]:
    """The mean of each frame of a video, as Blender's sequencer reads it."""
    import bpy

    scene = bpy.context.scene
    scene.view_settings.view_transform = "Standard"
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_movie("Video", str(path), 1, 1)
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 96, 64, 100
    render.image_settings.file_format = "PNG"
    greys = []
    for number in range(1, count + 1):
        target = path.with_suffix(f".{number}.png")
        scene.frame_set(number)
        render.filepath = str(target)
        bpy.ops.render.render(write_still=True)
        with Image.open(target) as opened:
            greys.append(float(np.asarray(opened.convert("RGB")).mean()))
    return greys


def test_nothing_recorded(recorder: Any, scene: Any, tmp_path: Path) -> None:
    recorder.start(scene)
    with pytest.raises(KeepError, match="no picture was shown"):
        recorder.stop()
    assert list(tmp_path.iterdir()) == [] and not recorder.recording and not recorder.making
    recorder.start(scene)
    assert recorder.recording, "and it can be begun again"


def test_the_picture_on_show_is_the_first(recorder: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.blender.live import switch as live
    from addon.live.shown import ShownPicture

    request = Request(Frame(1, np.zeros((32, 32, 3), np.uint8)), Style("a castle", width=64, height=64))
    live._tell(ShownPicture(np.zeros((64, 64, 3), np.uint8), request))
    recorder.start(scene)
    assert recorder.count == 0, "live is off: nothing is on show"
    with pytest.raises(KeepError):
        recorder.stop()
    monkeypatch.setattr(live, "is_running", lambda: True)
    recorder.start(scene)
    assert recorder.count == 1


def test_stopping_live_ends_the_recording(recorder: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.blender.live import switch as live
    from addon.live.shown import ShownPicture

    scene.draftglass_keep.record_as = "SEQUENCE"
    with monkeypatch.context() as patch:
        patch.setattr(live, "is_running", lambda: True)
        recorder.start(scene)
        request = Request(Frame(1, np.zeros((32, 32, 3), np.uint8)), Style("a castle", width=96, height=64))
        clock[0] = 100.0
        live._tell(ShownPicture(np.full((64, 96, 3), 90, np.uint8), request))
        live._call(live.on_beat)
        assert recorder.recording, "live goes on, and so does this"
    clock[0] = 101.0
    live._call(live.on_beat)  # as live.stop() does at its end
    assert not recorder.recording and recorder.making
    end = time.monotonic() + 900
    while not recorder.poll():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not recorder.failed and recorder.result is not None
    assert recorder._end_with_live not in live.on_beat


@pytest.mark.parametrize("name", ["file/r", "x" * 300])
def test_a_folder_that_cannot_be_written_to(recorder: Any, scene: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("in the way")
    scene.draftglass_keep.folder = str(tmp_path / name)
    with pytest.raises(KeepError, match="Nothing can be recorded to"):
        recorder.start(scene)
    assert not recorder.recording


def test_a_folder_that_vanishes_ends_the_recording(recorder: Any, scene: Any, tmp_path: Path) -> None:
    import shutil

    from addon.blender.live import switch as live
    from addon.live.shown import ShownPicture

    recorder.start(scene)
    shutil.rmtree(tmp_path / "recording_001.draftglass")
    request = Request(Frame(1, np.zeros((32, 32, 3), np.uint8)), Style("a castle", width=64, height=64))
    live._tell(ShownPicture(np.zeros((64, 64, 3), np.uint8), request))
    assert recorder.failed and "cannot be written to" in recorder.sentence
    assert not recorder.recording and recorder._add not in live.on_picture


def test_a_folder_that_cannot_be_looked_into_at_the_end_is_said(
    recorder: Any, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from addon.blender.pictures import record

    def refused(*_: Any) -> Path:
        raise PermissionError(13, "Permission denied")

    recorder.start(scene)
    monkeypatch.setattr(record, "free_path", refused)
    with pytest.raises(KeepError, match="could not be finished: Permission denied; see"):
        recorder.stop()
    assert not recorder.recording and recorder.failed


def test_what_fails_while_making_is_said(recorder: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.blender.pictures import record

    monkeypatch.setattr(record, "command", lambda told: ["false"])
    with pytest.raises(AssertionError, match="its pictures and log are in"):
        play(recorder, scene, "VIDEO")


def test_a_full_disk_ends_it_with_whole_pictures_and_their_list(recorder: Any, scene: Any, tmp_path: Path) -> None:
    import json

    from addon.blender.live import switch as live
    from addon.live.shown import ShownPicture

    resource = pytest.importorskip("resource")  # not on Windows
    request = Request(Frame(1, np.zeros((32, 32, 3), np.uint8)), Style("a castle", width=96, height=64))
    recorder.start(scene)
    clock[0] = 100.0
    live._tell(ShownPicture(np.full((64, 96, 3), 80, np.uint8), request))
    noise = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
    try:
        clock[0] = 100.5
        live._tell(ShownPicture(noise, request))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert recorder.failed and not recorder.recording
    assert "File too large. What was recorded before (1) is there, with its list." in recorder.sentence
    (spool,) = tmp_path.iterdir()
    told = json.loads((spool / "recording.json").read_text())
    assert sorted(path.name for path in spool.iterdir()) == ["picture_000001.png", "recording.json"]
    assert int(np.asarray(Image.open(spool / told["files"][0])).mean()) == 80


def test_a_video_that_the_disk_cut_off_costs_no_pictures(tmp_path: Path) -> None:
    import subprocess
    import sys

    from addon.keeping import Recording

    resource = pytest.importorskip("resource")  # not on Windows
    recording, random = Recording(tmp_path / "spool", 10), np.random.default_rng(1)
    for number in range(10):
        recording.add(random.integers(0, 256, (128, 128, 3), np.uint8), number / 10)
    told = recording.finish(1.0, "video", tmp_path / "a.mp4")
    encode = Path(__file__).parents[2] / "addon" / "blender" / "pictures" / "encode.py"
    done = subprocess.run(
        [sys.executable, str(encode), str(told)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode and "was not written whole" in done.stderr
    assert not (tmp_path / "a.mp4").exists() and len(list(told.parent.glob("*.png"))) == 10
