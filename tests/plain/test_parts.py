"""Samples whose captions name parts: what is chosen, said, labelled, packed, and how long a stage runs. No bpy."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tools.training.attributes import ATTRIBUTES
from tools.training.captions import WAYS
from tools.training.checkpoints import Course
from tools.training.dataset import Samples, is_for_training, load_samples
from tools.training.pack import pack
from tools.training.parts import COLOURS, HEADS, PARTS, PLACES, WORDS, caption_of, choose, compose_parts
from tools.training.stages.diffusion import window


def some(count: int) -> list[dict[str, Any]]:
    """Records as the renderer writes them."""
    return [{"id": f"030_{k:05d}", **choose(random.Random(k))} for k in range(count)]


def test_a_place_has_its_parts_and_what_is_painted_has_a_colour() -> None:
    seen = set()
    for record in some(300):
        assert tuple(record["parts"]) == PLACES[record["place"]]
        assert all(name in PARTS[part] for part, name in record["parts"].items())
        assert {part for part, name in record["parts"].items() if name == "painted"} <= set(record["colours"])
        if record["parts"].get("ground") == "snow":
            assert record["parts"].get("trees", "bare") in ("snowy", "bare"), "nothing is green on snow"
        seen |= {(part, name) for part, name in record["parts"].items()}
    assert set(ATTRIBUTES["buildings"]) <= set(PARTS["walls"]) and set(ATTRIBUTES["ground"]) <= set(PARTS["ground"])
    assert len(seen) > 0.9 * sum(map(len, PARTS.values())), "all of them come up"


def test_captions_say_what_is_there_and_nothing_else() -> None:
    ways = [word for told in (WAYS, WORDS) for name, others in told.items() for word in (name, *others)]
    elsewhere = {word for way in ways for word in way.split()}  # "a pink dawn" is no paint
    for record in some(60):
        painted = set(record["colours"].values())
        said = [compose_parts(record, random.Random(k)) for k in range(12)]
        words = {word for caption in said for word in caption.replace(",", "").split()}
        assert words & set(COLOURS) <= painted | elsewhere
        assert any(record["place"] in caption for caption in said)
        assert not any("  " in caption or ", ," in caption or caption.endswith(",") for caption in said)


def test_the_words_of_the_first_generation_go_on_working() -> None:
    parts = {"walls": "stone brick", "roofs": "slate", "ground": "snow"}
    record = {"place": "castle", "parts": parts, "colours": {}, "sky": "dawn", "medium": "watercolor"}
    captions = [caption_of(record, random.Random(k)) for k in range(60)]
    assert sum("roofs" not in caption and " on " in caption for caption in captions) > 2
    assert sum("walls" in caption for caption in captions) > 20, "and parts are named"
    old = {"buildings": "ice", "ground": "sand", "sky": "fog", "medium": "render"}
    assert caption_of(old, random.Random(1)), "and so do its records"


def test_what_a_sample_has_not_has_no_label_and_held_out_pairs_stay_so() -> None:
    records = some(40)
    plane = np.zeros((40, 8, 8), np.uint8)
    samples = Samples(np.repeat(plane[..., None], 3, 3), plane, np.repeat(plane[..., None], 3, 3), records)
    labels = samples.labels(HEADS)
    for row, record in enumerate(records):
        for column, (head, values) in enumerate(HEADS.items()):
            told = record.get(head) if head in record else record["parts"].get(head)
            assert labels[row, column] == (values.index(told) if told else -1)
    first = {"id": "030_00003", "buildings": "ice", "ground": "asphalt"}
    assert not is_for_training(first) and is_for_training({"id": "030_00003", "place": "room"})


def test_a_pack_is_read_as_it_was_and_is_no_larger_than_asked(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    blocks = np.kron(rng.integers(20, 235, (6, 4, 4, 3)), np.ones((1, 32, 32, 1)))
    noise = (blocks + rng.normal(0, 6, blocks.shape)).clip(0, 255).astype(np.uint8)
    samples = Samples(noise[::-1].copy(), noise[..., 0].copy(), noise, some(6))
    best = pack(samples, tmp_path / "best.tar", 60)
    again = load_samples([tmp_path / "best.tar"])
    assert again.records == samples.records and np.array_equal(again.depths, samples.depths)
    assert np.abs(again.finals.astype(int) - noise).mean() < 8
    small = (tmp_path / "best.tar").stat().st_size / 2**20 * 0.93
    assert pack(samples, tmp_path / "small.tar", small) < best
    assert (tmp_path / "small.tar").stat().st_size <= small * 2**20
    with pytest.raises(ValueError, match=r"6 samples take 0\.\d MiB, but 0.01 are the most: take \d"):
        pack(samples, tmp_path / "none.tar", 0.01)


def test_a_stage_goes_on_from_its_checkpoint_by_steps_or_by_time(tmp_path: Path) -> None:
    weights = torch.nn.Linear(2, 2)

    def made(course: Course) -> list[int]:
        course.resume(tmp_path / "stage.pt", weights=weights)
        return list(course.run("stage", lambda: course.save(tmp_path / "stage.pt", weights=weights)))

    assert made(Course(steps=3)) == [0, 1, 2] and made(Course(steps=5)) == [3, 4] and made(Course(steps=5)) == []
    timed = Course(seconds=0.05)
    assert made(timed)[0] == 5 and timed.progress == 1.0
    assert made(Course(seconds=0.05)) == [], "the time of earlier runs counts"
    with pytest.raises(ValueError, match="steps is 3 and seconds is 2, but one of them"):
        Course(steps=3, seconds=2)


def test_large_pictures_are_seen_in_other_sizes_and_aspects_too() -> None:
    latents, depths = torch.arange(64.0 * 64).reshape(1, 1, 64, 64), torch.full((1, 512, 512), 100, dtype=torch.uint8)
    shapes = set()
    for seed in range(40):
        part, depth = window(latents, depths, torch.Generator().manual_seed(seed))
        assert depth.shape[1:] == (8 * part.shape[2], 8 * part.shape[3]) and depth.max() == 255
        shapes.add(tuple(part.shape[2:]))
    assert {(64, 64), (32, 64), (64, 32)} <= shapes
    assert window(latents[..., :32, :32], depths[:, :256, :256], torch.Generator())[0].shape[-1] == 32
