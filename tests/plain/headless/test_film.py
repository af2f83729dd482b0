"""A film that goes on where it stopped: which frames are taken as they are, and which are made again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from addon.headless.arguments import Options
from addon.headless.film import RECORD, Film
from addon.headless.plan import shots
from addon.headless.run import ShotResult

SIDE = 8


@pytest.fixture
def options(tmp_path: Path) -> Options:
    scene = tmp_path / "town.blend"
    scene.write_bytes(b"BLENDER of a kind")
    return Options(scene, ("a castle",), tmp_path / "out", frames=range(1, 5))


def film(options: Options) -> Film:
    options.out.mkdir(exist_ok=True)
    return Film(options.out, options.out / "unfinished", options, shots(options))


def shown(options: Options, index: int) -> ShotResult:
    shot = shots(options)[index]
    assert shot.frame is not None
    return ShotResult(
        shot, np.full((SIDE, SIDE, 3), shot.frame, np.uint8), np.full((SIDE, SIDE, 3), 100 + shot.frame, np.uint8), {}
    )


def test_frames_that_came_are_there_after_a_run_that_was_ended(options: Options) -> None:
    first = film(options)
    assert first.there == {}
    for index in (0, 2):
        first.add(shown(options, index))
    with (options.out / "unfinished" / RECORD).open("a") as file:
        file.write('{"prompt": "a cas')  # ended in mid line
    second = film(options)
    assert sorted(second.there) == [0, 2]
    assert (second.there[2].picture == 103).all() and (second.there[2].draft == 3).all()
    second.add(shown(options, 1))
    assert sorted(film(options).there) == [0, 1, 2]


def test_another_range_takes_what_it_has_in_common(options: Options) -> None:
    made = film(options)
    for index in range(4):
        made.add(shown(options, index))
    longer = dataclasses.replace(options, frames=range(3, 9, 1))
    there = film(longer).there
    assert {index: int(one.picture[0, 0, 0]) for index, one in there.items()} == {0: 103, 1: 104}


def test_a_whole_film_is_there_too_and_leaves_nothing_unfinished(options: Options) -> None:
    from addon.headless.output import write_pictures

    made = film(options)
    all_of_it = [shown(options, index) for index in range(4)]
    for one in all_of_it:
        made.add(one)
    write_pictures(options.out, all_of_it, 4)
    made.finish(options.out, all_of_it)
    assert not (options.out / "unfinished").exists()
    assert sorted(film(options).there) == [0, 1, 2, 3]


@pytest.mark.parametrize("change", [{"seed": 1}, {"prompts": ("a hut",)}, {"size": 512}, {"camera": "Left"}])
def test_frames_of_other_settings_are_made_again(options: Options, change: dict[str, object]) -> None:
    film(options).add(shown(options, 0))
    assert film(dataclasses.replace(options, **change)).there == {}  # type: ignore[arg-type]


def test_frames_of_a_file_that_was_edited_since_are_made_again(options: Options) -> None:
    film(options).add(shown(options, 0))
    options.scene.write_bytes(b"BLENDER of another kind")
    assert film(options).there == {}


def test_where_the_film_goes_and_how_it_is_written_is_no_matter(options: Options) -> None:
    film(options).add(shown(options, 0))
    other = dataclasses.replace(options, video=Path("film.mp4"), animation=True, device="cpu")
    assert sorted(film(other).there) == [0]


def test_a_picture_that_is_gone_or_damaged_is_made_again(options: Options) -> None:
    made = film(options)
    for index in range(3):
        made.add(shown(options, index))
    (options.out / "unfinished" / "picture_001.png").unlink()
    (options.out / "unfinished" / "draft_002.png").write_bytes(b"no picture")
    assert sorted(film(options).there) == [0]


def test_the_users_own_files_stay(options: Options) -> None:
    made = film(options)
    made.add(shown(options, 0))
    (options.out / "unfinished" / "notes.txt").write_text("mine")
    made.clear()
    assert [path.name for path in (options.out / "unfinished").iterdir()] == ["notes.txt"]


def test_the_record_says_what_the_same_film_needs(options: Options) -> None:
    film(options).add(shown(options, 0))
    settings, line = map(json.loads, (options.out / "unfinished" / RECORD).read_text().splitlines())
    assert settings["seed"] == 0 and settings["steps"] == 2 and len(settings["sha256"]) == 64
    assert line == {"prompt": "a castle", "frame": 1, "moved": False, "name": "000"}
