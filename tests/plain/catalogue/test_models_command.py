"""``python -m server models`` as a process of its own, with the real huggingface_hub against a hub on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from addon.wire import Style
from server.catalogue import Catalogue, cache, read_presets
from server.catalogue.cache import HubError
from server.catalogue.pull import pull
from server.catalogue.records import Pulled, Records
from server.engine import StableDiffusionLcm
from tests.plain.catalogue.user import PATIENCE, User, events, until_partial
from tests.plain.engine.conftest import make_request


def test_a_preset_is_pulled_verified_used_and_removed(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.hub.pause = 0.005  # on a fast machine all would be here before there is anything to say
    code, text = user.run("pull", "sd15", "--json")
    user.hub.pause = 0.0
    assert code == 0, text
    told = events(text)
    assert told[-1]["state"] == "done" and told[-2]["done"] == told[-2]["total"] == told[-1]["total"]
    done = [event["done"] for event in told if event["state"] == "pulling"]
    assert done == sorted(done) and len(set(done)) > 4, "progress in bytes that only grows"
    assert not any(name.endswith((".bin", ".md")) for name in user.hub.asked), "only what may be opened is fetched"
    unets = [name for name in user.hub.asked if "/unet/" in name and name.endswith(".safetensors")]
    assert unets == ["Lykon/dreamshaper-7/unet/diffusion_pytorch_model.fp16.safetensors"], "fp16 alone"

    fetched = len(user.hub.asked)
    assert "everything was here already" in user.run("pull", "sd15")[1]
    assert len(user.hub.asked) == fetched, "nothing is downloaded twice"
    assert user.run("verify", "sd15")[0] == 0
    assert "sd15                     model    SD1.5     here" in user.run("list")[1]
    assert user.run("pull", "sd15", HF_HUB_OFFLINE="1")[0] == 0, "all is here: no need of the hub"

    check_that_it_draws(user, monkeypatch)

    code, text = user.run("remove", "sd15")
    assert code == 0, text
    assert user.weights() == [] and user.blobs() == []
    assert "GB to download" in user.run("list")[1]


def check_that_it_draws(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load what was pulled, by a huggingface_hub that knows this cache, and draw with its ControlNet."""
    monkeypatch.setattr(constants, "HF_HOME", str(user.home / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(user.home / "hf" / "hub"))
    spec = Catalogue(user.home / "models").model("sd15")
    assert len(spec.loras) == 1 and spec.vae and spec.control, spec
    engine = StableDiffusionLcm.load(spec, "cpu")
    assert engine.control == "lllyasviel/control_v11f1p_sd15_depth"
    assert engine.render(make_request(1.0, strength=0.6, steps=2)).image.shape == (64, 64, 3)
    monkeypatch.undo()


def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(user: User) -> None:
    user.hub.break_after = 15 << 20
    code, text = user.run("pull", "sd15")
    assert code == 0, text
    assert user.hub.break_after is None, "it was cut"
    assert [asked for asked in user.hub.ranges if not asked.startswith("bytes=0")], "and asked for the rest only"
    assert user.run("verify", "sd15")[0] == 0


def test_what_was_fetched_before_a_failure_is_kept(user: User) -> None:
    user.hub.corrupt = "diffusion_pytorch_model.safetensors"  # of the autoencoder, which comes late
    code, text = user.run("pull", "sd15")
    assert code == 1 and "its checksum is not the publisher's; pull again" in text
    before = list(user.hub.asked)
    assert "GB to download" in user.run("list")[1], "not whole is not here"
    user.hub.corrupt = ""
    assert user.run("pull", "sd15")[0] == 0
    again = user.hub.asked[len(before) :]
    assert again and not any("/unet/" in name for name in again), "what was whole is not fetched again"
    assert user.run("remove", "sd15")[0] == 0
    assert user.blobs() == [], "what the first try fetched counts as fetched"


@pytest.mark.parametrize("honoured", [True, False], ids=["ranges", "no ranges"])
def test_a_pull_that_is_killed_in_mid_file_is_taken_up_where_it_was(user: User, honoured: bool) -> None:
    user.hub.hold_after, user.hub.honour_ranges = 12 << 20, honoured  # only the UNet is longer
    process = user.start("pull", "sd15", "--json")
    until_partial(user, process)
    process.kill()
    process.communicate(timeout=PATIENCE)
    (partial,) = user.partials()
    came = partial.stat().st_size
    assert "GB to download" in user.run("list")[1], "half a model is none"
    assert not any("incomplete" in name for name in user.weights())

    user.hub.hold_after = None
    user.hub.ranges.clear()
    code, text = user.run("pull", "sd15", "--json")
    assert code == 0, text
    assert user.hub.ranges == [f"bytes={came}-"], "only the rest of the file is asked for"
    done = [event["done"] for event in events(text) if event["state"] == "pulling" and event["total"]]
    assert done == sorted(done) and done[-1] == events(text)[-2]["total"]
    assert user.partials() == [] and user.run("verify", "sd15")[0] == 0
    assert user.run("remove", "sd15")[0] == 0
    assert user.blobs() == [], "what came before it was killed counts as fetched, too"


def test_a_pull_that_was_killed_can_be_removed(user: User) -> None:
    user.hub.hold_after = 12 << 20
    process = user.start("pull", "sd15", "--json")
    until_partial(user, process)
    for words in (("remove", "sd15"), ("verify", "sd15")):
        code, text = user.run(*words)
        assert code == 1 and "another program is at work on sd15: wait until it has ended" in text
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert user.run("remove", "sd15")[0] == 0
    assert user.blobs() == []


def test_a_disk_that_is_too_full_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "free_bytes", lambda: 10**9)
    for name in ("HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.setattr(cache.constants, name, str(tmp_path / "hub"))
    listed = [Pulled("base", "a/b", "0" * 40, "x.safetensors", 3 * 10**9, "0" * 64)]
    with pytest.raises(HubError, match=r"sd15 needs 3\.0 GB more, but the disk .* has 1\.0 GB free: make room"):
        pull(read_presets()["sd15"], Records(tmp_path), lambda *_: None, lambda part: listed * (part.role == "base"))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["sd15.lock"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to catch there")
def test_a_cancelled_pull_leaves_nothing(user: User) -> None:
    user.hub.pause = 0.1
    process = user.start("pull", "sd15", "--json")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["done"] > 1 << 17:
            break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert events(out)[-1]["state"] == "cancelled", out + err
    assert process.returncode == 130
    assert user.weights() == [] and user.blobs() == [], "neither half a file nor half a model"


def test_a_damaged_file_is_found_and_fetched_again(user: User) -> None:
    assert user.run("pull", "sd15")[0] == 0
    victim = next(path for path in user.blobs() if path.stat().st_size > 1 << 16)
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    code, text = user.run("verify", "sd15")
    assert code == 1 and "was damaged" in text and "pull it again" in text
    assert user.run("pull", "sd15")[0] == 0
    assert user.run("verify", "sd15")[0] == 0


def test_offline_says_what_is_missing(user: User) -> None:
    code, text = user.run("pull", "sd15", HF_HUB_OFFLINE="1")
    assert code == 1 and "downloads are off (HF_HUB_OFFLINE)" in text
    assert user.run("pull", "sd15")[0] == 0
    next(path for path in user.files() if path.name == "pytorch_lora_weights.safetensors").unlink()
    code, text = user.run("pull", "sd15", HF_HUB_OFFLINE="1")
    assert code == 1 and "pytorch_lora_weights.safetensors" in text


def test_a_hub_that_cannot_be_reached_is_one_sentence(user: User) -> None:
    code, text = user.run("pull", "sd15", HF_ENDPOINT="http://127.0.0.1:9")
    assert code == 1 and "cannot be reached" in text and "Traceback" not in text
    assert len(text.strip().splitlines()) == 1


def test_a_file_that_another_tool_has_fetched_is_used_and_stays(user: User) -> None:
    part = next(part for part in read_presets()["sd15"].parts if part.role == "vae")
    fetch = f"from huggingface_hub import hf_hub_download as d; d({part.repo!r}, 'config.json', revision='main')"
    subprocess.run([sys.executable, "-c", fetch], env=user.environment(), check=True, timeout=PATIENCE)
    assert user.run("pull", "sd15")[0] == 0
    assert user.hub.asked.count(f"{part.repo}/config.json") == 1
    assert user.run("remove", "sd15")[0] == 0
    assert len(user.blobs()) == 1, "what this model did not fetch is not its to delete"


@pytest.mark.parametrize("words", [("pull", "../../etc"), ("pull", "sd16"), ("remove", "embedded"), ("remove", "sd15")])
def test_what_cannot_be_done_is_one_sentence(user: User, words: tuple[str, str]) -> None:
    code, text = user.run(*words)
    assert code == 1 and words[1] in text and "Traceback" not in text


def test_presets_name_what_people_decide_by() -> None:
    presets = read_presets()
    assert {"embedded", "sd15", "sdxl"} <= presets.keys()
    for preset in presets.values():
        assert preset.title and preset.licence and preset.sentence and preset.memory_gb > 0
        assert bool(preset.parts) == (preset.download_gb > 0)
        assert all(len(part.revision) == 40 for part in preset.parts), "pinned to a commit"
        Style(steps=preset.steps, guidance=preset.guidance, strength=preset.strength)
    assert "forbids commercial use" in presets["sdxl-turbo"].sentence
    assert "restricts commercial use" in presets["sd-turbo"].sentence
    assert all("control" in {part.role for part in presets[name].parts} for name in ("sd15", "sdxl"))


def test_a_wrong_presets_file_names_preset_and_fault(tmp_path: Path) -> None:
    path = tmp_path / "presets.toml"
    path.write_text('[x]\ntitle = "X"\nfamily = ""\nlicence = ""\nsentence = ""\ncolour = "red"\n')
    with pytest.raises(ValueError, match=r"preset 'x' in .*colour"):
        read_presets(path)


@pytest.mark.parametrize("most", [0, 1 << 16])
def test_a_disk_that_takes_nothing_more_is_one_sentence(user: User, most: int) -> None:
    """Found out while the record is written, or a file: other programs may fill a disk that had room before."""
    resource = pytest.importorskip("resource")  # not on Windows
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        process = user.start("pull", "sd15")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    assert "File too large" in err.splitlines()[-1] and "Traceback" not in err, err
    assert out == ""
    assert not [path for path in user.files() if path.suffix == f".{process.pid}"]
