"""A picture laid on surfaces, looked at again; in Blender's module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.bpy.shapes import ball, cube

SIZE = 128


@pytest.fixture
def stick(scene: Any) -> Iterator[Any]:
    """Lay a picture on what the scene's camera sees; and see the scene again as it is then."""
    from addon.blender.capture.offscreen import Capturer, view_from_camera
    from addon.blender.stick.settings import StickSettings
    from addon.blender.stick.sticking import Sticker

    class Rig:
        settings = StickSettings(texture_size=512)

        def __init__(self) -> None:
            self.capturer = Capturer(patient=True)

        def view(self) -> Any:
            scene.view_layers[0].update()
            view = view_from_camera(scene, SIZE, SIZE)
            shading = view.space.shading
            shading.color_type, shading.light, shading.show_object_outline = "TEXTURE", "FLAT", False
            shading.show_cavity = shading.show_shadows = shading.show_backface_culling = False
            return view

        def __call__(self, picture: np.ndarray, only: Any = None, **changed: Any) -> Any:
            sticker = Sticker(StickSettings(**{"texture_size": 512, **changed}))
            try:
                return sticker.stick(self.view(), picture, only)
            finally:
                sticker.free()

        def look(self) -> Any:
            return self.capturer.draw(self.view(), SIZE, SIZE)

    rig = Rig()
    yield rig
    rig.capturer.free()


def waves() -> np.ndarray:
    """A picture with a pattern that differs from place to place."""
    y, x = np.mgrid[:SIZE, :SIZE]
    planes = [np.sin(x / 5.0 + n) * np.cos(y / (6.0 + n)) for n in range(3)]
    return np.round(127.5 + 100 * np.stack(planes, -1)).astype(np.uint8)


def interior(draft: Any, reach: int = 4) -> np.ndarray:
    """Pixels on a surface, off the depth edges."""
    from addon.blender.stick.projection import away_from
    from addon.geometry.surfaces import beside_edges

    inverse = (draft.inverse_depth / 65535 / draft.near).astype(np.float32)
    return (inverse > 0) & (away_from(beside_edges(inverse), reach) == 1)


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal to noise, in dB."""
    return float(10 * np.log10(255**2 / np.mean((first.astype(float) - second.astype(float)) ** 2)))


def test_from_where_it_was_stuck_the_scene_looks_like_the_picture(scene: Any, stick: Any) -> None:
    first, second = cube(scene, (-1.5, 0, 0), size=2), ball(scene, (1.5, 2, 0), radius=1.4)
    first.rotation_euler = (0.3, 0.2, 0.6)
    second.scale = (-1, 1, 1.2)
    stuck = stick(waves())
    assert set(stuck.things) == {first, second} and not stuck.refusals
    seen = stick.look()
    inside = interior(seen)
    assert inside.sum() > 1500
    assert likeness(seen.image[inside], waves()[inside]) > 30


def test_no_object_gets_the_colour_of_another(scene: Any, stick: Any) -> None:
    """A red box before a green one, each in its own colour in the picture, looked at from elsewhere."""
    near, far = cube(scene, (0.4, -2, 0), size=1.5), cube(scene, (0, 2, 0), size=4)
    draft = stick.look()
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    distance = 65535 * draft.near / np.maximum(draft.inverse_depth, 1)
    picture[distance < 9], picture[distance >= 9] = (255, 0, 0), (0, 255, 0)
    stick(picture)
    for thing, wrong in ((near, 1), (far, 0)):
        image = thing["draftglass_stick"]["image"]
        pixels = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(pixels)
        states = np.empty(len(image.pixels), np.float32)
        thing["draftglass_stick"]["seen"].pixels.foreach_get(states)
        clear = (states.reshape(-1, 4)[:, 0] > 0) & (states.reshape(-1, 4)[:, 1] == 1)
        assert clear.sum() > 500
        assert pixels.reshape(-1, 4)[clear, wrong].max() == 0
