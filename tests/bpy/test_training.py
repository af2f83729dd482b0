"""The embedded model's way from a rendered box to a diffusers folder, in a few steps of each stage. bpy and torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tools.training.attributes import ATTRIBUTES, is_held_out
from tools.training.dataset import load_samples

ROOT = Path(__file__).resolve().parents[2]
STEPS = (
    "--autoencoder-steps",
    "2",
    "--sharpen-steps",
    "2",
    "--diffusion-steps",
    "2",
    "--distill-steps",
    "1",
    "--device",
    "cpu",
)


def run(*words: str) -> str:
    """Run a command of the project; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four samples of shard 77, rendered by the command in two goes."""
    folder = tmp_path_factory.mktemp("rendered")
    run("tools.training.render", "77", "2", "--out", str(folder))
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.jpg")}
    run("tools.training.render", "77", "4", "--out", str(folder))
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.jpg")}
    assert before and before.items() <= after.items(), "what was there is passed over"
    return folder


def test_a_sample_is_draft_depth_and_finished_picture_of_one_view(rendered: Path) -> None:
    records = [json.loads(line) for line in (rendered / "077.jsonl").read_text().splitlines()]
    assert len(records) >= 3, "few views are refused"
    for record in records:
        assert not is_held_out(record)
        assert all(record[name] in values for name, values in ATTRIBUTES.items())
        draft, final = (
            np.asarray(Image.open(rendered / f"{record['id']}_{kind}.jpg").convert("RGB")).astype(float)
            for kind in ("draft", "final")
        )
        depth = np.asarray(Image.open(rendered / f"{record['id']}_depth.png"))
        assert draft.shape == final.shape == (256, 256, 3) and depth.shape == (256, 256)
        assert depth.max() == 255, "the nearest surface is white"
        assert np.abs(draft - final).mean() > 5, "the finished picture is another one"
        assert final.std() > 3, "and not empty"


def test_the_same_shard_gives_the_same_samples(rendered: Path, tmp_path: Path) -> None:
    run("tools.training.render", "77", "2", "--out", str(tmp_path))
    for path in tmp_path.glob("*_depth.png"):
        assert path.read_bytes() == (rendered / path.name).read_bytes()
    first = (tmp_path / "077.jsonl").read_text().splitlines()
    assert (rendered / "077.jsonl").read_text().splitlines()[: len(first)] == first


@pytest.mark.slow
def test_train_goes_on_where_it_was_cut_off_and_export_writes_a_model_that_draws(
    rendered: Path, tmp_path: Path
) -> None:
    work, out = tmp_path / "work", tmp_path / "model"
    stages = ("--stage", "autoencoder", "sharpen", "diffusion", "distill")  # the classifier's lie in the checkout
    words = ("tools.training.train", "--data", str(rendered), "--work", str(work), *stages)
    run(*words, *STEPS)
    first = torch.load(work / "diffusion.pt", weights_only=True)["model"]
    more = ("--sharpen-steps", "3", "--diffusion-steps", "3", "--distill-steps", "2")
    run(*words, "--autoencoder-steps", "2", *more, "--device", "cpu")
    second = torch.load(work / "diffusion.pt", weights_only=True)["model"]
    moved = [name for name in first if not torch.equal(first[name], second[name])]
    assert moved, "one step more was made"
    largest = max(float((first[name].float() - second[name].float()).abs().max()) for name in moved)
    assert largest < 0.1, "from the checkpoint on, not from new weights"

    assert "MiB" in run("tools.training.export", "--work", str(work), "--out", str(out))
    from tools.training.stages.sampler import Sampler

    samples = load_samples([str(rendered)])
    pictures = Sampler(out).pictures(["a stone castle"], samples.depths[:1], steps=2)
    assert pictures.shape == (1, 256, 256, 3) and pictures.dtype == np.uint8


@pytest.mark.slow
def test_places_of_parts_are_packed_and_trained_on_by_time(tmp_path: Path) -> None:
    rendered, work, out = tmp_path / "rendered", tmp_path / "work", tmp_path / "model"
    run("tools.training.render", "77", "8", "--parts", "--size", "128", "--out", str(rendered))
    records = [json.loads(line) for line in (rendered / "077.jsonl").read_text().splitlines()]
    assert len(records) >= 5 and all(r["parts"] and r["draft"] for r in records), "few views are refused"
    for record in records:
        draft, final = (
            np.asarray(Image.open(rendered / f"{record['id']}_{kind}.jpg").convert("RGB")).astype(float)
            for kind in ("draft", "final")
        )
        assert draft.shape == final.shape == (128, 128, 3)
        assert np.abs(draft - final).mean() > 3 and final.std() > 3, record
        assert np.asarray(Image.open(rendered / f"{record['id']}_depth.png")).max() == 255
    assert "samples" in run("tools.training.pack", "--data", str(rendered), "--out", str(tmp_path / "pack.tar"))

    words = ("tools.training.train", "--data", str(tmp_path / "pack.tar"), "--work", str(work), "--out", str(out))
    more = ("--minutes", "0.05", "--width", "16", "--crops", "0", "--batches", "0.13", "--device", "cpu")
    assert "sharpness" in run(*words, *more)
    measured = json.loads((work / "sheets" / "measured.json").read_text())
    assert measured["MiB"] < 48 and np.isfinite(list(measured.values())).all()
    assert (work / "sheets" / "kept-0.jpg").exists() and (out / "lcm-lora.safetensors").exists()
    steps = torch.load(work / "diffusion.pt", weights_only=True)["step"]
    run(*words, *more)
    assert torch.load(work / "diffusion.pt", weights_only=True)["step"] == steps, "its time is spent"
