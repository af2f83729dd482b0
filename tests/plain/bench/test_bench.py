"""The benchmark on small models: arms that agree, figures that add up, files that can be read."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from addon.wire import Request
from server.engine import ModelSpec, StableDiffusionLcm, default_model
from tests.plain.engine.families import FAMILIES, place
from tools.bench import frames, measure, models
from tools.bench import stock as stock_module
from tools.bench.arms import Arm, LeftOut, Picture, copied, load, missing, ours, ours_batched, psnr, with_controlnet
from tools.bench.facts import Others
from tools.bench.measure import Row, even, fill, interleave, void
from tools.bench.report import draw, table, write
from tools.bench.stock import Stock, one_noise, placed, references
from tools.bench.stream import stream_diffusion

CPU = torch.device("cpu")


@pytest.mark.parametrize("family", models.RANDOM)
def test_arms_make_the_same_picture(family: str, tmp_path: Path) -> None:
    parts = load(ModelSpec(models.write_small(tmp_path / family, family)))
    stock = Stock(parts, CPU, torch.float32)
    engine = StableDiffusionLcm(copied(parts), "cpu", torch.float32)
    arms = [
        Arm("stock", stock.render),
        Arm("stock with depth", stock.render, depth=True),
        ours(engine, "ours", depth=False),
        ours(engine, "ours with depth", depth=True),
        ours_batched(engine, "ours, 3 in one go", depth=False, batch=3),
    ]
    rows = [Row(family, 64, 2, arm.name) for arm in arms]
    with one_noise():
        interleave(arms, lambda index, depth: frames.request(index, 64, 2, depth), rows, rounds=1, frames=1, warm=1)
    assert [row.failed for row in rows] == [""] * 5
    assert [row.decibels is None for row in rows] == [True, True, False, False, False]
    assert not void(rows)
    plain, deep = (stock.render(frames.request(3, 64, 2, depth)) for depth in (False, True))
    assert plain.std() > 5 and psnr(plain, deep) < 60, "flat or equal pictures would hide a difference"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_single_file_with_a_full_vae_makes_the_same_picture(family: str) -> None:
    parts = load(models.spec(str(place(family, "checkpoint"))))
    engine = StableDiffusionLcm(copied(parts), "cpu", torch.float32)
    arms = [
        Arm("stock", Stock(parts, CPU, torch.float32).render),
        Arm("tuned", Stock(parts, CPU, torch.float32, tuned=True).render),
        ours(engine, "ours", depth=False),
    ]
    rows = [Row("m", 64, 2, arm.name) for arm in arms]
    with one_noise():
        interleave(arms, lambda index, depth: frames.request(index, 64, 2, depth), rows, rounds=1, frames=1, warm=1)
    assert [row.failed for row in rows] == [""] * 3
    assert all(row.decibels is not None and row.decibels > 60 for row in rows[1:]), [row.decibels for row in rows]


@pytest.mark.parametrize("batch", [False, True], ids=["batch off", "batch on"])
@pytest.mark.parametrize("model", ["embedded", "sd15"])
def test_streamdiffusion_makes_the_same_picture(model: str, batch: bool, tmp_path: Path) -> None:
    """For models that predict noise and others, and however many frames later its picture comes."""
    pytest.importorskip("streamdiffusion", reason="optional: pip install --no-deps streamdiffusion==0.1.1")
    spec = ModelSpec(default_model() if model == "embedded" else models.write_small(tmp_path / model, model))
    parts = load(spec)
    arms = [Arm("stock", Stock(parts, CPU, torch.float32).render), stream_diffusion(parts, CPU, torch.float32, batch)]
    rows = [Row(model, 64, 3, arm.name) for arm in arms]
    with one_noise():
        interleave(arms, lambda index, depth: frames.request(index, 64, 3, depth), rows, rounds=1, frames=2, warm=1)
    assert [row.failed for row in rows] == ["", ""]
    assert rows[1].decibels is not None and rows[1].decibels > 60
    assert rows[1].latency == pytest.approx(rows[1].median * (3 if batch else 1))


def test_pictures_are_compared_with_what_was_made_beforehand() -> None:
    """The first arm too, and those with depth with another picture than those without."""
    black, grey, pale = (np.full((64, 64, 3), value, np.uint8) for value in (0, 1, 9))
    arms = [Arm("one", lambda request: grey), Arm("other", lambda request: black)]
    arms += [Arm("deep", lambda request: pale, depth=True), Arm("own noise", lambda request: pale, same_noise=False)]
    rows = [Row("m", 64, 1, arm.name) for arm in arms]
    known = {False: black, True: grey}
    ask = lambda index, depth: frames.request(index, 64, 1, depth)  # noqa: E731
    interleave(arms, ask, rows, rounds=1, frames=1, warm=1, references=known)
    assert [row.decibels for row in rows] == [psnr(black, grey), 120.0, psnr(grey, pale), None]
    assert [row.arm for row in void(rows)] == ["deep"] and known.keys() == {False, True}


def test_the_reference_is_in_fp32_without_tf32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    seen: list[tuple[torch.dtype, bool, bool]] = []
    whole = Stock.render

    def render(self: Stock, request: Request) -> Picture:
        tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        seen.append((next(self.pipeline.unet.parameters()).dtype, *tf32))
        return whole(self, request)

    monkeypatch.setattr(Stock, "render", render)
    parts = load(ModelSpec(models.write_small(tmp_path / "m", "sd15")))
    plain, deep = references(parts, CPU, [frames.request(3, 64, 2, depth) for depth in (False, True)])
    assert seen == [(torch.float32, False, False)] * 2 and torch.backends.cudnn.allow_tf32
    assert psnr(plain, deep) < 40, "an arm that left the depth out would not be noticed"
    engine = StableDiffusionLcm(copied(parts), "cpu", torch.float32)
    assert psnr(deep, engine.render(frames.request(3, 64, 2, True)).image) > 60


def test_stock_arms_share_weights_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []
    monkeypatch.setattr(stock_module, "_compile", compiled.append)
    parts = load(ModelSpec(models.write_small(tmp_path / "m", "sd15")))
    tuned = placed(parts, CPU, torch.bfloat16, channels_last=True)
    one, other = (Stock(tuned, CPU, torch.bfloat16, tuned=True, compiled=each) for each in (False, True))
    for name in ("unet", "vae", "text_encoder"):
        pair = [next(getattr(stock.pipeline, name).parameters()) for stock in (one, other)]
        assert pair[0].data_ptr() == pair[1].data_ptr() and pair[0].dtype == torch.bfloat16
    assert one.pipeline.unet is not other.pipeline.unet and other.pipeline.unet in compiled and len(compiled) == 3
    assert one.pipeline.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert next(parts.unet.parameters()).dtype == torch.float32
    deep, plain = frames.request(0, 64, 1, True), frames.request(0, 64, 1, False)
    before = one.render(plain)
    one.render(deep)
    assert np.array_equal(one.render(plain), before)


def test_random_autoencoders_make_pictures(tmp_path: Path) -> None:
    """Neither flat nor black and white, where a difference would not show."""
    parts = load(ModelSpec(models.write_small(tmp_path / "m", "sd15")))
    picture = Stock(parts, CPU, torch.float32).render(frames.request(3, 128, 1, False))
    assert 25 < picture.std() < 90 and 90 < picture.mean() < 165
    assert np.isin(picture, (0, 255)).mean() < 0.1
    weight = parts.vae.decoder.layers[-1].weight
    assert torch.equal(weight.bfloat16().float(), weight)


def test_an_untrained_controlnet_works_and_adds_nothing(tmp_path: Path) -> None:
    parts = load(ModelSpec(models.write_small(tmp_path / "m", "sd15")))
    engine = StableDiffusionLcm(copied(with_controlnet(parts)), "cpu", torch.float32)
    plain, deep = (engine.render(frames.request(0, 64, 1, depth)).image for depth in (False, True))
    assert engine._pipeline.control is not None and np.array_equal(plain, deep)


def test_arms_that_disagree_make_a_run_void() -> None:
    black, grey = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 9, np.uint8)
    arms = [Arm("one", lambda request: black), Arm("other", lambda request: grey)]
    rows = [Row("m", 64, 1, arm.name) for arm in arms]
    interleave(arms, lambda index, depth: frames.request(index, 64, 1, depth), rows, rounds=1, frames=1, warm=1)
    assert [row.arm for row in void(rows)] == ["other"]


def test_an_arm_that_fails_costs_the_others_nothing() -> None:
    def broken(request: object) -> np.ndarray:
        raise RuntimeError("no such kernel\nand more")

    picture = np.zeros((64, 64, 3), np.uint8)
    arms = [Arm("broken", broken), Arm("sound", lambda request: picture)]
    rows = [Row("m", 64, 1, arm.name) for arm in arms]
    interleave(arms, lambda index, depth: frames.request(index, 64, 1, depth), rows, rounds=2, frames=3, warm=1)
    assert rows[0].failed == "RuntimeError: no such kernel" and rows[0].frames == 0
    assert not rows[1].failed and rows[1].frames == 6


def test_what_is_left_out_is_told_in_the_table() -> None:
    row = Row("m", 64, 1, "arm")
    arm = missing("arm", LeftOut("--quick"))
    interleave([arm], lambda index, depth: frames.request(index, 64, 1, depth), [row], rounds=1, frames=1, warm=1)
    assert "| arm | left out: --quick |" in table([row]) and not void([row])


def test_an_arm_that_fails_in_its_turn_costs_the_others_nothing() -> None:
    picture, calls = np.zeros((64, 64, 3), np.uint8), 0

    def breaks(request: Request) -> Picture:
        nonlocal calls
        calls += 1
        if calls > 4:
            raise RuntimeError("out of memory")
        return picture

    arms = [Arm("breaks", breaks), Arm("sound", lambda request: picture)]
    rows = [Row("m", 64, 1, arm.name) for arm in arms]
    interleave(arms, lambda index, depth: frames.request(index, 64, 1, depth), rows, rounds=2, frames=3, warm=1)
    assert rows[0].failed == "RuntimeError: out of memory" and rows[1].frames == 6


def test_a_delayed_picture_counts_as_late() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    arm = Arm("batch", lambda request: picture, delay_frames=lambda request: 3)
    row = Row("m", 64, 4, "batch")
    interleave([arm], lambda index, depth: frames.request(index, 64, 4, depth), [row], rounds=1, frames=3, warm=1)
    assert row.latency == pytest.approx(4 * row.median)


@pytest.mark.alone
def test_frames_made_in_one_go_share_its_time() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    calls: list[float] = []

    def together(requests: list[Request]) -> list[Picture]:
        begun = time.perf_counter()
        time.sleep(0.03 * len(requests))
        calls.append((time.perf_counter() - begun) * 1e3)
        return [picture] * len(requests)

    arm = Arm("four", lambda request: picture, batch=4, together=together, delay_frames=lambda request: 6)
    row = Row("m", 64, 1, "four")
    interleave([arm], lambda index, depth: frames.request(index, 64, 1, depth), [row], rounds=1, frames=8, warm=1)
    assert len(calls) == 2 and row.frames == 8
    assert min(calls) / 4 <= row.median < min(calls), "a share of the call, not the call"
    assert row.latency == pytest.approx(7 * row.median)


@pytest.mark.alone
def test_slow_frames_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "SLOW", 0.02)
    monkeypatch.setattr(measure, "TURN", 0.1)
    picture = np.zeros((64, 64, 3), np.uint8)
    calls = {"slow": 0, "compiles": 0}

    def slow(request: Request) -> Picture:
        calls["slow"] += 1
        time.sleep(0.06)
        return picture

    def compiles(request: Request) -> Picture:
        calls["compiles"] += 1
        time.sleep(0.06 if calls["compiles"] == 1 else 0)
        return picture

    arms = [Arm("slow", slow), Arm("compiles", compiles)]
    rows = [Row("m", 64, 1, arm.name) for arm in arms]
    interleave(arms, lambda index, depth: frames.request(index, 64, 1, depth), rows, rounds=1, frames=8, warm=5)
    assert rows[0].frames == 2 and calls["slow"] == 2 + 1 + 2 + 2, "warm, compared, warm again, timed"
    assert rows[1].frames == 8 and calls["compiles"] == 5 + 1 + 2 + 8, "the first frame is no measure"


def test_bursts_are_evened_out() -> None:
    assert even([0.0, 0.0, 90.0, 0.0, 0.0, 30.0, 5.0], 3) == [30.0, 10.0]
    assert even([4.0, 6.0], 1) == [4.0, 6.0]


def test_figures_and_files(tmp_path: Path) -> None:
    slow, fast = Row("m", 512, 4, "slow", floor=5.0), Row("m", 512, 4, "fast", decibels=50.0, floor=5.0)
    fill(slow, [30.0, 40.0, 50.0])
    fill(fast, [9.0, 10.0, 11.0])
    assert fast.median == 10 and fast.fps == 100 and fast.low == pytest.approx(9.2)
    assert "4.00x" in table([slow, fast]) and "5.0 (2.0x)" in table([slow, fast])
    grown = [Row("m", side, 2, "by size", median=side / 10, low=1, high=side / 8) for side in (256, 512)]
    page = write(tmp_path, "here", {"device": "a device"}, [slow, fast], grown)
    assert "a device" in page.read_text() and (tmp_path / "here.png").is_file()
    data = json.loads((tmp_path / "here.json").read_text())
    assert data["rows"][1]["median"] == 10 and len(data["growth"]) == 2
    assert np.asarray(draw(grown)).min() < 100


def test_arms_are_compared_turn_by_turn() -> None:
    arms = {
        "diffusers, float32": [80.0, 160.0, 320.0],
        "ours, bfloat16": [20.0, 40.0, 80.0],
        "diffusers, bfloat16, depth": [50.0, 100.0, 150.0],
        "ours, bfloat16, depth": [25.0, 50.0, 100.0],
        "ours, whole loop over socket, depth": [30.0, 60.0, 120.0],
    }
    rows = [Row("m", 64, 2, arm, median=50.0, turns=turns) for arm, turns in arms.items()]
    found = [[cell.strip() for cell in line.split("|")][8:10] for line in table(rows).splitlines()[2:]]
    assert found == [["1.00x", "4.00x"], ["4.00x", "1.00x"], ["1.60x", "2.00x"], ["3.20x", "1.00x"], ["2.67x", "1.20x"]]


def test_a_turns_median_is_kept() -> None:
    arms = [Arm("arm", lambda request: np.zeros((64, 64, 3), np.uint8))]
    rows = [Row("m", 64, 1, "arm")]
    interleave(arms, lambda index, depth: frames.request(index, 64, 1, depth), rows, rounds=3, frames=2, warm=1)
    assert len(rows[0].turns) == 3 and min(rows[0].turns) > 0


def test_other_programs_are_told_by_their_share() -> None:
    words = re.fullmatch(r"took (\d+) % of the processors' time meanwhile", str(Others()))
    assert words is not None and 0 <= int(words[1]) <= 100


def test_views_move_and_span_their_depth() -> None:
    (one, near), (other, _) = frames.draft(0, 64), frames.draft(1, 64)
    assert (near.min(), near.max()) == (0, 65535)
    assert (one != other).any()
