"""Tests of changing the model, LoRAs and style picture of a server that runs, over a real socket."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from diffusers import UNet2DConditionModel

from addon.problems.serving import (
    MemoryReleased,
    ModelFailed,
    ModelKept,
    ModelMissing,
    ModelNotDownloaded,
    ModelRestored,
    ModelSwapped,
    OtherModelLoading,
    OutOfMemory,
)
from addon.wire import Failure, LoadModel, Lora, Picture, Reference, Status, Upload
from server.engine import EngineError, StableDiffusionLcm
from server.serving.model_in_use import Report
from tests.plain.checkpoints import make_sd15
from tests.plain.checkpoints_lora import write_user_lora
from tests.plain.server.engines import Lent
from tests.plain.server.rig import Client, make_request, serving, wait_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """A user's folder: the checkpoint "other", the broken one "half" and the LoRA "ink"."""
    folder = tmp_path_factory.mktemp("models")
    make_sd15(folder / "checkpoints" / "other", lora="diffusers")
    (folder / "checkpoints" / "half.safetensors").write_bytes(b"\x08\0\0\0")
    (folder / "loras").mkdir()
    unet = UNet2DConditionModel.from_pretrained(checkpoint / "unet")
    write_user_lora(folder / "loras" / "ink.safetensors", unet, [], "kohya")
    (folder / "loras" / "wrong.safetensors").write_bytes(b"no safetensors at all")
    return folder


def picture(client: Client, number: int, **style: object) -> Picture:
    client.send(make_request(number, **style))
    answer = client.answer()
    assert isinstance(answer, Picture), answer
    return answer


def status(client: Client, holds: Callable[[Status], bool]) -> Status:
    while not holds(told := client.until(Status)):
        pass
    return told


def test_the_old_model_serves_until_the_new_one_is_there(engine: StableDiffusionLcm, folder: Path) -> None:
    with serving(Lent(engine).load, models_dir=folder) as (address, worker), address.client() as client:
        assert picture(client, 1).model == engine.name
        client.send(LoadModel("other"))
        told = status(client, lambda told: told.code == OtherModelLoading.code)
        assert (told.state, told.model) == ("ready", engine.name)
        number, seen = 2, [engine.name]
        while seen[-1] != "other":  # every frame in between is answered, by one of the two
            seen.append(picture(client, number).model)
            number += 1
        assert set(seen) == {engine.name, "other"}
        assert seen == sorted(seen, key=lambda name: name == "other")
        assert (worker.status.state, worker.status.model, worker.model) == ("ready", "other", "other")


@pytest.mark.parametrize("name", ["nothing", "../checkpoints/other", "/etc/passwd", "ink", "sd15"])
def test_only_what_is_in_the_list_and_here_can_be_loaded(engine: StableDiffusionLcm, folder: Path, name: str) -> None:
    with serving(Lent(engine).load, models_dir=folder) as (address, _), address.client() as client:
        client.send(LoadModel(name))
        failure = client.until(Failure)
        kind = ModelNotDownloaded if name == "sd15" else ModelMissing
        assert (failure.code, failure.id, failure.fields["model"]) == (kind.code, None, name)
        assert name in failure.sentence
        assert picture(client, 1).model == engine.name


def test_a_model_that_cannot_be_loaded_leaves_the_old_one(engine: StableDiffusionLcm, folder: Path) -> None:
    with serving(Lent(engine).load, models_dir=folder) as (address, _), address.client() as client:
        client.send(LoadModel("half"))
        told = status(client, lambda told: told.code == ModelKept.code)
        assert (told.state, told.model) == ("ready", engine.name)
        assert (told.fields["wanted"], told.fields["kept"]) == ("half", engine.name)
        assert told.fields["cause_code"] == ModelFailed.code and "half" in str(told.fields["cause_detail"])
        assert picture(client, 1).model == engine.name


class Counted(Lent):
    """Says how many of its kind are open."""

    open = 0

    def load(self, report: Report) -> Counted:
        report(0.5, "half way")
        Counted.open += 1
        return self

    def close(self) -> None:
        Counted.open -= 1


@pytest.mark.parametrize("fits_alone", [True, False])
def test_where_memory_is_short_the_old_model_goes_first(engine: StableDiffusionLcm, fits_alone: bool) -> None:
    Counted.open = 0
    second = Counted(engine)
    second.name = "second"
    said: list[Status] = []

    def load(report: Report) -> Counted:
        said.append(worker.status)
        report(0.1, "looking")
        if Counted.open or not fits_alone:
            raise EngineError(OutOfMemory("the model"))
        return second.load(report)  # type: ignore[return-value]

    with serving(Counted(engine).load) as (address, worker), address.client() as client:
        picture(client, 1)
        worker.switch("second", load)
        if fits_alone:
            status(client, lambda told: told.state == "ready" and told.model == "second")
        else:
            told = status(client, lambda told: told.state == "ready" and told.code == ModelRestored.code)
            assert told.fields["cause_code"] == OutOfMemory.code
        assert (said[1].code, said[1].fields) == (ModelSwapped.code, {"model": "second", "released": engine.name})
        assert picture(client, 2).model == ("second" if fits_alone else engine.name)
        assert Counted.open == 1
    assert Counted.open == 0


def test_a_model_that_never_fits_leaves_the_old_one(engine: StableDiffusionLcm) -> None:
    Counted.open = 0
    loads = 0

    def load(report: Report) -> Counted:
        nonlocal loads
        loads += 1
        raise EngineError(OutOfMemory("the model", 90 << 30, 1 << 30, "cpu"))

    with serving(Counted(engine).load) as (address, worker), address.client() as client:
        picture(client, 1)
        worker.switch("huge", load)
        told = status(client, lambda told: told.code == ModelKept.code)
        assert (told.state, told.model) == ("ready", engine.name) and told.fields["cause_needed"] == 90 << 30
        assert (loads, Counted.open) == (1, 1)
        assert picture(client, 2).model == engine.name


