"""Kinds of objects that a picture is stuck to, or why not; what the operators leave; in Blender's module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.bpy.pictures import show, shown
from tests.bpy.shapes import cube
from tests.bpy.test_stick import SIZE, colours_of, interior, likeness, stick, waves

__all__ = ["stick"]  # a fixture


def material(colour: tuple[float, float, float]) -> Any:
    import bpy

    made = bpy.data.materials.new("Own")
    made.diffuse_color = (*colour, 1)
    return made


def test_each_kind_works_or_is_refused_by_name(scene: Any, stick: Any) -> None:
    import bpy

    from addon.problems import sticking
    from addon.problems.words import remedy, sentence

    def at(column: int, row: int) -> tuple[float, float, float]:
        return (column * 1.0 - 2, 0, row * 1.0 - 1.5)

    works, refused = {}, {}
    works["shared"] = cube(scene, at(0, 0), size=0.6)
    works["shared too"] = cube(scene, at(1, 0), size=0.6)
    works["shared too"].data = works["shared"].data
    works["mirrored"] = cube(scene, at(2, 0), size=0.6)
    works["mirrored"].scale = (-1, 1, 0.8)
    works["subdivided"] = cube(scene, at(3, 0), size=0.6)
    works["subdivided"].modifiers.new("Smooth", "SUBSURF").levels = 2
    works["flat faces"] = cube(scene, at(4, 0), size=0.6)
    line = bpy.data.meshes.new("Flat")
    line.from_pydata([(0, 0, 0), (0.5, 0, 0), (0.5, 0, 0.5), (0, 0, 0.5), (0, 0, 0)], [], [(0, 1, 2, 3), (0, 1, 4)])
    works["flat faces"].data = line
    works["materials"] = cube(scene, at(0, 1), size=0.6)
    for colour in ((1, 0, 0), (0, 0, 1)):
        works["materials"].data.materials.append(material(colour))
    for polygon in works["materials"].data.polygons:
        polygon.material_index = polygon.index % 2
    works["own map"] = cube(scene, at(1, 1), size=0.6)
    own = works["own map"].data.uv_layers.new(name="Mine", do_init=False)
    for face in works["own map"].data.polygons:  # six squares side by side
        for corner, (x, y) in zip(face.loop_indices, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
            own.data[corner].uv = ((face.index % 3 + 0.9 * x) / 3, (face.index // 3 + 0.9 * y) / 2)
    works["overlaps"] = cube(scene, at(2, 1), size=0.6)
    works["overlaps"].data.uv_layers.new(name="Piled")
    refused[sticking.CopiedByModifier] = cube(scene, at(3, 1), size=0.4)
    refused[sticking.CopiedByModifier].modifiers.new("Twice", "ARRAY").count = 2
    text = bpy.data.objects.new("Words", bpy.data.curves.new("Words", "FONT"))
    text.data.body, text.location, text.rotation_euler = "X", at(1, 2), (1.57, 0, 0)
    refused[sticking.NoMesh] = text
    refused[sticking.NoFaces] = bpy.data.objects.new("Bare", bpy.data.meshes.new("Bare"))
    refused[sticking.OnlyInstances] = cube(scene, (0, 0, 0), size=0.5)
    kit = bpy.data.collections.new("Kit")
    scene.collection.objects.unlink(refused[sticking.OnlyInstances])
    kit.objects.link(refused[sticking.OnlyInstances])
    holder = bpy.data.objects.new("Holder", None)
    holder.instance_type, holder.instance_collection, holder.location = "COLLECTION", kit, at(2, 2)
    for thing in (text, refused[sticking.NoFaces], holder):
        scene.collection.objects.link(thing)
    for name, thing in works.items():
        thing.name = name
    before = {name: [slot.material for slot in thing.material_slots] for name, thing in works.items()}
    only = [*works.values(), *refused.values()]
    stuck = stick(waves(), only)
    assert {thing.name for thing in stuck.things} == set(works)
    assert {type(problem) for problem in stuck.refusals} == set(refused)
    for problem in stuck.refusals:
        assert problem.thing == refused[type(problem)].name  # type: ignore[attr-defined]
        assert sentence(problem) and remedy(problem)
    assert not refused[sticking.CopiedByModifier].data.uv_layers, "what is refused is left as it was"
    layers = {name: thing["draftglass_stick"]["layer"] for name, thing in works.items()}
    assert layers["own map"] == "Mine" and layers["overlaps"] == "Draftglass"
    assert works["shared"].material_slots[0].material != works["shared too"].material_slots[0].material
    for thing in (text, holder, refused[sticking.CopiedByModifier]):
        thing.hide_viewport = True
    seen = stick.look()
    inside = interior(seen, 3)
    assert inside.sum() > 100
    assert likeness(seen.image[inside], waves()[inside]) > 28

    from addon.blender.stick.materials import back_to_own, show_again

    for thing in works.values():
        assert back_to_own(thing)
    assert {name: [slot.material for slot in thing.material_slots] for name, thing in works.items()} == before
    assert works["overlaps"].data.uv_layers.active.name == "Piled"
    show_again(works["materials"])
    assert all(slot.material.name.startswith("Draftglass") for slot in works["materials"].material_slots)


def test_what_is_linked_works_or_is_refused_by_name(scene: Any, stick: Any, tmp_path: Any) -> None:
    """Another file's collection: linked, as instances, overridden; and meshes of it on objects of one's own."""
    import bpy

    from addon.blender.stick.sticking import NothingStuck
    from addon.problems import sticking

    library = tmp_path / "kit.blend"
    kit = bpy.data.collections.new("Kit")
    for name, x in (("Plain", -1.5), ("Ready", 1.5)):
        box = cube(scene, (x, 0, 0), size=2)
        box.name = name
        scene.collection.objects.unlink(box)
        kit.objects.link(box)
    box.data.materials.append(material((1, 0, 0)))
    own = box.data.uv_layers.new(name="Own", do_init=False)
    for face in box.data.polygons:  # six squares side by side
        for corner, (x, y) in zip(face.loop_indices, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
            own.data[corner].uv = ((face.index % 3 + 0.9 * x) / 3, (face.index // 3 + 0.9 * y) / 2)
    bpy.data.libraries.write(str(library), {kit})
    bpy.data.batch_remove([*kit.objects, kit])
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.collections = ["Kit"]
    kit = bpy.data.collections["Kit"]

    def refusals() -> dict[str, type]:
        try:
            found = stick(waves()).refusals
        except NothingStuck as error:
            found = (error.problem,)
        return {problem.thing: type(problem) for problem in found}

    holder = bpy.data.objects.new("Holder", None)
    holder.instance_type, holder.instance_collection = "COLLECTION", kit
    scene.collection.objects.link(holder)
    assert refusals() == {"Holder": sticking.OnlyInstances}
    bpy.data.objects.remove(holder)
    scene.collection.children.link(kit)
    assert refusals() == {"Plain": sticking.LinkedObject}
    kit.override_hierarchy_create(scene, scene.view_layers[0])
    for child in list(scene.collection.children):
        if child.library is not None:
            scene.collection.children.unlink(child)
    assert refusals() == {"Plain": sticking.Overridden}
    for child in list(scene.collection.children):
        scene.collection.children.unlink(child)
    mine = [bpy.data.objects.new(f"My {one.name}", one.data) for one in kit.objects]
    for one, x in zip(mine, (-1.5, 1.5), strict=True):
        one.location.x = x
        scene.collection.objects.link(one)
    stuck = stick(waves())
    assert [one.name for one in stuck.things] == ["My Ready"] and stuck.things[0]["draftglass_stick"]["layer"] == "Own"
    assert {problem.thing: type(problem) for problem in stuck.refusals} == {"My Plain": sticking.LinkedMesh}


@pytest.mark.parametrize(
    ("layout", "count"),
    [("OBJECT", 40), ("ATLAS", 40), pytest.param("OBJECT", 500, marks=pytest.mark.slow)],
)
def test_many_objects(scene: Any, stick: Any, layout: str, count: int) -> None:
    import bpy

    from addon.blender.stick.settings import Layout

    first = cube(scene, (0, 0, 0), size=0.12)
    for number in range(count):
        one = first if number == 0 else bpy.data.objects.new("Cube", first.data.copy())
        one.location = ((number % 25) * 0.14 - 1.7, 0, (number // 25) * 0.14 - 1.3)
        if number:
            scene.collection.objects.link(one)
    stuck = stick(waves(), layout=Layout(layout), texture_size=1024)
    assert len(stuck.things) == count and not stuck.refusals
    images = {thing["draftglass_stick"]["image"].name for thing in stuck.things}
    assert len(images) == (count if layout == "OBJECT" else 1)


def test_the_operator_sticks_what_live_showed_and_undo_brings_the_pixels_back(scene: Any, stick: Any) -> None:
    import bpy

    import addon
    from addon.blender.live import switch as live

    addon.register()
    try:
        name = cube(scene, (0, 0, 0), size=2).name
        bpy.ops.object.select_all(action="DESELECT")
        scene.view_layers[0].update()
        bpy.ops.ed.undo_push(message="before")
        live._newest = None
        with pytest.raises(RuntimeError, match="no picture of the view"):
            bpy.ops.draftglass.stick()
        shots = []
        for _ in range(2):
            show(shown(width=96, height=96))
            assert bpy.ops.draftglass.stick() == {"FINISHED"}
            bpy.ops.ed.undo_push(message="stuck")
            shots.append(colours_of(bpy.data.objects[name]))
        assert not np.array_equal(*shots)
        bpy.ops.ed.undo()
        assert np.array_equal(colours_of(bpy.data.objects[name]), shots[0])
        bpy.ops.ed.undo()
        thing = bpy.data.objects[name]
        assert thing.get("draftglass_stick") is None and not thing.data.uv_layers and not thing.material_slots
        bpy.ops.ed.redo()
        bpy.ops.ed.redo()
        assert np.array_equal(colours_of(bpy.data.objects[name]), shots[1])
        assert bpy.ops.draftglass.stick_back() == {"FINISHED"}
        assert not any(slot.material for slot in bpy.data.objects[name].material_slots)
    finally:
        addon.unregister()


def test_light_is_divided_out_as_far_as_the_picture_follows_it(scene: Any, stick: Any) -> None:
    from addon.blender.stick.flatten import flattened

    box = cube(scene, (0, 0, 0), (0.4, 0.5, 0.8, 1), size=2.5)
    box.rotation_euler = (0.5, 0.3, 0.7)
    view = stick.view()
    view.space.shading.color_type, view.space.shading.light = "OBJECT", "STUDIO"
    lit = stick.capturer.draw(view, SIZE, SIZE)
    inside = interior(lit)
    flat = flattened(view, lit.image)
    assert view.space.shading.light == "STUDIO"
    spread = [image[inside].astype(float).std(0).max() for image in (lit.image, flat)]
    assert spread[0] > 12 and spread[1] < spread[0] / 4
    unlit = np.full_like(lit.image, 90)
    assert likeness(flattened(view, unlit)[inside], unlit[inside]) > 50, "a picture without shading stays"


def test_coverage_colours_what_no_picture_shows(scene: Any, stick: Any) -> None:
    import bpy
    import gpu
    from mathutils import Matrix

    from addon.blender.stick_ui import overlay

    box = cube(scene, (0, 0, 0), size=2)
    stick(waves())

    def seen(turn: float) -> np.ndarray:
        box.rotation_euler[2] = turn
        view = stick.view()
        offscreen = gpu.types.GPUOffScreen(SIZE, SIZE)
        pixels = np.empty((SIZE, SIZE, 4), np.uint8)
        with offscreen.bind():
            frame = gpu.state.active_framebuffer_get()
            frame.clear(color=(0.0, 0.0, 0.0, 0.0), depth=1.0)
            overlay.draw_over(bpy.context, Matrix(view.projection_matrix) @ Matrix(view.view_matrix))
            frame.read_color(0, 0, SIZE, SIZE, 4, 0, "UBYTE", data=gpu.types.Buffer("UBYTE", pixels.shape, pixels))
        offscreen.free()
        return pixels[SIZE // 2, SIZE // 2]

    # The front was seen well, so nothing is over it; through it, the back is not tested for depth here.
    back = seen(np.pi)
    assert back[0] > 100 and back[1] < 30 and back[2] < 30, "what is empty is red"
    overlay.hide()
