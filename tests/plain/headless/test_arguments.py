"""The command line of ``python -m addon``: what it makes of good values, and its one line about each bad one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from addon.headless.arguments import Options, parse
from addon.headless.plan import evenly, shots
from addon.headless.values import Move

SCENE = ["town.blend", "--out", "out", "--prompt", "a castle"]


def test_what_is_not_said_has_its_default() -> None:
    options = parse([*SCENE, "--orbit", "8"])
    assert options == Options(Path("town.blend"), ("a castle",), Path("out"), orbit=8)
    assert (options.size, options.steps, options.seed, options.model, options.device) == (256, 2, 0, "embedded", "auto")


def test_everything_said_is_taken() -> None:
    given = ["--prompt", "b", "--frames", "3:9", "--size", "512", "--steps", "4", "--strength", ".5", "--seed", "7"]
    given += [
        "--depth-weight",
        "0",
        "--move",
        "the = tower=1,-2.5,3e1",
        "--animation",
        "--model",
        "m",
        "--device",
        "cpu",
    ]
    options = parse([*SCENE, *given])
    assert options.prompts == ("a castle", "b") and options.frames == range(3, 10) and options.orbit is None
    assert (options.size, options.steps, options.strength, options.seed, options.depth_weight) == (512, 4, 0.5, 7, 0)
    assert options.move == Move("the = tower", (1.0, -2.5, 30.0))
    assert options.animation and (options.model, options.device) == ("m", "cpu")


def test_only_some_of_an_orbits_views_are_taken_where_the_orbit_has_them() -> None:
    options = parse([*SCENE, "--orbit", "360", "--only", "10:12", "--planes", "--prompt", "b"])
    assert options.planes and options.only == range(10, 13)
    assert [(shot.index, shot.turn) for shot in shots(options)] == [
        (0, 10 / 360),
        (1, 11 / 360),
        (2, 12 / 360),
        (3, 10 / 360),
        (4, 11 / 360),
        (5, 12 / 360),
    ]
    assert parse([*SCENE, "--orbit", "4", "--only", "3"]).only == range(3, 4)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["town.blend", "--out", "out", "--orbit", "8"], "--prompt is missing"),
        ([*SCENE, "--prompt", " ", "--orbit", "8"], "--prompt is ' ', but must be 1 to 4000 characters"),
        ([*SCENE, "--prompt", "x" * 4001, "--orbit", "8"], "but must be 1 to 4000 characters"),
        ([*SCENE, "--prompt", "caf\udce9", "--orbit", "8"], r"--prompt is 'caf\udce9', which is not UTF-8"),
        ([*SCENE, "--move", "\udce9=1,2,3", "--orbit", "8"], r"--move is '\udce9=1,2,3', which is not UTF-8"),
        (["town.blend", "--prompt", "x", "--orbit", "8"], "--out is missing"),
        (SCENE, "--orbit N or --frames A:B says which views to take, one of them: neither is given"),
        ([*SCENE, "--orbit", "8", "--frames", "1:2"], "both are given"),
        ([*SCENE, "--orbit", "0"], "--orbit is '0', but must be a whole number from 1 to 10000"),
        ([*SCENE, "--orbit", "2.5"], "--orbit is '2.5'"),
        ([*SCENE, "--orbit", "9999", "--prompt", "b"], "more than 10000 pictures"),
        ([*SCENE, "--frames", "9:3"], "--frames is '9:3', but must be A:B"),
        ([*SCENE, "--orbit", "8", "--only", "3:8"], "--only is '3:8', but must be A:B"),
        ([*SCENE, "--orbit", "8", "--only", "4:3"], "such as 0:7"),
        ([*SCENE, "--orbit", "8", "--only", "-1:3"], "--only is '-1:3'"),
        ([*SCENE, "--frames", "1:8", "--only", "1:3"], "give --orbit N too"),
        ([*SCENE, "--frames", "3:"], "--frames is '3:'"),
        ([*SCENE, "--frames", "1:9:0"], "--frames is '1:9:0'"),
        ([*SCENE, "--frames", "-5:-9"], "--frames is '-5:-9'"),
        ([*SCENE, "--frames", "--size", "64"], "argument --frames: expected one argument"),
        ([*SCENE, "--frames", "1:9999999"], "--frames is '1:9999999'"),
        ([*SCENE, "--orbit", "8", "--steps", "0"], "--steps is '0', but must be a whole number from 1 to 50"),
        ([*SCENE, "--orbit", "8", "--strength", "2"], "--strength is '2', but must be a number from 0.01 to 1"),
        ([*SCENE, "--orbit", "8", "--strength", "nan"], "--strength is 'nan'"),
        ([*SCENE, "--orbit", "8", "--strength", "much"], "--strength is 'much'"),
        ([*SCENE, "--orbit", "8", "--size", "100"], "from 64 to 2048, a multiple of 8"),
        ([*SCENE, "--orbit", "8", "--size", "4096"], "--size is '4096'"),
        ([*SCENE, "--orbit", "8", "--seed", "-1"], "--seed is '-1', but must be a whole number from 0 to 4294967295"),
        (
            [*SCENE, "--orbit", "8", "--depth-weight", "inf"],
            "--depth-weight is 'inf', but must be a number from 0 to 2",
        ),
        ([*SCENE, "--orbit", "8", "--move", "tower"], "--move is 'tower', but must be NAME=X,Y,Z"),
        ([*SCENE, "--orbit", "8", "--move", "tower=1,2"], "--move is 'tower=1,2'"),
        ([*SCENE, "--orbit", "8", "--move", "tower=1,2,nan"], "--move is 'tower=1,2,nan'"),
        ([*SCENE, "--orbit", "8", "--sampler", "euler"], "--sampler is 'euler', but must be one of lcm, tcd"),
        ([*SCENE, "--orbit", "8", "--sampler", "tcd", "--eta", "2"], "--eta is '2', but must be a number from 0 to 1"),
        ([*SCENE, "--orbit", "8", "--sampler", "lcm", "--eta", "0"], "--eta is '0', which lcm has no use for"),
        ([*SCENE, "--orbit", "8", "--device", "tpu"], "--device is 'tpu', but must be one of auto, cpu, cuda, mps"),
        ([*SCENE, "--orbit", "8", "--server", "ws://127.0.0.1:1", "--model", "m"], "leave them out with --server"),
        ([*SCENE, "--orbit", "8", "--token-file", "t"], "give its --server URL too"),
        ([*SCENE, "--orbit", "8", "--views", "3"], "--views is for --stick: give that too"),
        ([*SCENE, "--orbit", "8", "--texture-size", "64"], "--texture-size is for --stick"),
        ([*SCENE, "--orbit", "8", "--export", "a.glb"], "--export is for --stick"),
        ([*SCENE, "--stick", "--orbit", "8"], "--orbit is not for --stick, which chooses its own views"),
        ([*SCENE, "--stick", "--frames", "1:2"], "--frames is not for --stick"),
        ([*SCENE, "--stick", "--planes"], "--planes is not for --stick"),
        ([*SCENE, "--stick", "--prompt", "b"], "--prompt is given 2 times, but --stick takes one"),
        ([*SCENE, "--stick", "--views", "0"], "--views is '0', but must be a whole number from 1 to 64"),
        ([*SCENE, "--stick", "--texture-size", "1000"], "--texture-size is '1000', but must be a power of two from 32"),
        ([*SCENE, "--stick", "--texture-size", "-64"], "--texture-size is '-64'"),
        ([*SCENE, "--stick", "--texture-size", "8192"], "from 32 to 4096"),
        ([*SCENE, "--stick", "--export", "a.fbx"], "--export is 'a.fbx', but must be a file that ends in .glb, .usdz,"),
        ([*SCENE, "--stick", "--export", "glb"], "--export is 'glb'"),
        ([*SCENE, "--stick", "--export", "a.glb", "--export", "./a.glb"], "names one file twice"),
        ([*SCENE, "--orbit", "8", "--colour", "red"], "unrecognized arguments: --colour red"),
        ([], "SCENE.blend"),
    ],
)
def test_a_bad_value_is_one_line_and_exit_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("python -m addon: ")
    assert words in said.err


def test_sticking_chooses_its_own_views() -> None:
    options = parse([*SCENE, "--stick"])
    assert (options.orbit, options.frames, options.views, options.texture_size) == (None, None, 8, 2048)
    options = parse(
        [*SCENE, "--stick", "--views", "3", "--texture-size", "64", "--export", "a.GLB", "--export", "b/c.blend"]
    )
    assert (options.views, options.texture_size) == (3, 64)
    assert options.settings()["exports"] == ["a.GLB", "b/c.blend"]


def test_the_settings_of_a_report_are_plain_values() -> None:
    settings = parse([*SCENE, "--orbit", "8", "--move", "tower=1,2,3"]).settings()
    assert settings["scene"] == "town.blend" and settings["orbit"] == 8
    assert settings["move"] == {"name": "tower", "offset": (1.0, 2.0, 3.0)}


def test_an_orbit_goes_round_once_under_each_prompt() -> None:
    planned = shots(parse([*SCENE, "--prompt", "b", "--orbit", "4"]))
    assert [shot.index for shot in planned] == list(range(8))
    assert [shot.turn for shot in planned] == [0, 0.25, 0.5, 0.75] * 2
    assert [shot.prompt for shot in planned] == ["a castle"] * 4 + ["b"] * 4
    assert [shot.round for shot in planned] == [0] * 4 + [1] * 4
    assert not any(shot.moved or shot.frame is not None for shot in planned)


def test_frames_are_taken_from_the_first_to_the_last() -> None:
    planned = shots(parse([*SCENE, "--frames", "5:7"]))
    assert [(shot.frame, shot.turn) for shot in planned] == [(5, None), (6, None), (7, None)]


@pytest.mark.parametrize(
    "text, frames, told",
    [
        ("-10:10", range(-10, 11), [-10, 10]),
        ("-3", range(-3, -2), [-3, -3]),
        ("7", range(7, 8), [7, 7]),
        ("1:10:4", (1, 5, 9), [1, 9, 4]),
        ("-1048574:-1048574", (-1048574,), [-1048574, -1048574]),
    ],
)
def test_frames_may_be_negative_one_or_every_so_many(text: str, frames: Sequence[int], told: list[int]) -> None:
    for given in (["--frames", text], [f"--frames={text}"]):
        options = parse([*SCENE, *given])
        assert [shot.frame for shot in shots(options)] == list(frames)
        assert options.settings()["frames"] == told


def test_a_value_may_begin_with_a_hyphen() -> None:
    options = parse(
        [*SCENE[:-1], "-gloomy -- forest", "--orbit", "2", "--camera", "--left", "--scene=-1", "--move", "-a=1,2,3"]
    )
    assert options.prompts == ("-gloomy -- forest",) and (options.camera, options.scene_name) == ("--left", "-1")
    assert options.move == Move("-a", (1, 2, 3)) and options.view_layer is None


@pytest.mark.parametrize("count, moved", [(4, [0, 0, 1, 1]), (5, [0, 0, 0, 1, 1]), (1, [0])])
def test_the_object_moves_half_way_through_each_round(count: int, moved: list[int]) -> None:
    planned = shots(parse([*SCENE, "--prompt", "b", "--orbit", str(count), "--move", "tower=1,2,3"]))
    assert [shot.moved for shot in planned] == [bool(one) for one in moved] * 2


@pytest.mark.parametrize("count, most, taken", [(24, 6, [0, 4, 8, 12, 16, 20]), (3, 6, [0, 1, 2]), (7, 3, [0, 2, 4])])
def test_views_for_a_sheet_are_evenly_spread(count: int, most: int, taken: list[int]) -> None:
    assert evenly(count, most) == taken
