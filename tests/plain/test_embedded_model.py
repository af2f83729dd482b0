"""The embedded model and what trains it. torch, diffusers and transformers; no bpy."""

from __future__ import annotations

import io
import json
import random
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from addon.wire import Control, Frame, Request, Style
from tools.training.attributes import ATTRIBUTES, HELD_OUT
from tools.training.captions import FILLERS, WAYS, compose, nonsense, plain
from tools.training.dataset import is_for_training, load_samples, scene_of
from tools.training.measures import accuracies, frechet, structure

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "server" / "models" / "embedded"
LIMIT = 32 * 2**20


def record(number: int = 1, shard: int = 10, **changes: str) -> dict:
    return {
        "id": f"{shard:03d}_{number:05d}",
        "buildings": "ice",
        "ground": "grass",
        "sky": "noon",
        "medium": "render",
        **changes,
    }


def test_the_model_takes_32_mib_at_most_and_no_pickles() -> None:
    files = [path for path in MODEL.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LIMIT
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".ckpt", ".pkl")]


@pytest.fixture(scope="module")
def pipeline():
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(MODEL, local_files_only=True)
    pipe.load_lora_weights(MODEL, weight_name="lcm-lora.safetensors")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe, prompt: str, **options) -> np.ndarray:
    generator = torch.Generator().manual_seed(5)
    picture = pipe(
        prompt, num_inference_steps=2, guidance_scale=1.0, generator=generator, output_type="np", **options
    ).images[0]
    return picture.astype(np.float32)


def test_the_stock_pipeline_draws_at_256(pipeline) -> None:
    picture = draw(pipeline, "a golden castle on snow at noon, render", height=256, width=256)
    assert picture.shape == (256, 256, 3) and np.isfinite(picture).all() and picture.std() > 0.03


def test_the_picture_follows_the_prompt(pipeline) -> None:
    noon = draw(pipeline, "a white plaster castle on snow at noon, render")
    night = draw(pipeline, "a lava rock castle on asphalt at night, render")
    assert noon.mean() > night.mean() + 0.1


def test_words_that_it_never_saw_do_little_harm(pipeline) -> None:
    known = draw(pipeline, "a red brick castle on grass at noon, render")
    strange = draw(pipeline, "a red brick castle on grass at noon, render, zwölf quokkas 東京")
    other = draw(pipeline, "a ice castle on water at night, pencil sketch")
    assert np.abs(known - strange).mean() < 0.6 * np.abs(known - other).mean()


def test_every_word_has_tokens(pipeline) -> None:
    tokenizer = pipeline.tokenizer
    for text in ("xylophone", "Zürich", "東京", "a_b-c 42!", "🏰"):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert ids and tokenizer.unk_token_id not in ids
    assert max(tokenizer("word " * 500, truncation=True).input_ids) < pipeline.text_encoder.config.vocab_size


def test_the_stock_image_and_adapter_pipelines_take_the_parts(pipeline) -> None:
    from diffusers import StableDiffusionAdapterPipeline, StableDiffusionImg2ImgPipeline, T2IAdapter

    parts = {k: v for k, v in pipeline.components.items() if k != "image_encoder"}
    draft = Image.fromarray(np.full((256, 256, 3), 90, np.uint8))
    to_image = StableDiffusionImg2ImgPipeline(**parts, requires_safety_checker=False)
    to_image.set_progress_bar_config(disable=True)
    assert draw(to_image, "a golden castle", image=draft, strength=0.9).shape == (256, 256, 3)
    adapter = T2IAdapter.from_pretrained(MODEL / "adapter", local_files_only=True)
    with_depth = StableDiffusionAdapterPipeline(**parts, adapter=adapter, requires_safety_checker=False)
    with_depth.set_progress_bar_config(disable=True)
    flat = Image.fromarray(np.zeros((256, 256, 3), np.uint8))
    ramp = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[:, None, None].repeat(256, 1), 3, 2))
    far = draw(with_depth, "a golden castle on grass at noon, render", image=flat)
    near = draw(with_depth, "a golden castle on grass at noon, render", image=ramp)
    assert np.abs(far - near).mean() > 0.02


