"""Files that are none, or without an end: read_regular, and everyone who reads by it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from addon.presets.library import Library
from addon.untrusted.regular import read_regular

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no pipes and devices here")


def odd_files(folder: Path, suffix: str = ".json") -> list[Path]:
    """What is there, but is no file of a bounded length: none of them may be waited for or read."""
    made = [folder / f"{name}{suffix}" for name in ("endless", "pipe", "folder", "sparse", "nowhere")]
    made[0].symlink_to("/dev/zero")
    os.mkfifo(made[1])
    made[2].mkdir()
    with made[3].open("wb") as file:
        file.truncate(10**12)
    made[4].symlink_to(folder / "missing")
    return made


def test_nothing_but_a_short_file_is_read(tmp_path: Path) -> None:
    for path in odd_files(tmp_path):
        with pytest.raises(OSError):
            read_regular(path, 1000)
    (tmp_path / "short").write_bytes(b"x" * 1000)
    (tmp_path / "link").symlink_to("short")
    assert read_regular(tmp_path / "link", 1000) == b"x" * 1000
    with pytest.raises(OSError, match="1000 bytes, but 999 at most"):
        read_regular(tmp_path / "link", 999)


def test_odd_files_among_the_styles_are_told_of(tmp_path: Path) -> None:
    odd = odd_files(tmp_path)
    library = Library(tmp_path)
    assert len(library.problems) == len(odd) and library.styles
