"""Styles as files: what is read, refused, stored, renamed, deleted and shared. No bpy."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.keeping import encode
from addon.presets import LIMITS, Library, Preset, PresetError, read, write
from addon.presets.library import SHIPPED, slug

THUMBNAIL = encode(np.zeros((8, 8, 3), np.uint8))
FULL = Preset("Snow keep", "a castle on snow", "people", 0.8, 3, 6, 1.5, 0.7, 42, THUMBNAIL)


def library(folder: Path) -> Library:
    return Library(folder / "own", folder / "none")


def as_file(**told: Any) -> bytes:
    return json.dumps({"draftglass_style": 1, "name": "A", **told}).encode()


numbers = {
    name: (st.integers(int(low), int(high)) if name in {"steps", "settle_steps", "seed"} else st.floats(low, high))
    for name, (low, high) in LIMITS.items()
}
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=100)


@given(
    st.builds(
        Preset,
        name=st.from_regex(r"[A-Za-zäß漢]{1,20}( [0-9a-z]{1,10})?", fullmatch=True),
        prompt=texts,
        negative_prompt=texts,
        alone=texts,
        thumbnail=st.sampled_from([b"", THUMBNAIL]),
        **{name: st.none() | values for name, values in numbers.items()},
    )
)
def test_what_is_written_is_read_back(preset: Preset) -> None:
    assert read(write(preset)) == preset


@given(st.binary(max_size=200) | st.lists(st.none() | st.text()).map(lambda told: json.dumps(told).encode()))
def test_other_bytes_are_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(PresetError, match=r"x\.json"):
        read(data, "x.json")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (as_file(strength=1.5), "strength is 1.5, but must be a number from 0.05 to 1"),
        (as_file(strength=True), "strength is True"),
        (as_file(steps=2.5), "steps is 2.5, but must be a whole number from 1 to 20"),
        (as_file(guidance=float("nan")), "guidance is nan"),
        (as_file(seed=-1), "seed is -1"),
        (as_file(prompt=["a"]), "prompt is"),
        (as_file(prompt="a" * 1001), "at most 1000 characters"),
        (as_file(name=" "), "name is ' '"),
        (as_file(name="a\x00b"), "name is"),
        (as_file(thumbnail="%%"), "thumbnail is not base64"),
        (b"[" + b"{}," * 300_000 + b"{}]", "not JSON of 1000 values at most"),
        (as_file(thumbnail="YWJj"), "thumbnail is neither a PNG nor a JPEG"),
        (as_file(strenght=0.5), "sets 'strenght', but a style can set prompt"),
        (b'{"draftglass_style": 2, "name": "A"}', "format 2, but this version reads format 1"),
        (b'{"draftglass_style": 1}', "without a name"),
        (as_file(prompt="a castle \ud83d"), "prompt is 'a castle \\ud83d', but contains half a character"),
        (b'{"name": "A"}', "is no style: it has no 'draftglass_style'"),
        (b"[" * 100_000, "not JSON"),
        (b" " * (1024 * 1024 + 1), "at most"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, words: str) -> None:
    with pytest.raises(PresetError) as caught:
        read(data, "x.json")
    assert words in str(caught.value)
    assert "x.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_saved_and_found_again(tmp_path: Path) -> None:
    saved = library(tmp_path).save(FULL)
    again = library(tmp_path)
    assert [listed.preset for listed in again.styles] == [FULL]
    assert again.get(saved.key) == saved
    assert again.named("  SNOW keep").preset == FULL
    assert os.listdir(tmp_path / "own") == ["snow_keep.json"]


def test_a_name_is_taken_once_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    styles = library(tmp_path)
    styles.save(FULL)
    with pytest.raises(PresetError, match="already"):
        styles.save(Preset("SNOW KEEP"))
    styles.save(Preset("Snow Keep", prompt="other"), over=True)
    assert [listed.preset.prompt for listed in styles.styles] == ["other"]


def test_two_names_with_one_file_name(tmp_path: Path) -> None:
    styles = library(tmp_path)
    for name in ("Snow keep", "Snow, keep!", "雪", "con", "..", "/etc/passwd"):
        styles.save(Preset(name))
    assert len(styles.styles) == 6
    assert all(path.parent == tmp_path / "own" for path in (listed.path for listed in styles.styles))


def test_renamed(tmp_path: Path) -> None:
    styles = library(tmp_path)
    key = styles.save(FULL).key
    styles.save(Preset("Other"))
    renamed = styles.rename(key, "Ice keep")
    assert (renamed.preset.name, renamed.preset.values) == ("Ice keep", FULL.values)
    assert sorted(os.listdir(tmp_path / "own")) == ["ice_keep.json", "other.json"]
    with pytest.raises(PresetError, match="already"):
        styles.rename(renamed.key, "other")
    assert styles.rename(renamed.key, "ICE keep").preset.name == "ICE keep"  # only its case
    with pytest.raises(PresetError, match="there is no style"):
        styles.rename(key, "Gone")


def test_deleted(tmp_path: Path) -> None:
    styles = library(tmp_path)
    key = styles.save(FULL).key
    styles.delete(key)
    assert styles.styles == ()
    assert os.listdir(tmp_path / "own") == []
    with pytest.raises(PresetError, match="there is no style"):
        styles.delete(key)


def test_what_came_along_stays(tmp_path: Path) -> None:
    styles = Library(tmp_path / "own")
    key = next(listed.key for listed in styles.styles)
    with pytest.raises(PresetError, match="can't be deleted"):
        styles.delete(key)
    with pytest.raises(PresetError, match="can't be renamed"):
        styles.rename(key, "Mine")


def test_shared_as_a_file(tmp_path: Path) -> None:
    mine, theirs = library(tmp_path / "mine"), library(tmp_path / "theirs")
    file = tmp_path / "to a friend.json"
    mine.export(mine.save(FULL).key, file)
    assert theirs.import_file(file).preset == FULL
    assert theirs.import_file(file).preset.name == "Snow keep 2"
    with pytest.raises(PresetError, match="can't be read"):
        theirs.import_file(tmp_path / "missing.json")


def test_a_broken_file_hides_no_other_and_is_left_alone(tmp_path: Path) -> None:
    styles = library(tmp_path)
    styles.save(FULL)
    (tmp_path / "own" / "broken.json").write_text("{")
    styles.refresh()
    assert [listed.preset.name for listed in styles.styles] == ["Snow keep"]
    assert styles.problems == ("broken.json is no style: it is not JSON in UTF-8",)
    assert (tmp_path / "own" / "broken.json").read_text() == "{"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("a file in its place")
    with pytest.raises(PresetError, match="can't be written"):
        library(tmp_path).save(FULL)


def test_the_shipped_styles_can_be_used_and_have_thumbnails() -> None:
    styles = Library(SHIPPED / "none")
    assert styles.problems == ()
    assert len(styles.styles) >= 12
    assert all(listed.preset.thumbnail and listed.preset.prompt for listed in styles.styles)
    assert len({listed.preset.name for listed in styles.styles}) == len(styles.styles)
    assert len({listed.preset.thumbnail for listed in styles.styles}) == len(styles.styles)


@pytest.mark.parametrize(("name", "stem"), [("Snow Keep!", "snow_keep"), ("...", "style"), ("NUL", "nul_")])
def test_file_names(name: str, stem: str) -> None:
    assert slug(name) == stem


@pytest.mark.parametrize(
    ("prompt", "subject", "whole"),
    [
        ("{prompt}, watercolor", "a keep", "a keep, watercolor"),
        ("{prompt}, watercolor", "", "watercolor"),
        ("an ink drawing of {prompt} at dusk", "a keep", "an ink drawing of a keep at dusk"),
        ("an ink drawing, {prompt}", " ", "an ink drawing"),
        ("watercolor", "a keep", "a keep, watercolor"),
        ("watercolor", "", "watercolor"),
        ("{prompt}", "a keep", "a keep"),
        ("{prompt}", "", ""),
        (None, "a keep", "a keep"),
        ("100 % {ink} of {prompt}", "a {keep}", "100 % {ink} of a {keep}"),
    ],
)
def test_a_style_goes_around_the_users_words(prompt: str | None, subject: str, whole: str) -> None:
    style = Preset("Style", prompt=prompt)
    assert style.around(subject) == whole
    assert style.subject_in(whole) == subject.strip()
    if prompt not in (None, "{prompt}"):
        assert style.subject_in("something else") is None


def test_each_shipped_style_has_a_place_for_the_users_words() -> None:
    for listed in Library(SHIPPED / "none").styles:
        whole = listed.preset.around("a red boat")
        assert "a red boat" in whole and "{" not in whole and not listed.preset.around("").startswith((",", " "))
        things = re.findall(r"\b(castle|town|city|village|fortress|temple|ruins|towers?|harbour|boat)\b", whole)
        assert things == ["boat"], "the user's words alone say what is there"


def test_a_style_has_a_prompt_of_its_own_where_nobody_typed_any() -> None:
    style = Preset("Snow", prompt="{prompt}, on snow", alone="a castle on snow")
    assert style.around(" ") == "a castle on snow" and style.subject_in("a castle on snow") == ""
    assert style.around("a boat") == "a boat, on snow" and style.subject_in("a boat, on snow") == "a boat"
    assert read(write(style)) == style and "alone" not in style.values


@pytest.mark.parametrize(
    "data",
    [
        *(as_file(**{name: 10**400}) for name in numbers),
        as_file(strength=-(10**400)),
        b'{"draftglass_style": 1, "name": "A", "strength": 1' + b"0" * 5000 + b"}",
        b'{"draftglass_style": 1' + b"0" * 400 + b', "name": "A"}',
        b'{"draftglass_style": 1, "name": "A", "seed": ' + b"[" * 50_000,
        b'{"draftglass_style": 1, "name": "A", "seed": 1e999}',
        b"\xff\xfe",
        b"",
    ],
    ids=lambda data: repr(data[:60]),
)
def test_one_bad_file_takes_no_other_with_it(data: bytes, tmp_path: Path) -> None:
    styles = library(tmp_path)
    styles.save(Preset("Good"))
    (styles.own / "bad.json").write_bytes(data)
    styles.refresh()
    assert [listed.preset.name for listed in styles.styles] == ["Good"]
    assert len(styles.problems) == 1 and styles.problems[0].startswith("bad.json") and len(styles.problems[0]) < 300


@pytest.mark.skipif(os.name != "posix", reason="no pipes in folders there")
def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    styles = library(tmp_path)
    styles.save(Preset("Good"))
    os.mkfifo(styles.own / "pipe.json")
    (styles.own / "folder.json").mkdir()
    (styles.own / "device.json").symlink_to("/dev/zero")
    (styles.own / "gone.json").symlink_to(tmp_path / "nothing")
    styles.refresh()
    assert [listed.preset.name for listed in styles.styles] == ["Good"] and len(styles.problems) == 4