def test_a_model_that_cannot_be_closed_ends_no_answers(engine: StableDiffusionLcm) -> None:
    """As on a GPU after an error of its own, from which on every call fails."""

    class Broken(Lent):
        def close(self) -> None:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with serving(Broken(engine).load, idle_release=0.3) as (address, _), address.client() as client:
        assert picture(client, 1).model == engine.name
        status(client, lambda told: told.code == MemoryReleased.code)
        assert picture(client, 2).model == engine.name


def test_after_an_idle_release_a_failed_switch_leaves_the_model(engine: StableDiffusionLcm, folder: Path) -> None:
    Counted.open = 0
    with serving(Counted(engine).load, idle_release=0.3, models_dir=folder) as (address, _), address.client() as client:
        assert picture(client, 1).model == engine.name
        status(client, lambda told: told.code == MemoryReleased.code)
        client.send(LoadModel("half"))
        told = status(client, lambda told: told.code == ModelKept.code)
        assert told.state == "ready"
        assert picture(client, 2).model == engine.name


def test_after_an_idle_release_the_memory_may_be_anothers_for_a_while(
    engine: StableDiffusionLcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.serving.model_in_use.RETRY_SECONDS", 0.0)
    Counted.open, full = 0, False

    def load(report: Report) -> Counted:
        if full:
            raise EngineError(OutOfMemory("the model"))
        return Counted(engine).load(report)

    with serving(load, idle_release=0.3) as (address, worker), address.client() as client:
        assert picture(client, 1).model == engine.name
        status(client, lambda told: told.code == MemoryReleased.code)
        full = True
        for number in (2, 3):
            client.send(make_request(number))
            failure = client.until(Failure)
            assert (failure.id, failure.code) == (number, OutOfMemory.code)
        assert worker.status.state == "ready", "else no client would ask for another frame"
        full = False
        assert picture(client, 4).model == engine.name


def test_a_newer_wish_takes_the_place_of_a_load_under_way(engine: StableDiffusionLcm, folder: Path) -> None:
    begun = threading.Event()

    def endless(report: Report) -> Lent:
        while True:
            report(0.5, "reading")  # raises once nobody waits for it any more
            begun.set()
            time.sleep(0.01)

    with serving(Lent(engine).load, models_dir=folder) as (address, worker), address.client() as client:
        picture(client, 1)
        worker.switch("endless", endless)
        wait_for(begun.is_set)
        client.send(LoadModel("other"))
        status(client, lambda told: told.model == "other" and told.state == "ready")
        assert picture(client, 2).model == "other"


def test_a_lora_and_its_weight_take_effect_on_the_next_frame(engine: StableDiffusionLcm, folder: Path) -> None:
    with serving(Lent(engine).load, models_dir=folder) as (address, _), address.client() as client:
        plain = picture(client, 1, steps=2).image
        full = picture(client, 1, steps=2, loras=(Lora("ink", 1.0),)).image
        half = picture(client, 1, steps=2, loras=(Lora("ink", 0.5),)).image
        assert len({image.tobytes() for image in (plain, full, half)}) == 3
        assert np.array_equal(picture(client, 1, steps=2, loras=(Lora("ink", 1.0),)).image, full)
        assert np.array_equal(picture(client, 1, steps=2, loras=(Lora("ink", 0.0),)).image, plain)
        assert np.array_equal(picture(client, 1, steps=2).image, plain)


@pytest.mark.parametrize("name", ["missing", "wrong", "../loras/ink", "other"])
def test_a_lora_that_cannot_be_used_fails_its_frame_only(engine: StableDiffusionLcm, folder: Path, name: str) -> None:
    with serving(Lent(engine).load, models_dir=folder) as (address, _), address.client() as client:
        client.send(make_request(1, loras=(Lora(name),)))
        failure = client.until(Failure)
        assert failure.id == 1 and name.rpartition("/")[2] in failure.sentence
        assert str(folder) not in f"{failure}", "no path crosses the wire"
        picture(client, 2)


def test_a_style_picture_must_be_uploaded_whole_and_suit_the_model(engine: StableDiffusionLcm) -> None:
    image = np.arange(32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(32, 32, 3)
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    with serving(Lent(engine).load) as (address, _), address.client() as client:
        client.send(make_request(1, reference=Reference(digest)))
        failure = client.until(Failure)
        assert (failure.id, failure.code) == (1, "bad_request") and "upload it first" in failure.sentence
        client.send(Upload("0" * 64, image))
        assert "sha256" in client.until(Failure).sentence
        client.send(Upload(digest, image))
        client.send(make_request(2, reference=Reference(digest)))
        failure = client.until(Failure)
        assert failure.id == 2 and "IP-Adapter" in failure.sentence
        picture(client, 3, reference=Reference(digest, 0.0))


def test_idle_memory_is_given_back_and_the_next_frame_loads_again(engine: StableDiffusionLcm) -> None:
    Counted.open = 0
    with serving(Counted(engine).load, idle_release=0.3) as (address, _), address.client() as client:
        client.send(make_request(1))
        first, told = None, Status("loading")
        while first is None or told.code != MemoryReleased.code:  # in either order, on a busy machine
            message = client.receive()
            first = message.image if isinstance(message, Picture) else first
            told = message if isinstance(message, Status) else told
        assert told.state == "ready", "a client goes on sending, which is what loads it again"
        wait_for(lambda: Counted.open == 0)
        assert np.array_equal(picture(client, 1).image, first)
    assert Counted.open == 0
