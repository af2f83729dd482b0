"""Live stays out of the way: nothing left behind when off, nothing done at rest, others' habits survived."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from addon.problems.connection import Rendering
from tests.blender.serving import STAND_IN, Server
from tests.bpy.shapes import cube


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives the draft back."""
    with Server(tmp_path_factory.mktemp("server"), STAND_IN) as running:
        yield running


@pytest.fixture
def live(scene: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, registered, with a server named; not started."""
    from addon.blender import registration
    from addon.blender.live import switch as live

    registration.register()
    scene.draftglass.size, scene.draftglass.settle_size = 64, 0
    chosen = SimpleNamespace(server_url=server.url, token="", token_file=str(server.token_file), server_python="")
    monkeypatch.setattr(live, "preferences", lambda: chosen)
    yield live
    live.paused = False
    registration.unregister()


def handlers() -> dict[str, list[Any]]:
    import bpy

    lists = {name: getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)}
    return {name: list(held) for name, held in lists.items() if isinstance(held, list)}


def beat_until(live: Any, reached: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        live.tick()
        if reached(stats := live.stats()):
            return stats
        time.sleep(0.004)
    raise AssertionError(f"not reached in {seconds} s: {live.stats()}")


def rest(live: Any) -> dict[str, Any]:
    """Heartbeats until everything sent is answered and nothing more comes.

    While the view counts as moving, and that the longer the longer a capture takes, a settle frame may be held up.
    """
    beat_until(live, lambda stats: stats["pictures_shown"] > 0)
    end, since = time.monotonic() + 60, time.monotonic()
    last: tuple[object, ...] = ()
    while time.monotonic() < end:
        live.tick()
        stats, moving = live.stats(), live.session().moving
        answered = stats["pictures"] + stats["dropped"] + stats["failures"]
        now = stats["frames_sent"], answered, moving
        if now != last:
            last, since = now, time.monotonic()
        if answered == stats["frames_sent"] and not moving and time.monotonic() - since > 0.6:
            return stats
        time.sleep(0.004)
    raise AssertionError(f"no rest: {live.stats()}")


def start(live: Any) -> None:
    import bpy

    live.start(bpy.context)


def test_off_costs_nothing(live: Any, scene: Any) -> None:
    import bpy

    before = handlers()
    assert not bpy.app.timers.is_registered(live._heartbeat)
    start(live)
    assert handlers() != before and bpy.app.timers.is_registered(live._heartbeat)
    rest(live)
    session = live._session
    live.stop()
    assert handlers() == before, "a handler is left behind"
    assert not bpy.app.timers.is_registered(live._heartbeat) and live.tick() is None
    assert session._display._handler is None, "the editor's draw handler is left behind"
    for capturer in session._drafts._capturers.values():
        assert capturer._colour is None and capturer._depth is None, "GPU memory is kept"
    assert live.loop() is None and live.state() == "stopped"


def test_on_and_nothing_changing_does_nothing(live: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cube(scene, (0, 0, 0))
    start(live)
    before = rest(live)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("something was captured while nothing changed")

    monkeypatch.setattr(live._session._drafts._capturers[False], "draw", never)
    monkeypatch.setattr(live._session._display, "show", never)
    for _ in range(200):
        live.tick()
    after = live.stats()
    assert after["bytes_sent"] == before["bytes_sent"] and after["bytes_received"] == before["bytes_received"]


def test_paused(live: Any, scene: Any) -> None:
    import bpy

    block = cube(scene, (0, 0, 0))
    start(live)
    sent = rest(live)["frames_sent"]
    live.paused = True
    block.location.x += 1
    bpy.context.view_layer.update()
    for _ in range(100):
        live.tick()
    assert live.stats()["frames_sent"] == sent
    assert (live.state(), live.sentence()) == ("paused", "Live is paused.")
    live.paused = False
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    assert live.state() == "live"


def test_no_view_open(live: Any, scene: Any) -> None:
    import bpy

    start(live)
    sent = rest(live)["frames_sent"]
    areas = [area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D"]
    for area in areas:
        area.type = "CONSOLE"
    assert live.tick() == 0.25, "there is nothing to look for in a hurry"
    assert live.sentence() == "No 3D View is open: open one, and live follows it."
    areas[0].type = "VIEW_3D"
    cube(scene, (0, 0, 0))
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    assert live.sentence() != "No 3D View is open: open one, and live follows it."


def test_while_blender_renders(live: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a render really is seen as one: tests/blender/test_out_of_the_way.py."""
    from addon.blender.live import session

    start(live)
    sent = rest(live)["frames_sent"]
    monkeypatch.setattr(session, "is_rendering", lambda: True)
    live._session._beat(False)
    monkeypatch.undo()
    assert isinstance(live._session._hold, Rendering)
    assert live.stats()["frames_sent"] == sent


def test_another_add_on_empties_the_handlers(live: Any, scene: Any) -> None:
    import bpy

    block = cube(scene, (0, 0, 0))
    start(live)
    sent = rest(live)["frames_sent"]
    bpy.app.handlers.depsgraph_update_post.clear()
    live.tick()
    block.location.x += 1
    bpy.context.view_layer.update()
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    bpy.app.handlers.load_post.clear()
    live.stop()


def test_another_add_on_fails_and_changes_things_all_the_time(live: Any, scene: Any) -> None:
    import bpy

    def fails(*_: Any) -> None:
        raise RuntimeError("of another add-on")

    block = cube(scene, (0, 0, 0))
    bpy.app.handlers.depsgraph_update_post.insert(0, fails)
    try:
        start(live)
        sent = rest(live)["frames_sent"]
        shown = live.stats()["pictures_shown"]
        for _ in range(100):
            block.location = block.location  # tags it anew, and shows nothing new
            bpy.context.view_layer.update()
            live.tick()
            time.sleep(0.002)
        assert live.stats()["frames_sent"] == sent and live.stats()["pictures_shown"] == shown
    finally:
        bpy.app.handlers.depsgraph_update_post.remove(fails)


def test_who_listens_badly_is_left_out(live: Any, scene: Any, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[Any] = []

    def fails(_shown: Any) -> None:
        raise ValueError("of a listener")

    live.on_picture.append(fails)
    live.on_picture.append(heard.append)
    try:
        start(live)
        rest(live)
        assert fails not in live.on_picture and heard and live.state() == "live"
        assert heard[-1] is live.picture() and heard[-1].settled
        assert heard[-1].size == (live.picture().request.style.width, live.picture().request.style.height)
        assert "of a listener" in capsys.readouterr().err
    finally:
        live.on_picture.remove(heard.append)


def test_several_scenes(live: Any, scene: Any) -> None:
    import bpy

    cube(scene, (0, 0, 0))
    start(live)
    sent = rest(live)["frames_sent"]
    other = bpy.data.scenes.new("Other")
    other.draftglass.prompt, other.draftglass.size = "another prompt", 64
    bpy.context.window.scene = other
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    rest(live)
    assert live.picture().request.style.prompt == "another prompt" and live.picture().origin.scene == "Other"
    sent = rest(live)["frames_sent"]
    scene.draftglass.prompt = "a prompt of a scene that nobody sees"
    for _ in range(50):
        live.tick()
    assert live.stats()["frames_sent"] == sent


def test_a_linked_library_with_a_picture_of_the_same_name(live: Any, scene: Any, tmp_path: Path) -> None:
    import bpy

    image = bpy.data.images.new("Draftglass", 32, 32)
    image.use_fake_user = True
    image.pack()
    cube(scene, (0, 0, 0)).name = "Linked"
    path = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path, copy=True)
    bpy.data.images.remove(image)
    with bpy.data.libraries.load(path, link=True) as (_, here):
        here.images, here.objects = ["Draftglass"], ["Linked"]
    scene.collection.objects.link(bpy.data.objects[("Linked", path)])
    linked = bpy.data.images[("Draftglass", path)]
    start(live)
    rest(live)
    own = bpy.data.images[("Draftglass", None)]
    assert own != linked and own.has_data and tuple(linked.size) == (32, 32)


def test_without_a_window_no_screen_is_changed(live: Any, scene: Any) -> None:
    import bpy

    assert bpy.app.background and not bpy.ops.draftglass.start.poll()
    before = [(area.type, area.width) for area in bpy.context.window.screen.areas]
    start(live)
    rest(live)
    assert [(area.type, area.width) for area in bpy.context.window.screen.areas] == before


def test_playing_back_follows_the_frames(live: Any, scene: Any) -> None:
    block = cube(scene, (0, 0, 0))
    block.keyframe_insert("location", frame=1)
    block.location.x = 3
    block.keyframe_insert("location", frame=40)
    start(live)
    sent = rest(live)["frames_sent"]
    for frame in range(1, 41):
        scene.frame_set(frame)
        live.tick()
        time.sleep(0.01)
    beat_until(live, lambda stats: stats["frames_sent"] > sent)
    rest(live)
    assert live.picture().origin.frame == 40
