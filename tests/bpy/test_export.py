"""The textured scene as GLB and USDZ: read again, checked, and drawn by three.js from the same view."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.export import browser

NAME = "Draftglass ü/1: a?"


def picture(name: str, seed: int) -> Any:
    """A packed image of coloured squares."""
    import bpy

    image = bpy.data.images.new(name, 32, 32)
    colours = np.random.default_rng(seed).random((4, 4, 3), np.float32)
    pixels = np.ones((32, 32, 4), np.float32)
    pixels[..., :3] = colours.repeat(8, 0).repeat(8, 1)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def textured(name: str, image: Any, layer: str, kind: str = "Emission") -> Any:
    """A material that shows ``image``: as emission, or as a Principled surface's colour."""
    import bpy

    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    output, texture = tree.nodes.new("ShaderNodeOutputMaterial"), tree.nodes.new("ShaderNodeTexImage")
    uv, surface = tree.nodes.new("ShaderNodeUVMap"), tree.nodes.new(f"ShaderNode{kind}")
    texture.image, uv.uv_map = image, layer
    tree.links.new(uv.outputs[0], texture.inputs[0])
    tree.links.new(texture.outputs[0], surface.inputs[0])
    tree.links.new(surface.outputs[0], output.inputs[0])
    tree.nodes.active = texture
    return material


def box(name: str, at: tuple[float, float, float], material: Any) -> Any:
    """A cube with a layer of its own that collapses to a point, and behind it the one that the material reads."""
    import bpy

    bpy.ops.mesh.primitive_cube_add(size=1, location=at)
    made = bpy.context.object
    made.name = made.data.name = name
    own = made.data.uv_layers[0]
    ours = made.data.uv_layers.new(name="Draftglass", do_init=True)
    own.uv.foreach_set("vector", np.zeros(len(made.data.loops) * 2, np.float32))
    ours.active = ours.active_render = True
    made.data.materials.append(material)
    return made


@pytest.fixture
def town(scene: Any) -> Any:
    """Solids of every kind of placement, textured; and what nobody sees."""
    import bpy

    tower = box("Tower", (0, 0, 0), textured("Draftglass Tower", picture(NAME, 1), "Draftglass"))
    mirrored = bpy.data.objects.new("Tower.001", tower.data)
    mirrored.location, mirrored.scale = (2, 0, 0), (-1, 1, 1.5)
    scene.collection.objects.link(mirrored)
    parent = bpy.data.objects.new("Parent", None)
    parent.scale = (1, 3, 1)
    scene.collection.objects.link(parent)
    sheared = box("Sheared", (0, 0.5, 2), tower.data.materials[0])
    sheared.parent, sheared.rotation_euler = parent, (0.3, 0.5, 0.7)
    base_colour = textured("Draftglass Lit", picture("Draftglass Lit", 2), "Draftglass", "BsdfPrincipled")
    lit = box("Lit", (-2, 0, 0), base_colour)
    lit.modifiers.new("Bevel", "BEVEL").width = 0.1
    slot = lit.material_slots[0]
    slot.link, slot.material, lit.data.materials[0] = "OBJECT", base_colour, None
    zero = bpy.data.meshes.new("Zero")
    corners = [(0, 0, 3), (1, 0, 3), (1, 1, 3), (0, 1, 3), (0, 0, 3), (2, 0, 3)]
    zero.from_pydata(corners, [], [(0, 1, 2, 3), (4, 1, 5)])
    zero.uv_layers.new(name="Draftglass")
    zero.materials.append(tower.data.materials[0])
    scene.collection.objects.link(bpy.data.objects.new("Zero", zero))
    group = bpy.data.collections.new("Group")
    cone = box("Post", (0, 0, -2), tower.data.materials[0])
    scene.collection.objects.unlink(cone)
    group.objects.link(cone)
    for x in (-1, 1):
        instance = bpy.data.objects.new("Instance", None)
        instance.instance_type, instance.instance_collection, instance.location = "COLLECTION", group, (x, 0, 0)
        scene.collection.objects.link(instance)
    box("Hidden", (0, 0, 0), None).hide_set(True)
    box("Cutter", (0, 0, 0), None).display_type = "WIRE"
    line = bpy.data.meshes.new("Line")
    line.from_pydata([(0, 0, 0), (1, 0, 0)], [(0, 1)], [])
    scene.collection.objects.link(bpy.data.objects.new("Line", line))
    bpy.context.view_layer.update()
    return scene


