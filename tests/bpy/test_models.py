"""The scene's model is asked for at each server that live comes to, and again when it is chosen again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from addon.wire import Entry, LoadModel, Message, ModelProgress, Models
from tests.bpy.test_out_of_the_way import beat_until, start
from tests.plain.live.servers import script
from tests.plain.live.test_models import Shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A server with models that begins with its own at each connection, as one that was started anew does."""
    yield Shop()


@pytest.fixture
def live(scene: Any, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Registered, with that server named."""
    from addon.blender import registration
    from addon.blender.live import models
    from addon.blender.live import switch as live

    registration.register()
    scene.draftglass.size, scene.draftglass.settle_size = 64, 0
    monkeypatch.setattr(models, "LOOK_SECONDS", 0.0)
    with script(shop) as address:
        chosen = SimpleNamespace(server_url=address.url, token=address.token, token_file="", server_python="")
        monkeypatch.setattr(live, "preferences", lambda: chosen)
        yield live
        live.stop()
    registration.unregister()


def loads(live: Any, shop: Shop) -> list[Message]:
    """What it was asked to load since the last look; waits for the first, and a while for more."""
    found: list[Message] = []

    def look(_: object = None) -> bool:
        heard = [shop.heard.get() for _ in range(shop.heard.qsize())]
        found.extend(message for message in heard if isinstance(message, LoadModel))
        return bool(found)

    beat_until(live, look)
    end = time.monotonic() + 0.5
    beat_until(live, lambda _: time.monotonic() > end)
    look()
    return found


def test_a_server_that_was_started_anew_is_asked_again(live: Any, scene: Any, shop: Shop) -> None:
    scene.draftglass.models.model = "sd15"
    start(live)
    assert loads(live, shop) == [LoadModel("sd15")]
    shop.hang_up.set()
    scene.draftglass.prompt = "a frame, so that it hears of the end"
    assert loads(live, shop) == [LoadModel("sd15")], "once more, and not twice"
    beat_until(live, lambda stats: stats["connections"] == 2 and live.loop().model == "sd15")


def test_choosing_a_model_again_asks_again(live: Any, scene: Any, shop: Shop) -> None:
    import bpy

    scene.draftglass.models.model = "broken"
    start(live)
    assert loads(live, shop) == [LoadModel("broken")]
    beat_until(live, lambda _: "cut off" in live.sentence())
    bpy.ops.draftglass.use_model(name="broken")
    assert loads(live, shop) == [LoadModel("broken")]


def test_the_scenes_model_is_asked_for_once_it_is_downloaded(live: Any, scene: Any, shop: Shop) -> None:
    from addon.blender.live import models

    scene.draftglass.models.model = "nothing"
    start(live)
    assert loads(live, shop) == [LoadModel("nothing")]
    beat_until(live, lambda _: models.missing(scene))
    said = live.loop()._wishes.take
    said(ModelProgress("nothing", "pulling", 1, 4))
    assert models.missing(scene) == "", "it is on its way"
    said(ModelProgress("nothing", "done", 4, 4))
    said(Models((Entry("nothing", installed=True),)))
    assert loads(live, shop) == [LoadModel("nothing")], "once, and not twice"


def test_a_model_that_the_server_does_not_have_is_said(live: Any, scene: Any, shop: Shop) -> None:
    from addon.blender.live import models

    scene.draftglass.models.model = "nothing"
    start(live)
    beat_until(live, lambda stats: stats["pictures_shown"] > 0 and models.missing(scene))
    assert models.missing(scene).startswith("The server does not have this scene's model, nothing:")
    scene.draftglass.models.model = ""
    assert models.missing(scene) == ""
    scene.draftglass.models.model = live.loop().model
    assert models.missing(scene) == ""
    live.stop()
    assert models.missing(scene) == ""
