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
    return float(10 * np.log10(255**2 / max(np.mean((first.astype(float) - second.astype(float)) ** 2), 1e-6)))


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


def test_all_round_each_view_makes_only_what_is_empty(scene: Any, stick: Any) -> None:
    from addon.blender.stick.around import Around, AroundSettings
    from addon.blender.stick.choice import Way
    from addon.blender.stick.settings import StickSettings
    from addon.blender.stick.sticking import Sticker

    box = ball(scene, (0, 0, 0), radius=2)
    shades = iter([(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (40, 200, 200), (200, 40, 200)])

    def render(draft: Any) -> np.ndarray:
        colour = np.array(next(shades), np.uint8)
        made = np.ones(draft.image.shape[:2], bool) if draft.strength is None else draft.strength > 0
        return np.where(made[..., None], colour, draft.image)

    sticker = Sticker(StickSettings(texture_size=256))
    job = Around(sticker, stick.capturer, stick.view(), (SIZE, SIZE), AroundSettings(views=5, way=Way.DOME), render)
    done = list(job.run())
    assert 3 <= len(done) <= 5 and done[0].draft.strength is None
    assert any((one.draft.strength == 0).sum() > 100 for one in done[1:]), "what was seen well is kept"
    own, some = job.covered(16)
    assert own > 0.97 and some == 1
    front = stick.look().image[SIZE // 2, SIZE // 2]
    assert tuple(front) == pytest.approx((200, 40, 40), abs=2)
    before = colours_of(box)
    job.take_back(done[1].number)
    assert len(job.done) == len(done) - 1 and not np.array_equal(colours_of(box), before)
    assert job.covered(16)[0] < own
    job.free()
    sticker.free()


def test_a_small_piece_that_is_seen_near_gets_its_texels(scene: Any, stick: Any) -> None:
    """Of a wide floor, whose own map has no room for them; and none more for being stuck to again."""
    import bpy

    steps, floor = 40, bpy.data.meshes.new("Floor")
    y, x = np.mgrid[: steps + 1, : steps + 1].reshape(2, -1)
    places = np.stack([x * 2.5 - 50, y * 2.5 - 10, np.full(len(x), -1.5)], 1)
    corner = np.arange(steps * (steps + 1)).reshape(steps, -1)[:, :-1].reshape(-1)
    faces = np.stack([corner, corner + 1, corner + steps + 2, corner + steps + 1], 1)
    floor.from_pydata(places.tolist(), [], faces.tolist())
    uv = (np.stack([x, y], 1) / steps).astype(np.float32)[faces.reshape(-1)]
    floor.uv_layers.new(name="Mine").uv.foreach_set("vector", uv.reshape(-1))
    thing = bpy.data.objects.new("Floor", floor)
    scene.collection.objects.link(thing)
    y, x = np.mgrid[:SIZE, :SIZE]
    picture = np.round(127.5 + 100 * np.stack([np.sin(x / 9 + n) * np.cos(y / (8 + n)) for n in range(3)], -1))
    picture = picture.astype(np.uint8)
    sizes = []
    for _ in range(2):
        stick(picture)
        sizes.append(thing["draftglass_stick"]["image"].size[0])
        seen = stick.look()
        inside = interior(seen)
        assert inside.sum() > 2000
        assert likeness(seen.image[inside], picture[inside]) > 30
    assert thing["draftglass_stick"]["layer"] == "Draftglass" and sizes[0] == sizes[1] <= 512


def test_what_is_stuck_is_the_memory_of_steady(scene: Any, stick: Any) -> None:
    """Kept where a picture has been, from elsewhere too, and through a turn; made where none has."""
    from addon.blender.live.memory import Memory

    box, memory = cube(scene, (0, 0, 0), (0.5, 0.5, 0.5, 1), size=3), Memory()
    assert memory.over(stick.view(), stick.look(), 1.0) is None, "nothing is stuck"
    stick(waves())
    middle = slice(SIZE // 2 - 8, SIZE // 2 + 8), slice(SIZE // 2 - 8, SIZE // 2 + 8)
    for turn, kept in ((0.0, True), (0.3, True), (np.pi, False), (0.0, True)):
        box.rotation_euler[2] = turn
        view, draft = stick.view(), stick.look()
        over = memory.over(view, draft, 1.0)
        found = over.strength[middle] if over is not None else np.full((16, 16), 255)
        assert (found == (0 if kept else 255)).all(), turn
        if over is not None:
            assert over.strength[0, 0] == 255, "the background is made"
            assert likeness(over.image[middle], draft.image[middle]) > 30
    over = memory.over(stick.view(), stick.look(), 0.6)
    assert (over.strength[middle] == round(0.4 * 255)).all()
    memory.free()


def colours_of(thing: Any) -> np.ndarray:
    image = thing["draftglass_stick"]["image"]
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    return pixels


def test_no_seam_is_steeper_than_the_picture(scene: Any, stick: Any) -> None:
    """Across UV seams, with bilinear sampling and in two smaller mipmaps."""
    box = ball(scene, (0, 0, 0), radius=2)
    picture = waves()
    stick(picture)
    image = box["draftglass_stick"]["image"]
    size = image.size[0]
    levels = [colours_of(box).reshape(size, size, 4)[..., :3] * 255]
    for _ in range(2):
        half = levels[-1]
        levels.append((half[0::2, 0::2] + half[1::2, 0::2] + half[0::2, 1::2] + half[1::2, 1::2]) / 4)
    view = stick.view()
    to_clip = np.array(view.projection_matrix) @ np.array(view.view_matrix) @ np.array(box.matrix_world)
    mesh, layer = box.data, box.data.uv_layers["Draftglass"].data
    sides: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = {}
    for face in mesh.polygons:
        loops = list(face.loop_indices)
        for first, second in zip(loops, [*loops[1:], loops[0]], strict=True):
            ends = sorted(
                ((mesh.loops[one].vertex_index, np.array(layer[one].uv)) for one in (first, second)), key=lambda e: e[0]
            )
            sides.setdefault((ends[0][0], ends[1][0]), []).append((ends[0][1], ends[1][1]))
    steps = [np.abs(np.roll(picture.astype(float), 1, axis) - picture).max(2) for axis in (0, 1)]
    steep = np.pad(np.max(steps, 0)[1:-1, 1:-1], 1)
    for _ in range(2):  # the steepest within two pixels
        steep = np.max([np.roll(steep, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)], 0)
    found = 0
    for (one, other), pairs in sides.items():
        if len(pairs) != 2 or np.allclose(pairs[0], pairs[1], atol=1e-6):
            continue
        place = (np.array(mesh.vertices[one].co) + np.array(mesh.vertices[other].co)) / 2
        facing = (np.array(box.location) - place) @ (place - (0, -10, 0))
        clip = to_clip @ (*place, 1.0)
        x, y = (clip[0] / clip[3] + 1) / 2 * SIZE, (1 - clip[1] / clip[3]) / 2 * SIZE
        if facing < 6:  # seen at a grazing angle, or not at all
            continue
        for number, level in enumerate(levels):
            across = [sampled(level, (uv[0] + uv[1]) / 2) for uv in pairs]
            step = max(steep[int(y), int(x)], 4) * 2**number  # a texel of a smaller mipmap is that many pixels wide
            assert np.abs(across[0] - across[1]).max() <= 1.5 * step, (number, facing)
        found += 1
    assert found > 10


def sampled(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Bilinear."""
    x, y = at * image.shape[0] - 0.5
    left, low = int(np.floor(x)), int(np.floor(y))
    part = x - left, y - low
    rows = [image[row, left] * (1 - part[0]) + image[row, left + 1] * part[0] for row in (low, low + 1)]
    return rows[0] * (1 - part[1]) + rows[1] * part[1]
