"""*Export Textured Scene* in a real Blender, by the keyboard: the dialog, its file, and a scene left as it was."""

import json
import struct
from pathlib import Path

from tests.blender.window import Window

TEXTURED = """
image = bpy.data.images.new("Draftglass Cube", 64, 64)
image.generated_type = "COLOR_GRID"
image.pack()
material = bpy.data.materials.new("Draftglass Cube")
if material.node_tree is None:
    material.use_nodes = True
tree = material.node_tree
tree.nodes.clear()
texture, shader = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeEmission")
output = tree.nodes.new("ShaderNodeOutputMaterial")
texture.image = image
tree.links.new(texture.outputs[0], shader.inputs[0])
tree.links.new(shader.outputs[0], output.inputs[0])
cube = bpy.data.objects["Cube"]
cube.material_slots[0].link = "OBJECT"
cube.material_slots[0].material = material
cube.scale.x = -2
def names():
    return sorted(block.name_full for block in bpy.data.user_map() if not isinstance(block, bpy.types.Brush))
"""


def test_the_dialog_writes_what_the_view_shows(window: Window, tmp_path: Path) -> None:
    window.run(TEXTURED)
    window.run("bpy.ops.object.mode_set(mode='EDIT')")
    before = window.run("names()")
    target = tmp_path / "cube.glb"
    window.run("bpy.context.preferences.view.filebrowser_display_type = 'WINDOW'")
    window.run(f"bpy.ops.draftglass.stick_export('INVOKE_DEFAULT', filepath={str(target)!r})")
    window.until("len(bpy.context.window_manager.windows) > 1")
    window.run(
        "dialog = bpy.context.window_manager.windows[-1]\n"
        "area = dialog.screen.areas[0]\n"
        "with bpy.context.temp_override(window=dialog, area=area, region=area.regions[0]):\n"
        "    bpy.ops.file.execute()"
    )
    window.until(f"__import__('pathlib').Path({str(target)!r}).exists()")
    window.catch_up()
    assert window.run("[names(), bpy.context.mode, bpy.context.scene.name]") == [before, "EDIT_MESH", "Scene"]
    data = target.read_bytes()
    made = json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])
    assert [node["name"] for node in made["nodes"]] == ["Cube"]
    assert made["extensionsUsed"] == ["KHR_materials_unlit"] and len(made["images"]) == 1
    window.run("bpy.ops.object.mode_set(mode='OBJECT')")
    window.run(f"bpy.ops.draftglass.stick_export(filepath={str(tmp_path / 'cube.usdz')!r})")
    assert (tmp_path / "cube.usdz").read_bytes()[:2] == b"PK"
    assert window.run("[names(), bpy.context.object.name]") == [before, "Cube"]
