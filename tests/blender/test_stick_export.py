"""The textured scene written by what a person presses, in a real Blender."""

import json
import struct
import zipfile
from pathlib import Path

from tests.blender.window import Window

BEGIN = """
bpy.context.preferences.view.filebrowser_display_type = "SCREEN"
image = bpy.data.images.new("Bricks", 64, 64)
image.generated_type = "COLOR_GRID"
image.pack()
material = bpy.data.materials.new("Draftglass Cube")
material.use_nodes = True
tree = material.node_tree
tree.nodes.clear()
texture, light, output = (
    tree.nodes.new(f"ShaderNode{kind}") for kind in ("TexImage", "Emission", "OutputMaterial")
)
texture.image = image
tree.links.new(texture.outputs[0], light.inputs[0])
tree.links.new(light.outputs[0], output.inputs[0])
bpy.data.objects["Cube"].data.materials[0] = material
def browser():
    return next((a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "FILE_BROWSER"), None)
before = {kind: sorted(getattr(bpy.data, kind).keys()) for kind in ("objects", "meshes", "materials", "scenes")}
"""


def test_exported_by_the_dialog(window: Window, tmp_path: Path) -> None:
    run = window.run
    run(BEGIN)
    written = {}
    for ending in (".glb", ".usdz"):
        path = tmp_path / f"town{ending}"
        run(f"bpy.ops.draftglass.stick_export('INVOKE_DEFAULT', filepath={str(path)!r}, format={ending!r})")
        window.until("browser() is not None and browser().spaces[0].params is not None")
        assert run("browser().spaces[0].params.filename") == path.name
        window.catch_up()
        left, top, width, height = window.rectangle("FILE_BROWSER")
        window.screen.move_to(left + width // 2, top + height // 2)
        window.screen.key("Return")
        window.until("browser() is None")
        window.catch_up()
        written[ending] = path
    glb = written[".glb"].read_bytes()
    assert glb[:4] == b"glTF" and len(glb) == struct.unpack_from("<I", glb, 8)[0]
    about = json.loads(glb[20 : 20 + struct.unpack_from("<I", glb, 12)[0]])
    assert [node["name"] for node in about["nodes"]] == ["Cube"] and len(about["images"]) == 1
    assert "KHR_materials_unlit" in about["materials"][0]["extensions"]
    if run("'usd_export' in dir(bpy.ops.wm)"):
        names = zipfile.ZipFile(written[".usdz"]).namelist()
        assert names[0].endswith((".usdc", ".usda")) and any(name.endswith(".png") for name in names)
    else:  # a Blender that was built without: said, and nothing half written is left
        assert not written[".usdz"].exists()
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.suffix in written) == sorted(
        path.suffix for path in written.values() if path.exists()
    )
    assert run("before == {kind: sorted(getattr(bpy.data, kind).keys()) for kind in before}")