@pytest.fixture
def write(town: Any) -> Callable[[Path], None]:
    """write(path): export what the view shows."""
    import bpy

    from addon.blender.capture.spaces import any_space
    from addon.blender.export.write import export

    return lambda path: export(path, bpy.context.view_layer, any_space()[0])


def read(glb: Path) -> dict[str, Any]:
    """The JSON of a GLB."""
    data = glb.read_bytes()
    length = struct.unpack("<I", data[12:16])[0]
    made: dict[str, Any] = json.loads(data[20 : 20 + length])
    return made


def shown() -> dict[str, np.ndarray]:
    """The corners in the world of everything that is seen, sorted, by the name of its object and its place."""
    import bpy

    found = {}
    for instance in bpy.context.evaluated_depsgraph_get().object_instances:
        thing = instance.object
        seen = (instance.parent or thing).visible_get() and thing.display_type == "TEXTURED"
        if thing.type == "MESH" and seen and len(thing.data.polygons):
            corners = np.array([(instance.matrix_world @ vertex.co)[:] for vertex in thing.data.vertices])
            used = np.unique([index for face in thing.data.polygons if face.area > 0 for index in face.vertices])
            place = tuple(corners[used].mean(0).round(2) + 0.0)
            found[f"{thing.name.split('.')[0]} {place}"] = np.unique(corners[used].round(4) + 0.0, axis=0)
    return found


def test_a_glb_read_again_is_the_scene(town: Any, write: Callable[[Path], None], tmp_path: Path) -> None:
    import bpy

    before, names = shown(), sorted(block.name_full for block in bpy.data.user_map())
    pixels = np.array(bpy.data.images[NAME].pixels)
    write(tmp_path / "town.glb")
    assert sorted(block.name_full for block in bpy.data.user_map()) == names, "something is left, or renamed"
    assert bpy.context.window.scene == town
    made = read(tmp_path / "town.glb")
    assert sorted(node["name"] for node in made["nodes"]) == sorted(
        ["Tower", "Tower.001", "Sheared", "Lit", "Zero", "Post", "Post.001"]
    )
    for mesh in made["meshes"]:
        for primitive in mesh["primitives"]:
            assert [name for name in primitive["attributes"] if name.startswith("TEXCOORD")] == ["TEXCOORD_0"]
    by_name = {material["name"]: material for material in made["materials"]}
    assert sorted(by_name) == ["Draftglass Lit", "Draftglass Tower"]
    assert "KHR_materials_unlit" in by_name["Draftglass Tower"]["extensions"]
    assert "extensions" not in by_name["Draftglass Lit"]
    assert all(material["doubleSided"] for material in by_name.values()), "as the viewport shows it"
    assert "cameras" not in made and made["extensionsUsed"] == ["KHR_materials_unlit"]
    meshes = {node["name"]: node["mesh"] for node in made["nodes"]}
    assert meshes["Post"] == meshes["Post.001"], "instances share their mesh"

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.preferences.addon_enable(module="io_scene_gltf2")
    bpy.ops.import_scene.gltf(filepath=str(tmp_path / "town.glb"), loglevel=40)
    bpy.context.view_layer.update()
    after = shown()
    assert sorted(after) == sorted(before)
    for name, corners in before.items():
        assert after[name].shape == corners.shape and np.allclose(after[name], corners, atol=2e-4), name
    image = next(image for image in bpy.data.images if image.name.startswith(NAME[:10]) and "Lit" not in image.name)
    assert np.abs(np.array(image.pixels) - pixels).max() < 1 / 255
    tower = bpy.data.objects["Tower"].data
    assert np.ptp([loop.vector[:] for loop in tower.uv_layers[0].uv], axis=0).min() > 0.5, "the layer that is painted"


def test_a_glb_is_in_metres(town: Any, write: Callable[[Path], None], tmp_path: Path) -> None:
    town.unit_settings.scale_length = 0.01
    write(tmp_path / "town.glb")
    made = read(tmp_path / "town.glb")
    widths = [np.subtract(one["max"], one["min"]).max() for one in made["accessors"] if "max" in one]
    scales = [max(node.get("scale", (1,))) for node in made["nodes"]]
    assert min(widths) < 0.05 or max(scales) < 0.05


