"""A live session in Blender's module against a real server; the tests call the heartbeat, as no timer fires there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.blender.serving import Server
from tests.bpy.shapes import cube

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def addon(scene: Any) -> Iterator[Any]:
    """The add-on, registered, and its ``live`` module."""
    from addon.blender import registration
    from addon.blender.live import switch as live

    registration.register()
    heard = [(callbacks, list(callbacks)) for callbacks in (live.on_beat, live.on_picture)]
    scene.draftglass.size, scene.draftglass.settle_steps, scene.draftglass.settle_size = 128, 2, 0
    yield live
    for callbacks, registered in heard:  # without those that a test added
        callbacks[:] = registered
    registration.unregister()


@pytest.fixture
def session(addon: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Live, started as the operator does it, with the server that the preferences would name."""
    import bpy

    chosen = SimpleNamespace(server_url=server.url, token="", token_file=str(server.token_file), server_python="")
    monkeypatch.setattr(addon, "preferences", lambda: chosen)
    # An editor is there already: nothing lays the screen out after a split, where there is no window.
    next(area for area in bpy.context.window.screen.areas if area.type == "OUTLINER").type = "IMAGE_EDITOR"
    addon.start(bpy.context)
    return addon


def beat_until(live: Any, reached: Callable[[dict[str, Any]], bool], seconds: float = 120) -> dict[str, Any]:
    """Heartbeats until ``reached`` of the statistics; fails with them after a time that only a hang takes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        live.tick()
        stats = live.stats()
        if reached(stats):
            return stats
        time.sleep(0.2 if stats["state"] == "loading" else 0.004)
    raise AssertionError(f"not reached in {seconds} s: {live.stats()}")


def at_rest(live: Any) -> dict[str, Any]:
    """Heartbeats until the settle frame's picture is on show and nothing goes out any more."""
    settled = live.stats().get("settle_sent", 0)
    beat_until(live, lambda s: s.get("settle_sent", 0) > settled and s["pictures"] + s["dropped"] == s["frames_sent"])
    return beats(live)


def beats(live: Any, count: int = 100) -> dict[str, Any]:
    """``count`` heartbeats."""
    for _ in range(count):
        live.tick()
        time.sleep(0.004)
    return live.stats()


def view_of() -> Any:
    """The 3D View that live follows: the largest."""
    from addon.blender.capture.viewports import Followed

    return Followed().find()


def test_a_session_from_start_to_stop(session: Any, scene: Any) -> None:
    import bpy

    block = cube(scene, (0, 0, 0))
    rested = at_rest(session)
    assert rested["state"] == "live"
    assert rested["pictures_shown"] >= 2
    assert bpy.data.images["Draftglass"].has_data
    assert beats(session)["frames_sent"] == rested["frames_sent"], "something was sent while nothing changed"

    block.location.x += 0.5
    bpy.context.view_layer.update()
    moved = beat_until(session, lambda s: s["frames_sent"] > rested["frames_sent"])
    at_rest(session)

    scene.draftglass.prompt = "a green ball"
    beat_until(session, lambda s: s["frames_sent"] > moved["frames_sent"])
    shown = at_rest(session)["frames_sent"]

    session.stop()
    assert session.tick() is None
    assert session.stats()["state"] == "stopped"
    block.location.x += 0.5
    bpy.context.view_layer.update()
    assert beats(session, 20)["frames_sent"] == shown
    assert not bpy.app.timers.is_registered(session._heartbeat)


def test_a_view_is_sent_again_for_another_model_though_it_looks_the_same(session: Any, scene: Any) -> None:
    cube(scene, (0, 0, 0))
    at_rest(session)
    scene.draftglass.settle = False
    before = beats(session)["frames_sent"]
    session.loop()._pace.retry()  # what the loop does when the server's model is another one
    assert beat_until(session, lambda s: s["frames_sent"] > before and s["pictures"] + s["dropped"] == s["frames_sent"])
    assert beats(session)["frames_sent"] == before + 1, "sent again and again"


def test_the_image_holds_the_picture_row_for_row(addon: Any, scene: Any) -> None:
    import bpy

    from addon.blender.display.live_view import Display

    ramp = np.zeros((64, 128, 3), np.uint8)
    ramp[..., 0] = np.arange(128)[None, :] * 2
    ramp[..., 1] = np.arange(64)[:, None] * 4
    ramp[0, :, 2] = 255
    display = Display()
    try:
        display.show(ramp)
        display.keep()
        image = bpy.data.images["Draftglass"]
        assert tuple(image.size) == (128, 64)
        assert image.colorspace_settings.name == "sRGB"
        pixels = np.empty(128 * 64 * 4, np.float32)
        image.pixels.foreach_get(pixels)
        back = np.rint(pixels.reshape(64, 128, 4)[::-1, :, :3] * 255).astype(np.uint8)
        assert (back == ramp).all()
    finally:
        display.close()


