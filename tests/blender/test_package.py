"""The zip and Blender's own extension manager agree."""

import zipfile
from pathlib import Path

from tests.blender.places import ROOT, Place
from tests.blender.window import extension


def test_blender_finds_nothing_wrong(place: Place, package: Path, tmp_path: Path) -> None:
    assert "Success" in extension(place, tmp_path, "validate", str(package))


def test_blender_builds_the_same_zip(place: Place, package: Path, tmp_path: Path) -> None:
    built = tmp_path / "built.zip"
    extension(place, tmp_path, "build", "--source-dir", str(ROOT), "--output-filepath", str(built))
    assert sorted(zipfile.ZipFile(built).namelist()) == zipfile.ZipFile(package).namelist()