def test_a_usdz_passes_as_quick_look_wants_it(town: Any, write: Callable[[Path], None], tmp_path: Path) -> None:
    """By the very code of ``usdchecker --arkit``, from the USD that Blender's module brings."""
    import bpy

    names = sorted(block.name_full for block in bpy.data.user_map())
    write(tmp_path / "town.usdz")
    assert sorted(block.name_full for block in bpy.data.user_map()) == names
    sys.path.extend(map(str, Path(bpy.__file__).parents[3].glob("python/lib/python*/site-packages")))
    from pxr import Usd, UsdGeom, UsdShade, UsdUtils

    checker = UsdUtils.ComplianceChecker(arkit=True)
    checker.CheckCompliance(str(tmp_path / "town.usdz"))
    assert [*checker.GetErrors(), *checker.GetFailedChecks(), *checker.GetWarnings()] == []
    stage = Usd.Stage.Open(str(tmp_path / "town.usdz"))
    assert UsdGeom.GetStageUpAxis(stage) == "Y" and UsdGeom.GetStageMetersPerUnit(stage) == 1
    meshes = [prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    assert len(meshes) == 7
    for prim in meshes:
        assert UsdGeom.PrimvarsAPI(prim).GetPrimvar("st")
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        surface = material.ComputeSurfaceSource()[0]
        lit = "Lit" in material.GetPrim().GetName()
        assert surface.GetInput("diffuseColor" if lit else "emissiveColor").HasConnectedSource()
        texture = UsdShade.Shader(
            surface.GetInput("diffuseColor" if lit else "emissiveColor").GetConnectedSources()[0][0].source
        )
        assert texture.GetInput("file").Get().resolvedPath, "a texture within the file"


@pytest.mark.parametrize("name", ["town.fbx", "town", "town.gltf", "missing/town.glb"])
def test_what_cannot_be_written_is_said(town: Any, write: Callable[[Path], None], tmp_path: Path, name: str) -> None:
    from addon.blender.export.write import ExportError
    from addon.problems.exporting import FileNotWritable, UnknownFormat

    with pytest.raises(ExportError) as caught:
        write(tmp_path / name)
    assert isinstance(caught.value.problem, FileNotWritable if "/" in name else UnknownFormat)
    assert str(caught.value).count(".\n") == 0 and name in str(caught.value)


def test_nothing_shown_leaves_an_older_file(scene: Any, tmp_path: Path) -> None:
    import bpy

    from addon.blender.capture.spaces import any_space
    from addon.blender.export.write import ExportError, export
    from addon.problems.exporting import NothingToExport

    (tmp_path / "old.glb").write_bytes(b"old")
    with pytest.raises(ExportError) as caught:
        export(tmp_path / "old.glb", bpy.context.view_layer, any_space()[0])
    assert isinstance(caught.value.problem, NothingToExport)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("old.glb", b"old")]


@pytest.mark.slow
def test_three_js_shows_what_blender_shows(town: Any, write: Callable[[Path], None], tmp_path: Path) -> None:
    """Needs Node, Chromium, and what tests/export/package.json names; says so where they are missing."""
    import bpy

    from addon.blender.capture.offscreen import Capturer
    from addon.blender.capture.spaces import any_space
    from addon.blender.scene_file.choice import Choice
    from addon.blender.scene_file.views import camera_view

    if browser.lacking():
        pytest.skip(browser.lacking())
    write(tmp_path / "town.glb")
    issues = browser.validate(tmp_path / "town.glb")["issues"]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
    space, region = any_space()
    space.shading.color_type, space.overlay.show_overlays = "TEXTURE", False
    view = camera_view(Choice(town, bpy.context.view_layer, space, region), 256, 256)
    draft = Capturer().draw(view, 256, 256)
    camera = {"view": np.array(draft.view).tolist(), "projection": np.array(draft.projection).tolist()}
    background = draft.image[0, 0] / 255
    drawn = browser.draw(tmp_path / "town.glb", [camera], (256, 256), background)[0]
    error = np.square(drawn.astype(float) - draft.image).mean()
    assert 10 * np.log10(255**2 / error) >= 24
