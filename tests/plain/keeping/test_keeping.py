"""Kept pictures: any reader of PNG reads them, they give their recipe back, and no file does harm."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from addon.keeping import (
    KeepError,
    NotAPng,
    Recipe,
    Recording,
    decode_size,
    encode,
    free_path,
    make_png,
    read_chunks,
    read_recipe,
    read_request,
    read_text,
    slug,
    timeline,
    write_whole,
)
from addon.keeping.recipe import KEYWORD, REQUEST
from addon.wire import Control, Frame, Request, Style, pack

ROOT = Path(__file__).resolve().parents[3]
RANDOM = np.random.default_rng(3)


def picture(height: int = 24, width: int = 40) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, 3), np.uint8)


def request() -> Request:
    depth = RANDOM.integers(0, 65536, (32, 48), np.uint16)
    frame = Frame(7, picture(32, 48), depth, 2.5, captured=1.25)
    return Request(frame, Style("a castle, 雪", "fog", 0.7, 3, 1.5, 11, 64, 128, (Control("depth", 0.5),)), True)


RECIPE = Recipe(
    style={"prompt": "a castle, 雪", "negative_prompt": "fog", "steps": 3, "guidance": 1.5, "seed": 11, "width": 64,
           "height": 128, "strength": 0.7},
    settings={"prompt": "a castle, 雪", "steps": 2, "colour": [1.0, 0.5, 0.0]},
    view={"matrix": [[1.0, 0.0, 0.0, 0.0]] * 4, "projection": [[0.1 + 0.2] * 4] * 4, "lens": 50.0},
    model="embedded, v1", made={"draftglass": "0.1.0", "blender": "5.2.2"}, scene="Scene", frame=12,
    shown="2026-01-02T03:04:05", settled=True, timings={"engine": 12.5},
)  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (24, 40), (257, 129)])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_another_reader_sees_the_same_pixels(shape: tuple[int, int], level: int) -> None:
    image = picture(*shape)
    data = encode(image, {"Title": "näme", "Author": "A"}, level=level)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.mode == "RGB" and (np.asarray(opened) == image).all()
        assert opened.text == {"Title": "näme", "Author": "A"}
    assert decode_size(data) == (shape[1], shape[0])


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_picture_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be uint8, H x W x 3"):
        encode(image)


@given(st.dictionaries(st.sampled_from(["Title", "draftglass", "a b"]), st.text().map(lambda t: t.replace("\0", ""))))
def test_texts_come_back(texts: dict[str, str]) -> None:
    kept = {name: text.encode("utf-8", "ignore").decode() for name, text in texts.items()}
    data = encode(picture(1, 1), kept)
    assert {name: read_text(data, name) for name in kept} == kept


def test_texts_of_another_writer_are_read() -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("plain", "é")
    info.add_text("packed", "long " * 50, zip=True)
    info.add_itxt("wide", "雪", "zh", "snow", zip=True)
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, "PNG", pnginfo=info)
    texts = {"plain": "é", "packed": "long " * 50, "wide": "雪", "other": None}
    assert {name: read_text(file.getvalue(), name) for name in texts} == texts


def test_a_recipe_and_its_request_come_back() -> None:
    sent = request()
    data = make_png(picture(), RECIPE, sent)
    assert read_recipe(data) == RECIPE
    back = read_request(data)
    assert back is not None and pack(back) == pack(sent)
    assert "dgRq" in {kind.decode() for kind, _ in read_chunks(data)}
    assert read_request(make_png(picture(), RECIPE)) is None


def test_other_tools_read_the_parameters() -> None:
    text = read_text(make_png(picture(), RECIPE), "parameters")
    assert text == (
        "a castle, 雪\nNegative prompt: fog\nSteps: 3, Sampler: LCM, CFG scale: 1.5, Seed: 11, Size: 64x128, "
        "Model: embedded  v1, Denoising strength: 0.7, Version: Draftglass 0.1.0"
    )


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_file_gives_a_sentence(at: int, byte: int) -> None:
    data = bytearray(make_png(picture(), RECIPE, request()))
    at %= len(data)
    same = data[at] == byte
    data[at] = byte
    if same:
        assert read_recipe(bytes(data)) == RECIPE
    else:
        with pytest.raises(KeepError, match="cannot be restored"):
            read_recipe(bytes(data))


@given(st.integers(0, 10**6))
def test_a_file_cut_short_gives_a_sentence(at: int) -> None:
    data = make_png(picture(), RECIPE)
    with pytest.raises(NotAPng):
        list(read_chunks(data[: at % len(data)]))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"style": 3}', "{" * 5000, "[" + "{}," * 100_000 + "{}]", '{"format": 1, "style": [1]}', "nul"],
)
def test_a_damaged_recipe_gives_a_sentence(text: str) -> None:
    with pytest.raises(KeepError, match="damaged"):
        read_recipe(encode(picture(), {KEYWORD: text}))


def test_others_pictures_and_newer_ones_give_a_sentence() -> None:
    with pytest.raises(KeepError, match="does not say how it was made"):
        read_recipe(encode(picture()))
    with pytest.raises(KeepError, match="newer version"):
        read_recipe(encode(picture(), {KEYWORD: '{"format": 2, "style": {}}'}))
    with pytest.raises(KeepError, match="not a PNG"):
        read_recipe(b"GIF89a")


def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(64 * 1024 * 1024), 9)
    data = encode(picture(), {KEYWORD: '{"format": 1, "style": {}}'}, [(b"zTXt", b"draftglass\0\0" + bomb)])
    assert read_recipe(data).style == {}
    with pytest.raises(KeepError, match="damaged"):
        read_request(encode(picture(), chunks=[(REQUEST, bomb)]))


@pytest.mark.parametrize(
    ("prompt", "name"),
    [("a castle, on grass!", "a_castle_on_grass"), ("雪の城", "雪の城"), ("../../etc/passwd", "etc_passwd"),
     ("", "picture"), ("CON", "CON_"), ("x" * 300, "x" * 40), ("?*:", "picture")],
)  # fmt: skip
def test_names_are_safe_on_any_system(prompt: str, name: str) -> None:
    assert slug(prompt) == name


def test_no_file_is_written_over(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        path = free_path(tmp_path, "a")
        assert path.name == f"a_{number:03d}.png"
        path.touch()


def test_a_video_shows_each_picture_at_its_time() -> None:
    assert timeline([10.0, 10.5, 10.6], 11.0, 10) == [0, 0, 0, 0, 0, 1, 2, 2, 2, 2]
    assert timeline([0.0], 0.0, 30) == [0]
    assert timeline([0.0, 0.001, 0.002], 0.1, 30) == [2, 2, 2], "the last of several within a frame"
    assert timeline([], 5.0, 30) == []
    with pytest.raises(ValueError, match="fps is 0"):
        timeline([0.0], 1.0, 0)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=40), st.floats(0, 5), st.sampled_from([12, 24, 30, 60]))
def test_no_frame_is_more_than_one_off(times: list[float], after: float, fps: int) -> None:
    times = sorted(times)
    shown = timeline(times, times[-1] + after, fps)
    assert shown == sorted(shown) and shown[-1] == len(times) - 1
    for frame, number in enumerate(shown):
        assert times[number] - times[0] <= (frame + 1) / fps
        if number + 1 < len(times):
            assert times[number + 1] - times[0] >= (frame - 1) / fps


def test_a_recording_is_files_and_a_list(tmp_path: Path) -> None:
    import json

    recording = Recording(tmp_path / "r", 10)
    with pytest.raises(ValueError, match="nothing was recorded"):
        recording.finish(1.0, "video", tmp_path / "a.mp4")
    first, second = picture(), picture()
    recording.add(first, 100.0)
    recording.add(second, 100.3)
    told = json.loads(recording.finish(100.5, "video", tmp_path / "a.mp4").read_text())
    assert told["frames"] == [0, 0, 0, 1, 1] and told["size"] == [40, 24] and len(recording) == 2
    for name, image in zip(told["files"], (first, second), strict=True):
        with Image.open(recording.folder / name) as opened:
            assert (np.asarray(opened) == image).all()


def test_a_recording_has_one_size(tmp_path: Path) -> None:
    recording = Recording(tmp_path, 10)
    first = picture(8, 8)
    recording.add(first, 0.0)
    recording.add(first.repeat(2, axis=0).repeat(3, axis=1), 0.1)
    one, other = (np.asarray(Image.open(path)) for path in sorted(tmp_path.glob("*.png")))
    assert (one == first).all() and (other == first).all()


FULL = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
from addon.keeping import Recording
folder = Path(sys.argv[1])
recording = Recording(folder, 24)
noise = np.random.default_rng(1)
shown = []
try:
    while True:
        shown.append(noise.integers(0, 256, (96, 128, 3), np.uint8))
        recording.add(shown[-1], len(shown) / 10)
except OSError as error:
    print(error.strerror)
try:  # somebody else takes what is left
    with (folder / "other").open("ab") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
except OSError:
    pass
told = json.loads(recording.finish(9.0, "video", folder / "a.mp4").read_text())
assert len(told["files"]) == len(recording) == len(shown) - 1 > 3, told
for name, image in zip(told["files"], shown):
    assert (np.asarray(Image.open(folder / name)) == image).all()
left = sorted(path.name for path in folder.iterdir())
assert left == sorted(["other", "recording.json", *told["files"]]), left
print("whole")
"""


def test_a_recording_on_a_full_disk_is_whole_as_far_as_it_goes(tmp_path: Path) -> None:
    """On a disk of one megabyte, which only root or a namespace of one's own can mount."""
    mounted = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "sh", "-c", mounted, "-"]
    try:
        done = subprocess.run(
            [*command, str(tmp_path), sys.executable, FULL], cwd=ROOT, capture_output=True, text=True, timeout=600
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode and ("unshare:" in done.stderr or "mount:" in done.stderr):
        pytest.skip(done.stderr)
    assert done.stdout == "No space left on device\nwhole\n", done.stderr


def test_a_picture_that_is_too_large_for_the_disk_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # not on Windows
    (tmp_path / "a.png").write_bytes(b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_whole(tmp_path / "a.png", bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]
