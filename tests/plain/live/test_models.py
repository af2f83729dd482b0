"""Wishes about models over the loop's connection, against servers of the tests' own."""

from __future__ import annotations

import hashlib
import queue
import threading

import numpy as np
from websockets.sync.server import ServerConnection

from addon.live import LiveLoop
from addon.problems.serving import ModelFailed, ModelKept, ModelMissing
from addon.wire import (
    Entry,
    ListModels,
    LoadModel,
    Message,
    ModelProgress,
    Models,
    PullModel,
    Request,
    Status,
    Upload,
    pack,
    unpack,
)
from tests.plain.live.servers import Viewer, failure, greet, inverted, said, script, status

ENTRY = Entry("sd15", "Stable Diffusion 1.5", licence="CreativeML OpenRAIL-M", download_bytes=4_000_000_000)


class Shop:
    """A server that lists one model, pulls it, and loads it; ``heard`` is what it was told, requests left out."""

    def __init__(self) -> None:
        self.heard: queue.Queue[Message] = queue.Queue()
        self.hang_up = threading.Event()

    def __call__(self, connection: ServerConnection) -> None:
        greet(connection)
        for data in connection:
            message = unpack(data)
            if not isinstance(message, Request):
                self.heard.put(message)
            for answer in self.answers(message):
                connection.send(pack(answer))
            if self.hang_up.is_set():
                self.hang_up.clear()
                return

    def answers(self, message: Message) -> list[Message]:
        if isinstance(message, Request):
            return [inverted(message, engine=1.0)]
        if isinstance(message, ListModels):
            return [Models((ENTRY,))]
        if isinstance(message, PullModel):
            if message.name != ENTRY.name:
                return [failure(ModelMissing(message.name))]
            return [ModelProgress("sd15", "pulling", part, 4) for part in range(4)] + [
                ModelProgress("sd15", "done", 4, 4)
            ]
        if message == LoadModel("nothing"):
            return [failure(ModelMissing("nothing"))]
        if message == LoadModel("broken"):
            return [status("ready", 100, ModelKept("broken", "simulated", ModelFailed("it is cut off")))]
        if isinstance(message, LoadModel):
            return [Status("ready", 100, message.name)]
        return []

    def hears(self, viewer: Viewer) -> Message:
        viewer.until(lambda: not self.heard.empty())
        return self.heard.get()


def test_models_are_listed_pulled_and_loaded_beside_the_frames() -> None:
    shop = Shop()
    with script(shop) as address:
        loop = LiveLoop(address, settle=False)
        loop.tell(ListModels())  # before there is a connection
        viewer = Viewer(loop)
        viewer.until(lambda: loop.models is not None and viewer.pictures)
        assert loop.models is not None and loop.models.entries == (ENTRY,)
        loop.tell(PullModel("sd15"))
        viewer.until(lambda: loop.model_progress.get("sd15", ENTRY) == ModelProgress("sd15", "done", 4, 4))
        assert len(viewer.pictures) == 1
        loop.tell(LoadModel("sd15"))
        viewer.until(lambda: len(viewer.pictures) == 2)  # the view is the same, the model is another
        assert said(loop) == "Live with the model sd15."
        loop.stop()


def test_a_wish_that_fails_is_no_failure_of_a_frame() -> None:
    shop = Shop()
    with script(shop) as address:
        viewer = Viewer(LiveLoop(address, settle=False))
        viewer.until(lambda: viewer.pictures)
        viewer.loop.tell(PullModel("nothing"))
        viewer.until(lambda: viewer.loop.model_failure)
        assert viewer.loop.model_failure == ModelMissing("nothing")
        assert viewer.loop.statistics.failures == 0 and viewer.loop.problem is None
        assert said(viewer.loop) == "Live with the model simulated."
        viewer.loop.tell(ListModels())
        assert viewer.loop.model_failure is None, "it stays on show after the next wish"
        viewer.loop.stop()


def test_a_model_that_cannot_be_loaded_is_told_while_the_other_goes_on() -> None:
    with script(Shop()) as address:
        viewer = Viewer(LiveLoop(address, settle=False))
        viewer.until(lambda: viewer.pictures)
        assert said(viewer.loop) == "Live with the model simulated."
        viewer.loop.tell(LoadModel("broken"))
        viewer.until(lambda: said(viewer.loop) != "Live with the model simulated.")
        assert said(viewer.loop) == "broken could not be loaded, so simulated goes on: It is cut off."
        viewer.key = "another view"
        viewer.until(lambda: len(viewer.pictures) == 2)
        viewer.loop.tell(LoadModel("sd15"))
        viewer.until(lambda: said(viewer.loop) == "Live with the model sd15.")
        viewer.loop.stop()


def test_a_new_connection_is_told_again_what_the_server_kept() -> None:
    shop = Shop()
    image = np.full((16, 16, 3), 9, np.uint8)
    upload = Upload(hashlib.sha256(image.tobytes()).hexdigest(), image)
    with script(shop) as address:
        viewer = Viewer(LiveLoop(address, settle=False))
        viewer.loop.tell(PullModel("sd15"))
        viewer.loop.tell(upload)
        first = [shop.hears(viewer) for _ in range(2)]
        assert [type(message) for message in first] == [Upload, PullModel]
        shop.hang_up.set()
        viewer.key = "next"
        again = shop.hears(viewer)
        assert isinstance(again, Upload) and again.sha256 == upload.sha256 and (again.image == image).all()
        viewer.until(lambda: viewer.loop.statistics.connections == 2 and viewer.pictures)
        assert shop.heard.empty(), "a wish is told once"
        viewer.loop.stop()
