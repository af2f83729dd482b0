"""The hub's cache is shared: with other programs, other folders of models, other presets, and a second pull."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plain.catalogue.user import PARTS, PATIENCE, ROOT, User, events, until_partial


def test_another_folder_of_models_knows_what_was_pulled(user: User, tmp_path: Path) -> None:
    assert user.run("pull", "sd15")[0] == 0
    fetched = len(user.hub.asked)
    code, text = user.run("--models-dir", str(tmp_path / "elsewhere"), "list")
    assert code == 0 and "sd15                     model    SD1.5     here" in text
    code, text = user.run("--models-dir", str(tmp_path / "elsewhere"), "pull", "sd15", HF_HUB_OFFLINE="1")
    assert code == 0 and "everything was here already" in text
    assert len(user.hub.asked) == fetched


def test_what_another_program_has_fetched_whole_is_here_offline_and_not_ours_to_remove(user: User) -> None:
    assert user.run("pull", "sd15")[0] == 0
    shutil.rmtree(user.home / "hf" / "draftglass")  # as if another program had fetched it all
    assert "sd15                     model    SD1.5     here" in user.run("list", HF_HUB_OFFLINE="1")[1]
    assert user.run("verify", "sd15", HF_HUB_OFFLINE="1")[0] == 0
    code, text = user.run("remove", "sd15")
    assert code == 1 and "was fetched by another program" in text
    assert user.weights()
    assert "everything was here already" in user.run("pull", "sd15", HF_HUB_OFFLINE="1")[1]
    assert user.run("remove", "sd15")[0] == 0 and user.weights(), "still not this model's"

    next(path for path in user.files() if path.parent.name == "unet" and path.suffix == ".safetensors").unlink()
    assert "GB to download" in user.run("list")[1], "a part of it is not it"


@pytest.mark.parametrize(
    "words", ["{oops", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 5}}', '{"weight_map": {"a": "gone"}}']
)
def test_a_damaged_list_of_shards_is_no_whole_model(user: User, words: str) -> None:
    part = PARTS["control"]
    folder = user.home / "hf" / "hub" / f"models--{part.repo.replace('/', '--')}" / "snapshots" / part.revision
    folder.mkdir(parents=True)
    for name in ("config.json", "diffusion_pytorch_model.safetensors"):
        (folder / name).write_text("{}")
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(words)
    program = """
from dataclasses import replace
from server.catalogue import cache, read_presets
part = next(part for part in read_presets()["sd15"].parts if part.role == "control")
print("found", len(cache.in_cache(replace(part, files=(*part.files, "*.index.json")))))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=user.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "found 0\n"


def test_a_second_pull_waits_for_the_first_and_says_so(user: User) -> None:
    user.hub.hold_after = 12 << 20
    first = user.start("pull", "sd15", "--json")
    until_partial(user, first)
    second = user.start("pull", "sd15", "--json")
    assert second.stdout is not None
    assert "another program is at work on sd15: waiting for it" in second.stdout.readline()
    user.hub.hold_after = None
    first.communicate(timeout=PATIENCE)
    out, err = second.communicate(timeout=PATIENCE)
    assert first.returncode == second.returncode == 0, err
    assert "everything was here already" in str(events(out)[-1]["sentence"])
    assert len(user.hub.asked) == len(set(user.hub.asked)), "each file once"


def test_a_small_file_that_was_changed_is_found(user: User) -> None:
    assert user.run("pull", "sd15")[0] == 0
    victim = next(path for path in user.files() if path.name == "model_index.json").resolve()
    data = victim.read_bytes()
    victim.write_bytes(data.replace(b"C", b"c", 1))
    code, text = user.run("verify", "sd15")
    assert code == 1 and "model_index.json was damaged" in text
    assert user.run("pull", "sd15")[0] == 0 and user.run("verify", "sd15")[0] == 0


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_a_shared_file_goes_with_the_last_that_needs_it(user: User, order: tuple[str, str]) -> None:
    program = f"""
from dataclasses import replace
from server.catalogue import cache, read_presets
from server.catalogue.pull import pull, remove
from server.catalogue.records import Records
sd15 = read_presets()["sd15"]
parts = {{part.role: part for part in sd15.parts}}
presets = {{
    "one": replace(sd15, name="one", parts=(replace(parts["control"], role="base"), parts["vae"])),
    "two": replace(sd15, name="two", parts=(replace(parts["lora"], role="base"), parts["vae"])),
}}
records = Records(cache.records_folder())
for preset in presets.values():
    pull(preset, records, lambda *_: None)
for name in {order!r}:
    remove(presets[name], records)
    print("left", sum(path.is_file() for path in cache.records_folder().parent.glob("hub/*/blobs/*")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=user.environment(), capture_output=True, text=True, check=True
    )
    left = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("left")]
    assert left[0] > 0 and left[1] == 0, done.stdout


def test_a_newer_revision_takes_the_place_of_the_older(user: User, tmp_path: Path) -> None:
    repo = "latent-consistency/lcm-lora-sdv1-5"
    copy = shutil.copytree(user.hub.folders[repo], tmp_path / "changed")
    user.hub.folders = {**user.hub.folders, repo: copy}
    changed = copy / "pytorch_lora_weights.safetensors"
    program = f"""
import json, os
from dataclasses import replace
from pathlib import Path
from server.catalogue import cache, read_presets
from server.catalogue.pull import is_here, pull, remove
from server.catalogue.records import Records
old = read_presets()["sd15"]
new = replace(old, parts=tuple(replace(part, revision="b" * 40) for part in old.parts))
records = Records(cache.records_folder())
def count():
    root = cache.records_folder().parent / "hub"
    names = [Path(folder, name) for folder, _, files in os.walk(root) for name in files]
    blobs = [path for path in names if path.parent.name == "blobs"]
    return [len(blobs), sum(part.revision in str(path) for path in names for part in old.parts[:1])]
pull(old, records, lambda *_: None)
print(count())
file = Path({str(changed)!r})
file.write_bytes(file.read_bytes()[:-4] + b"new!")
asked = pull(new, records, lambda *_: None)
print(count(), is_here(new, records))
remove(new, records)
print(count())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=user.environment(), capture_output=True, text=True, check=True
    )
    first, second, third = done.stdout.splitlines()
    files = json.loads(first)[0]
    assert json.loads(first)[1] > 0
    assert second == f"[{files}, 0] True", "the older one's changed file is gone, and what both have is there once"
    assert third == "[0, 0]"


def test_a_console_that_knows_few_letters(user: User) -> None:
    loras = user.home / "models" / "loras"
    loras.mkdir(parents=True)
    (loras / "水墨画.safetensors").write_bytes(b"no model")
    for coding in ("cp1252", "ascii"):
        code, text = user.run("list", PYTHONIOENCODING=coding)
        assert code == 0 and "Traceback" not in text and "???" in text


def test_a_folder_of_models_that_is_a_file(user: User) -> None:
    path = user.home / "models.txt"
    path.write_text("")
    code, text = user.run("--models-dir", str(path), "list")
    assert code == 2 and "which is a file: give a folder" in text and "Traceback" not in text
