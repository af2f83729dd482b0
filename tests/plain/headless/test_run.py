"""The run: the real loop over real sockets, against servers of the tests' own; and the real server as a child."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.sync.server import ServerConnection

from addon.headless.arguments import Options
from addon.headless.errors import HeadlessError
from addon.headless.plan import Shot, shots
from addon.headless.run import Outcome, Run, wait_until_live
from addon.headless.server import TemporaryServer
from addon.live import Address, LiveLoop
from addon.problems.serving import BadRequest, ModelFailed
from addon.wire import Dropped, Status, pack
from addon.wire.frame import IDENTITY, OBJECT
from tests.plain.live.servers import TOKEN, failure, free_port, greet, inverted, inverter, requests, script, status

SIDE = 64


@dataclass(eq=False)
class Drawn:
    """A draft as a capture gives it."""

    image: NDArray[np.uint8]
    inverse_depth: NDArray[np.uint16] | None
    near: float = 1.0
    view: tuple[tuple[float, ...], ...] = IDENTITY
    projection: tuple[tuple[float, ...], ...] = IDENTITY
    draw_ms: float = 1.5
    read_ms: float = 0.5
    ids: NDArray[np.uint16] | None = None
    normals: NDArray[np.uint8] | None = None
    objects: NDArray[np.void] = field(default_factory=lambda: np.empty(0, OBJECT))


class Studio:
    """Draws each shot in a colour of its own and keeps what was shown."""

    def __init__(self) -> None:
        self.drawn: list[int] = []
        self.shown: list[int] = []

    def capture(self, shot: Shot) -> Drawn:
        self.drawn.append(shot.index)
        return Drawn(np.full((SIDE, SIDE, 3), shot.index, np.uint8), np.full((SIDE, SIDE), 9, np.uint16))

    def show(self, picture: NDArray[np.uint8]) -> None:
        self.shown.append(255 - int(picture[0, 0, 0]))


def nothing(*_: object) -> None:
    """Neither a server of ours to look after nor a bar to move."""


def go(address: Address, options: Options, studio: Studio) -> Outcome:
    loop = LiveLoop(address, client="test", settle=False)
    try:
        wait_until_live(loop, nothing, nothing)
        outcome = Outcome()
        Run(loop, shots(options), options, studio.capture, studio.show, outcome).finish(nothing, nothing)
        return outcome
    finally:
        loop.stop()


def options(count: int, **more: object) -> Options:
    return Options(Path("a.blend"), ("a", "b"), Path("out"), orbit=count, size=SIDE, **more)  # type: ignore[arg-type]


def complete(outcome: Outcome, count: int) -> bool:
    """Whether every shot is there, in order, with the picture of its own draft."""
    own = all((one.picture == 255 - one.shot.index).all() for one in outcome.shown)
    return own and [one.shot.index for one in outcome.shown] == list(range(count))


@pytest.mark.parametrize("engine", [0.0, 0.02])
def test_every_shot_has_the_picture_of_its_own_draft(engine: float) -> None:
    studio = Studio()
    with script(inverter(engine)) as address:
        outcome = go(address, options(20), studio)
    assert complete(outcome, 40)
    # (Two pictures that come between two heartbeats of a busy machine are one too few: its shot is drawn anew.)
    assert len(studio.drawn) == outcome.sent >= 40 and sorted(studio.shown) == list(range(40))
    assert (outcome.dropped, outcome.model, outcome.server) == (0, "simulated", "scripted 1")
    assert outcome.seconds >= 40 * engine


def test_the_stages_of_a_frame_add_up_to_its_way() -> None:
    with script(inverter(0.01)) as address:
        outcome = go(address, options(3), Studio())
    missing = []
    for one in outcome.shown:
        parts = [one.times[name] for name in ("capture", "wire", "queue", "engine", "reply", "display")]
        assert 10 < sum(parts) <= one.times["whole"] + 0.1, "one behind the other, none counted twice"
        missing.append(one.times["whole"] - sum(parts))
        assert one.times["overhead"] == pytest.approx(one.times["whole"] - 1.5 - one.times["engine"])
        assert min(parts) >= 0
    assert np.median(missing) < 0.3, "and none left out"


def test_a_picture_that_comes_while_the_next_view_is_drawn_is_marked() -> None:
    sent = [threading.Event() for _ in range(40)]
    """By the shot: one that is drawn anew, as above, has another frame."""
    expected: list[int] = []

    class Slow(Studio):
        def capture(self, shot: Shot) -> Drawn:
            """Draw until the picture of the view before has come, if it is still under way."""
            if shot.index and not sent[shot.index - 1].is_set():
                expected.append(shot.index - 1)
                assert sent[shot.index - 1].wait(60)
            return super().capture(shot)

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            time.sleep(0.03)
            connection.send(pack(inverted(request, engine=30.0)))
            sent[int(request.frame.image[0, 0, 0])].set()

    studio = Slow()
    with script(handler) as address:
        outcome = go(address, options(20), studio)
    once = {index for index in expected if studio.drawn.count(index) == 1}
    assert complete(outcome, 40) and once, "the pace asks for a view while the one before is under way"
    marked = {one.shot.index for one in outcome.shown if one.behind}
    assert once <= marked
    last = studio.drawn[-1]
    assert studio.drawn.count(last) > 1 or last not in marked, "the last has no next"


def test_a_style_holds_what_was_asked_for_and_depth_goes_only_with_a_weight() -> None:
    seen = []

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            seen.append(request)
            connection.send(pack(inverted(request)))

    with script(handler) as address:
        go(address, options(1, steps=3, strength=0.4, seed=5, depth_weight=0.5), Studio())
        go(address, options(1, depth_weight=0), Studio())
    first, second, plain, _ = seen
    assert (first.style.prompt, second.style.prompt) == ("a", "b")
    assert (first.style.steps, first.style.strength, first.style.seed, first.style.width) == (3, 0.4, 5, SIDE)
    assert [(control.kind, control.weight) for control in first.style.controls] == [("depth", 0.5)]
    assert first.frame.inverse_depth is not None and not first.settle
    assert plain.frame.inverse_depth is None and plain.style.controls == ()


def answering(answer: Callable[[int], bytes | None]) -> Callable[[ServerConnection], None]:
    """A server that inverts, unless ``answer`` has other bytes for the frame with this number."""

    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            connection.send(answer(request.frame.id) or pack(inverted(request)))

    return handler


@pytest.mark.parametrize("lost", [{1}, {3, 4}, {8}, {8, 9}])
def test_a_shot_that_the_server_dropped_is_drawn_anew(lost: set[int]) -> None:
    studio = Studio()
    with script(answering(lambda number: pack(Dropped(number)) if number in lost else None)) as address:
        outcome = go(address, options(4), studio)
    assert complete(outcome, 8) and outcome.dropped == len(lost)
    assert len(studio.drawn) == outcome.sent >= 8 + len(lost) and sorted(studio.shown) == list(range(8))


def test_a_failure_ends_the_run_in_the_servers_words() -> None:
    refusal = failure(BadRequest("the model has no depth adapter"), 2)
    with (
        script(answering(lambda number: pack(refusal) if number == 2 else None)) as address,
        pytest.raises(HeadlessError, match=r"^The model has no depth adapter\.$"),
    ):
        go(address, options(4), Studio())


def test_a_lost_connection_is_made_again_and_its_shots_with_it() -> None:
    def handler(connection: ServerConnection) -> None:
        greet(connection)
        for request in requests(connection):
            if request.frame.id == 3:
                return
            connection.send(pack(inverted(request)))

    with script(handler) as address:
        outcome = go(address, options(4), Studio())
    assert complete(outcome, 8) and outcome.reconnections == 1


def test_a_server_that_is_not_there_is_told_at_once_without_a_promise() -> None:
    with pytest.raises(
        HeadlessError, match=r"^No server is listening at 127\.0\.0\.1:\d+: start it, or check the port\.$"
    ):
        go(Address(f"ws://127.0.0.1:{free_port()}/live"), options(1), Studio())


def test_localhost_is_tried_at_both_its_addresses() -> None:
    with script(inverter(), host="::1") as address:
        port = address.split()[1]
        assert complete(go(Address(f"ws://localhost:{port}/live", TOKEN), options(1), Studio()), 2)


def test_a_model_that_failed_is_told_and_one_that_loads_is_waited_for() -> None:
    def failed(connection: ServerConnection) -> None:
        greet(connection, status("failed", 0, ModelFailed("there is no unet")))
        for _ in connection:
            pass

    with script(failed) as address, pytest.raises(HeadlessError, match="There is no unet"):
        go(address, options(1), Studio())

    heard = threading.Event()

    def slow(connection: ServerConnection) -> None:
        greet(connection, Status("loading", 40, "m"))
        assert heard.wait(60)
        connection.send(pack(Status("ready", 100, "m")))
        for request in requests(connection):
            connection.send(pack(inverted(request)))

    told: list[float] = []

    def tell(percent: float) -> None:
        told.append(percent)
        heard.set()

    with script(slow) as address:
        loop = LiveLoop(address, client="test", settle=False)
        wait_until_live(loop, nothing, tell)
        loop.stop()
    assert set(told) == {40}


@pytest.mark.parametrize("missing", ["/no/model", "~nobody-here/model"])
def test_our_own_server_says_why_it_ended_and_leaves_nothing(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    told = "the server has ended: model is"
    with TemporaryServer(missing, "cpu") as server, pytest.raises(HeadlessError, match=told):
        server.address()
    assert not list(tmp_path.glob("draftglass*"))


def test_our_own_server_that_was_killed_is_said_to_be(tmp_path: Path) -> None:
    with TemporaryServer(str(tmp_path), "cpu") as server:
        server.address()
        server._process.kill()
        server._process.wait()
        (server._folder / "log").write_text("WARNING: something else\n")
        with pytest.raises(HeadlessError, match=r"the server was ended by a signal \(SIGKILL\)"):
            server.check()


def test_our_own_server_is_found_by_its_address_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "model").mkdir()
    with TemporaryServer(str(tmp_path / "model"), "cpu") as server:
        address = server.address()
        assert address.token_file is not None and address.token_file.stat().st_mode & 0o777 == 0o600
        assert address.is_loopback and len(address.read_token()) > 20
        loop = LiveLoop(address, client="test", settle=False)
        with pytest.raises(HeadlessError, match="model"):  # an empty folder is none
            wait_until_live(loop, server.check, nothing)
        loop.stop()
    with pytest.raises(HeadlessError, match="No server is listening"):
        go(Address(address.url), options(1), Studio())
    assert not list(tmp_path.glob("draftglass*"))