@pytest.mark.parametrize("action", ["orbit", "shading", "move", "frame", "hide", "world", "material"])
def test_each_change_changes_the_key(addon: Any, scene: Any, action: str) -> None:
    import bpy

    from addon.blender.capture import changes

    block = cube(scene, (0, 0, 0))
    material = bpy.data.materials.new("Paint")
    block.data.materials.append(material)
    scene.world = bpy.data.worlds.new("World")
    changes.watch()
    try:
        bpy.context.view_layer.update()
        before = changes.view_key(view_of())
        bpy.context.view_layer.update()
        assert changes.view_key(view_of()) == before, "nothing changed, but the key did"
        if action == "orbit":
            view_of().view.view_rotation = (1, 0, 0, 0)
            view_of().view.update()
        elif action == "shading":
            view_of().space.shading.light = "MATCAP"
        elif action == "move":
            block.location.z += 1
        elif action == "frame":
            scene.frame_set(scene.frame_current + 1)
        elif action == "hide":
            block.hide_set(True)
        elif action == "world":
            scene.world.color = (1, 0, 0)
        else:
            material.diffuse_color = (0, 0, 1, 1)
        bpy.context.view_layer.update()
        assert changes.view_key(view_of()) != before
    finally:
        changes.unwatch()


def test_pictures_of_our_own_do_not_change_the_key(addon: Any, scene: Any) -> None:
    import bpy

    from addon.blender.capture import changes
    from addon.blender.display.live_view import Display

    cube(scene, (0, 0, 0))
    changes.watch()
    display = Display()
    try:
        display.show(np.zeros((64, 64, 3), np.uint8))
        display.keep()
        bpy.context.view_layer.update()
        before = changes.view_key(view_of())
        for shade in (60, 120, 180):
            display.show(np.full((64, 64, 3), shade, np.uint8))
            display.keep()
            bpy.context.view_layer.update()
        assert changes.view_key(view_of()) == before
    finally:
        display.close()
        changes.unwatch()


def test_registering_twice_leaves_nothing_behind(scene: Any) -> None:
    import bpy

    from addon.blender import registration

    def handlers() -> dict[str, int]:
        lists = {name: getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)}
        return {name: len(held) for name, held in lists.items() if isinstance(held, list)}

    before = handlers()
    for _ in range(2):
        registration.register()
        assert "start" in dir(bpy.ops.draftglass)
        assert scene.draftglass.steps >= 1
        registration.unregister()
        assert not hasattr(bpy.types.Scene, "draftglass")
        assert not hasattr(bpy.types, "DRAFTGLASS_OT_start")
    assert handlers() == before


def test_the_picture_at_rest_is_larger_and_nothing_jumps(session: Any, scene: Any) -> None:
    import bpy

    def settled() -> Iterator[Any]:
        """The picture of the next settle frame."""
        sent = session.stats()["settle_sent"]
        yield
        beat_until(session, lambda s: s["settle_sent"] > sent and s["pictures"] + s["dropped"] == s["frames_sent"])
        yield session.picture()

    block = cube(scene, (0, 0, 0))
    scene.draftglass.size, scene.draftglass.settle_size = 64, 192
    at_rest(session)
    shown = session.picture()
    assert shown.settled and max(shown.size) == 192 and max(shown.request.frame.image.shape[:2]) == 192
    image = bpy.data.images["Draftglass"]
    sizes = []
    session.on_picture.append(lambda picture: sizes.append((max(picture.size), max(image.size))))
    for change in (lambda: setattr(block.location, "x", 0.5), lambda: setattr(scene.draftglass, "settle_size", 0)):
        watch = settled()
        next(watch)
        change()
        bpy.context.view_layer.update()
        assert next(watch).settled
    assert sizes[0] == (64, 192), "the Image keeps the size of the picture at rest"
    assert (192, 192) in sizes and sizes[-1][0] == 64, "another size at rest is another picture"


def test_steady_sends_what_it_takes_and_off_sends_what_it_always_did(session: Any, scene: Any) -> None:
    cube(scene, (0, 0, 0))
    shown: list[Any] = []
    session.on_picture.append(shown.append)
    at_rest(session)
    assert all(one.request.after is None and one.request.frame.ids is None for one in shown)
    scene.draftglass.steady = 0.5
    at_rest(session)
    newest = shown[-1].request
    assert newest.style.steady == 0.5 and newest.after is not None
    assert newest.frame.ids is not None and len(newest.frame.objects) == 1
