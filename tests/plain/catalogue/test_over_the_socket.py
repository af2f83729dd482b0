"""Tests of downloads asked for over the WebSocket: a real server, the real command, a hub on this machine."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from addon.problems.serving import ModelBusy, ModelInUse, ModelKept, ModelMissing, NotDownloading
from addon.wire import (
    CancelPull,
    Entry,
    Failure,
    ListModels,
    LoadModel,
    Message,
    ModelProgress,
    Models,
    Picture,
    PullModel,
    RemoveModel,
    Status,
    VerifyModel,
)
from server.engine import StableDiffusionLcm
from tests.plain.catalogue.hub_server import PATIENT, Hub
from tests.plain.catalogue.test_user_files import lora_for
from tests.plain.checkpoints import make_sd15
from tests.plain.server.engines import Lent, Report
from tests.plain.server.rig import Client, make_request, serving, wait_for


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StableDiffusionLcm]:
    engine = StableDiffusionLcm.load(make_sd15(tmp_path_factory.mktemp("model") / "small", lora="diffusers"), "cpu")
    yield engine
    engine.close()


@pytest.fixture
def home(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, for the processes that the server starts; both ends use the hub on this machine."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    for name, value in PATIENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    return tmp_path


def entry(client: Client, name: str) -> Entry:
    client.send(ListModels())
    return next(entry for entry in client.until(Models).entries if entry.name == name)


def to_the_end(client: Client) -> list[ModelProgress]:
    """What is said of a task, up to its last word."""
    said = [client.until(ModelProgress)]
    while said[-1].state in ("pulling", "verifying"):
        said.append(client.until(ModelProgress))
    return said


def test_a_preset_is_pulled_checked_loaded_and_removed(engine: StableDiffusionLcm, hub: Hub, home: Path) -> None:
    with serving(Lent(engine).load, models_dir=home / "models") as (address, _), address.client() as client:
        before = entry(client, "sd15")
        assert not before.installed and before.licence and before.download_bytes > 0
        hub.pause = 0.01
        client.send(PullModel("sd15"))
        said = to_the_end(client)
        hub.pause = 0.0
        assert said[-1].state == "done", said[-1].sentence
        done = [one.done for one in said if one.total]
        assert done == sorted(done) and 0 < done[0] <= done[-1] == said[-1].done
        listed = next(one for one in client.until(Models).entries if one.name == "sd15")
        assert listed.installed and listed.removable and listed.download_bytes == 0

        client.send(VerifyModel("sd15"))
        assert to_the_end(client)[-1].state == "done"
        client.send(LoadModel("sd15"))
        while (told := client.until(Status)).code or told.model == engine.name:
            assert told.code != ModelKept.code, told.sentence
        client.send(make_request(1))
        assert client.until(Picture).model == told.model

        client.send(RemoveModel("sd15"))
        assert client.until(Failure).code == ModelInUse.code
        client.send(LoadModel("embedded"))
        while client.until(Status).model != "embedded":
            pass
        client.send(RemoveModel("sd15"))
        assert to_the_end(client)[-1].state == "done"
        assert not entry(client, "sd15").installed
        assert not list((home / "hf" / "hub").rglob("*.safetensors"))


def test_a_cancelled_pull_leaves_no_half_model(engine: StableDiffusionLcm, hub: Hub, home: Path) -> None:
    with serving(Lent(engine).load, models_dir=home / "models") as (address, _), address.client() as client:
        client.send(CancelPull("sd15"))
        assert client.until(Failure).code == NotDownloading.code
        hub.pause = 0.1
        client.send(PullModel("sd15"))
        while not client.until(ModelProgress).done:
            pass
        client.send(PullModel("sd15"))
        assert (failure := client.until(Failure)).code == ModelBusy.code and failure.fields["task"] == "download"
        client.send(CancelPull("sd15"))
        assert to_the_end(client)[-1].state == "cancelled"
        hub.pause = 0.0
        assert not entry(client, "sd15").installed
        left = [path for path in (home / "hf" / "hub").rglob("*") if path.suffix in (".safetensors", ".incomplete")]
        assert left == []


@pytest.mark.parametrize("message", [PullModel("../x"), RemoveModel("embedded/.."), VerifyModel("x"), CancelPull("x")])
def test_a_name_that_is_not_in_the_list_is_refused(engine: StableDiffusionLcm, home: Path, message: Message) -> None:
    with serving(Lent(engine).load, models_dir=home / "models") as (address, _), address.client() as client:
        client.send(message)
        failure = client.until(Failure)
        assert (failure.code, failure.id) == (ModelMissing.code, None)
        assert "choose one of embedded, sd15" in failure.sentence


def test_what_another_model_has_parts_of_is_in_use(engine: StableDiffusionLcm, hub: Hub, home: Path) -> None:
    own = home / "models" / "checkpoints" / "mine"
    shutil.copytree(hub.folders["Lykon/dreamshaper-7"], own)
    config = own / "unet" / "config.json"
    config.write_text(config.read_text().replace('"cross_attention_dim": 32', '"cross_attention_dim": 768'))
    with serving(Lent(engine).load, models_dir=home / "models") as (address, worker), address.client() as client:
        client.send(PullModel("sd15"))
        assert to_the_end(client)[-1].state == "done"
        begun, go = threading.Event(), threading.Event()

        def load(report: Report) -> Lent:
            begun.set()
            assert go.wait(600)
            return Lent(engine)

        for wish in ("mine", "sd15"):  # not yet the one that serves, but soon
            begun.clear()
            go.clear()
            worker.switch(wish, load)
            assert begun.wait(600)
            client.send(RemoveModel("sd15"))
            said = client.until(Failure)
            go.set()
            assert said.code == ModelInUse.code
            assert said.fields == {"model": "sd15", "user": "mine" if wish == "mine" else ""}
            wait_for(lambda wish=wish: worker.model == wish)  # type: ignore[misc]
        client.send(RemoveModel("sd15"))
        assert client.until(Failure).code == ModelInUse.code


@pytest.mark.parametrize(("count", "left_out"), [(300, 0), (2100, True)])
def test_many_files_of_the_users(engine: StableDiffusionLcm, home: Path, count: int, left_out: int) -> None:
    loras = home / "models" / "loras"
    loras.mkdir(parents=True)
    save_file(lora_for(768), loras / "0.safetensors")
    for index in range(1, count):
        (loras / f"{index} {'水墨画' * 20}.safetensors").symlink_to(loras / "0.safetensors")
    with serving(Lent(engine).load, models_dir=home / "models") as (address, _), address.client() as client:
        client.send(ListModels())
        models = client.until(Models)
        listed = sum(entry.kind == "lora" for entry in models.entries)
        assert listed + models.left_out == count
        assert listed > 900 if left_out else listed == 300


def test_a_pull_that_is_cancelled_at_once_is_cancelled(engine: StableDiffusionLcm, home: Path) -> None:
    """Before its process has come to say anything."""
    with serving(Lent(engine).load, models_dir=home / "models") as (address, _), address.client() as client:
        for _ in range(3):
            client.send(PullModel("sd15"))
            client.send(CancelPull("sd15"))
            said = to_the_end(client)[-1]
            assert said.state == "cancelled", said.sentence
        assert not entry(client, "sd15").installed
        assert not list((home / "hf" / "hub").rglob("*.safetensors"))