def test_lower_strength_keeps_more_of_the_drafts_colours() -> None:
    from server.engine import StableDiffusionLcm

    engine = StableDiffusionLcm.load(MODEL, "cpu", dtype=torch.float32)
    depth = np.full((256, 256), 20000, np.uint16)
    depth[96:200, 64:192] = 65535
    distances: list[float] = []
    for strength in (0.5, 0.7, 0.9):
        apart = []
        for colour in ((200, 60, 50), (60, 170, 70), (50, 80, 200)):
            draft = np.full((256, 256, 3), 128, np.uint8)
            draft[96:200, 64:192] = colour
            style = Style("a wooden plank tower on sand at dawn", strength=strength, controls=(Control("depth", 1.0),))
            picture = engine.render(Request(Frame(0, draft, depth), style)).image
            apart.append(np.abs(picture.astype(float) - draft).mean())
        distances.append(float(np.mean(apart)))
    engine.close()
    assert distances[0] + 3 < distances[1] < distances[2] - 3, distances


def test_captions_name_what_they_should() -> None:
    rng = random.Random(0)
    texts = [compose(record(), rng) for _ in range(300)]
    ways = {
        key: (record()[key], *(way for way in WAYS[record()[key]] if way)) for key in ("buildings", "ground", "sky")
    }
    for text in texts:
        assert all(any(way in text for way in said) for said in ways.values()), text
    assert len(set(texts)) > 250 and any(word in " ".join(texts) for word in FILLERS)
    assert set(WAYS) == {value for values in ATTRIBUTES.values() for value in values}
    assert nonsense(rng).isalpha() and "ice" in plain(record())


def test_held_out_pairs_and_kept_scenes_stay_out_of_training() -> None:
    for buildings, ground in HELD_OUT:
        assert not is_for_training(record(buildings=buildings, ground=ground))
    assert not is_for_training(record(shard=900)) and not is_for_training(record(number=0))
    numbers = [n for n in range(400) if is_for_training(record(n))]
    assert 350 < len(numbers) < 390
    assert all((n ^ 1) in numbers for n in numbers), "the two samples of a scene fall on the same side"
    assert scene_of("010_00043") == (10, 21)


def write_samples(folder: Path, count: int) -> None:
    lines = []
    for k in range(count):
        r = record(k)
        image = Image.fromarray(np.full((16, 16, 3), k, np.uint8))
        for plane in ("draft.jpg", "final.jpg"):
            image.save(folder / f"{r['id']}_{plane}")
        image.convert("L").save(folder / f"{r['id']}_depth.png")
        lines.append(json.dumps(r))
    (folder / "010.jsonl").write_text("\n".join(lines))


def test_samples_come_from_folders_and_tar_shards_alike(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_samples(folder, 3)
    (folder / "010_00002_depth.png").unlink()
    tar = tmp_path / "shard.tar"
    with tarfile.open(tar, "w") as archive:
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            info = tarfile.TarInfo(f"data/{path.name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    from_folder, from_tar = load_samples([folder]), load_samples([tar])
    assert [r["id"] for r in from_folder.records] == ["010_00000", "010_00001"], "an incomplete sample is left out"
    assert np.array_equal(from_folder.finals, from_tar.finals) and from_folder.records == from_tar.records
    assert from_folder.labels().tolist() == [[9, 0, 0, 0]] * 2
    with pytest.raises(ValueError, match="no complete sample"):
        load_samples([tmp_path / "folder" / ".."])


def test_the_measures_measure() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((500, 4)), rng.standard_normal((500, 4)) + 2
    assert frechet(a, a) == pytest.approx(0, abs=1e-6) and frechet(a, b) == pytest.approx(16, rel=0.15)
    depth = np.zeros((1, 32, 32), np.uint8)
    depth[:, :, 16:] = 200
    follows, flat = np.repeat(depth[..., None], 3, 3), np.zeros((1, 32, 32, 3), np.uint8)
    assert structure(follows, depth) == 1 and structure(flat, depth) == 0
    labels = np.zeros((4, 4), int)
    labels[0] = 1
    assert accuracies(labels, np.zeros((4, 4), int))["sky"] == 0.75
