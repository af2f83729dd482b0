"""Tests of downloads asked for over the WebSocket: a real server, the real command, a hub on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
from tests.plain.checkpoints import make_sd15
from tests.plain.server.engines import Lent
from tests.plain.server.rig import Client, make_request, serving


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
        while (told := client.until(Status)).sentence != "The model is loaded." or told.model == engine.name:
            assert "could not be loaded" not in told.sentence, told.sentence
        client.send(make_request(1))
        assert client.until(Picture).model == told.model

        client.send(RemoveModel("sd15"))
        assert "in use" in client.until(Failure).sentence
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
        assert "nothing to cancel" in client.until(Failure).sentence
        hub.pause = 0.1
        client.send(PullModel("sd15"))
        while not client.until(ModelProgress).done:
            pass
        client.send(PullModel("sd15"))
        assert "busy" in client.until(Failure).sentence
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
        assert (failure.code, failure.id) == ("bad_request", None)
        assert "choose one of embedded, sd15" in failure.sentence
