"""The live loop against ``python -m server`` as a process of its own, with a small checkpoint."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from addon.live import Address, LiveLoop
from addon.problems import LiveState
from addon.wire import Style
from tests.plain.checkpoints import make_sd15
from tests.plain.live.servers import Viewer, free_port, said
from tests.plain.server.rig import PATIENCE, Spawned

QUICK = Style(prompt="a castle", steps=1, width=64, height=64)
LONG = Style(prompt="a castle", steps=50, width=256, height=256)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sd15(tmp_path_factory.mktemp("live") / "small", lora="diffusers")


def start(folder: Path, model: Path, port: int) -> Spawned:
    return Spawned(folder, "--port", str(port), "--model", str(model), "--device", "cpu")


def test_the_server_may_start_die_in_mid_frame_start_again_and_end(tmp_path: Path, model: Path) -> None:
    port = free_port()
    address = Address(f"ws://127.0.0.1:{port}/live", token_file=tmp_path / "token")
    viewer = Viewer(LiveLoop(address, rest=0.1), depth=True)
    viewer.style = QUICK
    viewer.until(lambda: viewer.loop.state == LiveState.WAITING)
    assert "token does not exist: start the server." in said(viewer.loop)

    with start(tmp_path, model, port) as server:
        viewer.until(lambda: len(viewer.pictures) == 2, PATIENCE)
        assert [picture.settle for picture in viewer.pictures] == [False, True]
        assert viewer.pictures[0].image.shape == (64, 64, 3)
        assert LiveState.LOADING in viewer.states, "the server listens before it has its model"
        assert viewer.loop.server.startswith("draftglass-server ")

        viewer.key, viewer.style = "moved", LONG
        viewer.until(lambda: viewer.loop.progress is not None and viewer.loop.progress.step > 0, PATIENCE)
        server.process.send_signal(signal.SIGKILL)
        viewer.until(lambda: viewer.loop.state == LiveState.WAITING)
        assert "A frame was under way" in said(viewer.loop)
        first_token = (tmp_path / "token").read_text()
    viewer.key, viewer.style = "moved on", QUICK
    viewer.during(0.5)
    assert viewer.loop.state == LiveState.WAITING and len(viewer.pictures) == 2

    with start(tmp_path, model, port) as server:
        viewer.until(lambda: len(viewer.pictures) == 4, PATIENCE)
        assert (tmp_path / "token").read_text() != first_token
        assert viewer.states[-2:] == [LiveState.LOADING, LiveState.LIVE]
        assert [picture.settle for picture in viewer.pictures[2:]] == [False, True]
        assert viewer.loop.statistics.lost == 1 and viewer.loop.statistics.connections == 2

        wrong = Viewer(LiveLoop(Address(address.url, first_token)))
        wrong.until(lambda: wrong.loop.state == LiveState.FAILED)
        assert "does not know the token, so nothing was sent to it" in said(wrong.loop)
        wrong.loop.stop()

        server.signal(signal.SIGTERM, PATIENCE)
        viewer.until(lambda: viewer.loop.state == LiveState.WAITING)
        assert f"127.0.0.1:{port}" in said(viewer.loop) and "Trying again" in said(viewer.loop)
        assert LiveState.FAILED not in viewer.states
        viewer.loop.stop()


def test_a_model_that_cannot_be_loaded_is_told_in_the_servers_words(tmp_path: Path) -> None:
    empty = tmp_path / "nothing"
    empty.mkdir()
    with start(tmp_path, empty, 0) as server:
        port = server.listening()["port"]
        viewer = Viewer(LiveLoop(Address(f"ws://127.0.0.1:{port}/live", token_file=tmp_path / "token")))
        viewer.until(lambda: viewer.loop.state == LiveState.FAILED, PATIENCE)
        assert str(empty) in said(viewer.loop) and "Trying again" not in said(viewer.loop)
        assert viewer.loop.statistics.lost == 0 and viewer.sent == []
        viewer.loop.stop()
