"""A person's work is outside of the extension's own folder, which Blender wipes when it is uninstalled."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def places(blender: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The folders of a user whose home and settings are the test's, with version 0.1.0's folder beside them."""
    from addon.blender.pictures import folders

    extension = tmp_path / "extension"
    extension.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(folders, "user_folder", lambda: extension)
    monkeypatch.setattr(blender.utils, "user_resource", lambda kind, path="": str(tmp_path / kind / path))
    return SimpleNamespace(home=tmp_path / "home", extension=extension, config=tmp_path / "CONFIG")


def test_pictures_of_files_that_are_not_saved_go_to_the_users_pictures(
    places: Any, scene: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from addon.blender.pictures import folders

    assert folders.pictures_folder() == places.home / "Pictures" / "Draftglass"
    monkeypatch.setattr(folders, "preferences", lambda: SimpleNamespace(pictures_dir=str(tmp_path / "mine")))
    assert folders.pictures_folder() == tmp_path / "mine"


def test_styles_of_the_first_version_are_found_beside_blenders_settings(places: Any) -> None:
    from addon.blender.pictures import folders
    from addon.presets import Library, Preset

    Library(places.extension / "styles").save(Preset("Mine", prompt="a keep on a hill"))
    found = Library(folders.styles_folder())
    assert found.own == places.config / "draftglass" / "styles"
    assert found.named("Mine").preset.prompt == "a keep on a hill" and found.named("Mine").own
    found.delete(found.named("Mine").key)
    again = Library(folders.styles_folder())
    assert [listed for listed in again.styles if listed.own] == [], "a style that was deleted came back"


def test_pictures_of_the_first_version_are_carried_over(places: Any) -> None:
    from addon.blender.pictures import folders

    (places.extension / "pictures" / "town").mkdir(parents=True)
    (places.extension / "pictures" / "town_001.png").write_bytes(b"picture")
    (places.extension / "pictures" / "town" / "000001.png").write_bytes(b"frame")
    beats = 0
    while folders._carry() is not None:
        beats += 1
    assert beats == 2
    target = places.home / "Pictures" / "Draftglass"
    assert (target / "town_001.png").read_bytes() == b"picture"
    assert (target / "town" / "000001.png").read_bytes() == b"frame"
    assert (places.extension / "pictures" / "town_001.png").exists()
    folders.detach()


def test_a_folder_that_cannot_be_written_to_is_said_and_loses_nothing(
    places: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from addon.blender.pictures import folders

    (places.extension / "pictures").mkdir()
    (places.extension / "pictures" / "town_001.png").write_bytes(b"picture")
    places.home.mkdir()
    (places.home / "Pictures").write_bytes(b"no folder")
    assert folders._carry() is None
    assert "pictures could not be copied" in capsys.readouterr().out
    assert (places.extension / "pictures" / "town_001.png").read_bytes() == b"picture"
    folders.detach()
