"""Pixels that a script writes into an image of the scene are noticed, and nothing is read without a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bpy.test_out_of_the_way import beat_until, live, rest, server, start

__all__ = ["live", "server"]  # fixtures


def paint(image: Any, value: float) -> None:
    image.pixels.foreach_set(np.full(len(image.pixels), value, np.float32))
    image.update()


def use(image: Any) -> None:
    """Give ``image`` a user in the scene."""
    import bpy

    empty = bpy.data.objects.new("ShownPicture", None)
    empty.empty_display_type, empty.data = "IMAGE", image


@pytest.fixture
def textures(blender: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Told of draws by hand, as nothing is drawn without a window."""
    from addon.blender.capture import painted_images

    monkeypatch.setattr(painted_images, "LEAST_PAUSE", 0.0)
    monkeypatch.setattr(painted_images, "SHARE", float("inf"))
    blender.ops.wm.read_factory_settings(use_empty=True)
    watching = painted_images.Textures()
    yield watching
    watching.close()


@pytest.fixture
def image(textures: Any) -> Any:
    """Of a material, painted and seen."""
    import bpy

    made = bpy.data.images.new("skin", 64, 64)
    use(made)
    paint(made, 0.2)
    textures._note()
    assert textures.changed()
    return made


def test_each_write_is_noticed_once_after_a_draw(textures: Any, image: Any) -> None:
    assert not textures.changed()
    for value in (0.4, 0.6):
        paint(image, value)
        assert not textures.changed(), "the viewport was not drawn"
        textures._note()
        assert textures.changed() and not textures.changed()
        textures._note()
        assert not textures.changed(), "the same pixels"
    image.pixels[4 * 1000] = 1.0
    textures._note()
    assert textures.changed(), "one pixel"


def by_saving(image: Any, folder: Path) -> None:
    image.filepath_raw, image.file_format = str(folder / "skin.png"), "PNG"
    image.save()


@pytest.mark.parametrize("clean", [lambda image, folder: image.pack(), by_saving], ids=["packed", "saved"])
def test_written_and_kept_in_one_go(
    textures: Any, image: Any, tmp_path: Path, clean: Callable[[Any, Path], None]
) -> None:
    paint(image, 0.7)
    clean(image, tmp_path)
    assert not image.is_dirty
    textures._note()
    assert textures.changed()
    textures._note()
    assert not textures.changed()
    paint(image, 0.1)
    textures._note()
    assert textures.changed()


def test_what_cannot_be_seen_is_not_read(textures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import bpy

    from addon.blender.capture import painted_images as module
    from addon.blender.display import live_image

    monkeypatch.setattr(module, "_look", lambda image: pytest.fail(f"{image.name} was read"))
    paint(bpy.data.images.new("nobody's", 64, 64), 0.5)
    kept = bpy.data.images.new("kept", 64, 64)
    kept.use_fake_user = True
    paint(kept, 0.5)
    ours = live_image.make(64, 64)
    live_image.write(np.zeros((64, 64, 3), np.uint8))
    use(ours)
    assert ours.is_dirty
    textures._note()
    assert not textures.changed()


def test_a_large_image_is_read_seldom(textures: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.blender.capture import painted_images as module

    monkeypatch.setattr(module, "SHARE", 1e-9)
    paint(image, 0.5)
    textures._note()
    assert textures.changed()
    paint(image, 0.6)
    textures._note()
    assert not textures.changed(), "it would take all of the time"


def test_live_follows_and_comes_to_rest(live: Any, scene: Any) -> None:
    import bpy

    block = bpy.data.images.new("block", 32, 32)
    paint(block, 0.1)
    empty = bpy.data.objects.new("Block", None)
    empty.empty_display_type, empty.data = "IMAGE", block
    scene.collection.objects.link(empty)
    start(live)
    sent = rest(live)["frames_sent"]
    counted = live._session._textures
    edits = []

    from addon.blender.capture import changes

    key = changes._edits
    paint(block, 0.9)
    counted._note()
    beat_until(live, lambda stats: changes._edits > key)
    edits.append(changes._edits)
    rest(live)
    assert changes._edits == edits[0], "it does not come to rest"
    assert live.stats()["frames_sent"] >= sent
    live.stop()
    assert counted._handler is None
