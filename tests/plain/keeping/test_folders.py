"""People's pictures: found where the system has them, and carried over with none lost and none written over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from addon.keeping import carry_over, pictures_home
from addon.keeping.folders import PIECE


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('XDG_PICTURES_DIR="$HOME/Bilder"', "Bilder"),
        ('XDG_MUSIC_DIR="$HOME/Musik"\nXDG_PICTURES_DIR="$HOME/Eigene Dateien/Bilder"\n', "Eigene Dateien/Bilder"),
        ('XDG_PICTURES_DIR="$HOME/"', "Pictures"),
        ('#XDG_PICTURES_DIR="$HOME/Bilder"', "Pictures"),
        ("", "Pictures"),
    ],
)
def test_pictures_on_linux(tmp_path: Path, line: str, found: str) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "user-dirs.dirs").write_text(line, "utf-8")
    assert pictures_home(tmp_path, {}, "linux") == tmp_path / found


def test_pictures_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "user-dirs.dirs").write_text('XDG_PICTURES_DIR="/data/photos"\n', "utf-8")
    assert pictures_home(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / "settings")}, "linux") == Path("/data/photos")
    (tmp_path / "settings" / "user-dirs.dirs").write_bytes(b'XDG_PICTURES_DIR="\xff"\n')
    assert pictures_home(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / "settings")}, "linux") == tmp_path / "Pictures"
    assert pictures_home(tmp_path, {}, "darwin") == tmp_path / "Pictures"


def test_all_is_carried_over_and_nothing_written_over(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "frames").mkdir(parents=True)
    (old / "a.png").write_bytes(b"old a")
    (old / "video.mp4").write_bytes(os.urandom(2 * PIECE + 5))
    (old / "frames" / "000001.png").write_bytes(b"frame")
    new.mkdir()
    (new / "a.png").write_bytes(b"another")
    pauses = sum(1 for _ in carry_over(old, new))
    assert pauses >= 3 + 2, "a large file is not copied piece by piece"
    assert (new / "a.png").read_bytes() == b"another" and (new / "a_2.png").read_bytes() == b"old a"
    assert (new / "frames" / "000001.png").read_bytes() == b"frame"
    assert (new / "video.mp4").read_bytes() == (old / "video.mp4").read_bytes()
    assert (old / "a.png").read_bytes() == b"old a", "the old one is gone"
    assert not list(new.rglob("*.part"))


def test_what_is_deleted_in_the_new_place_stays_deleted(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "a.json").write_bytes(b"a")
    list(carry_over(old, new))
    (new / "a.json").unlink()
    list(carry_over(old, new))
    assert not (new / "a.json").exists()


def test_left_off_in_the_middle_it_goes_on(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "a.png").write_bytes(b"a")
    (old / "b.png").write_bytes(os.urandom(3 * PIECE))
    begun = carry_over(old, new)
    for _ in range(3):
        next(begun)
    begun.close()
    assert (new / "a.png").exists() and not (new / "b.png").exists()
    list(carry_over(old, new))
    assert sorted(path.name for path in new.iterdir()) == ["a.png", "b.png"]
    assert (new / "b.png").read_bytes() == (old / "b.png").read_bytes()


def test_nothing_there_makes_nothing(tmp_path: Path) -> None:
    list(carry_over(tmp_path / "old", tmp_path / "new"))
    assert not list(tmp_path.iterdir())
