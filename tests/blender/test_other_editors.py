"""What a person has in other editors and workspaces stays as it is, and the view's less usual settings are seen."""

import sys
from pathlib import Path

import pytest

from tests.blender.live_session import EXTENSION
from tests.blender.test_views import Artist, artist

__all__ = ["artist"]  # a fixture

OTHERS = f"""
import importlib
spaces = importlib.import_module("{EXTENSION}.addon.blender.capture.spaces")
def others():
    '''The 3D Views of all workspaces but the first one's, as their owner sees them.'''
    mine = bpy.context.window_manager.windows[0].screen.name if not globals().get("home") else home
    globals()["home"] = mine
    return [[s.name, v.overlay.show_overlays, v.show_gizmo, v.shading.type, v.shading.light, v.shading.show_xray,
             v.show_object_viewport_light, round(v.lens, 3), v.clip_end]
            for s in bpy.data.screens if s.name != mine
            for a in s.areas for v in a.spaces if v.type == "VIEW_3D"]
others()
"""
LENT = """
lent = []
live.on_beat.append(lambda: lent.append(len(spaces._lent)))
"""
SEEN_WHEN_SAVED = """
saved = []
bpy.app.handlers.save_post.append(lambda *_: saved.append([others(), len(spaces._lent)]))
"""
SWITCH = "bpy.context.window_manager.windows[0].workspace = bpy.data.workspaces[{!r}]"
AREAS = "sorted(a.ui_type for a in bpy.context.window_manager.windows[0].screen.areas)"
PAINT = """
image = bpy.data.images.new("skin", 32, 32)
material = bpy.data.materials.new("skin")
material.use_nodes = True
node = material.node_tree.nodes.new("ShaderNodeTexImage")
node.image = image
material.node_tree.nodes.active = node
cube = bpy.data.objects["Cube"]
cube.data.materials.clear()
cube.data.materials.append(material)
bpy.context.view_layer.objects.active = cube
bpy.ops.object.mode_set(mode="TEXTURE_PAINT")
"""
HERE = """
[o.name for o in bpy.context.evaluated_depsgraph_get().objects
 if o.type == "MESH" and o.visible_in_viewport_get(bpy.context.space_data)]
"""
TEXTURED = """
image = bpy.data.images.new("block", 64, 64)
material = bpy.data.materials.new("block")
material.use_nodes = True
node = material.node_tree.nodes.new("ShaderNodeTexImage")
node.image = image
material.node_tree.nodes.active = node
bpy.data.objects["Ball"].data.materials[0] = material
bpy.context.space_data.shading.color_type = "TEXTURE"
"""
PIXELS = """
image.pixels.foreach_set([{}] * (64 * 64 * 4))
image.update()
bpy.context.area.tag_redraw()
if bpy.app.version >= (5, 2):
    image.update_tag()
"""
EDITED = """
[s.image.name if s.image else "" for a in bpy.context.window_manager.windows[0].screen.areas
 for s in [a.spaces.active] if s.type == "IMAGE_EDITOR"]
"""
STUBBORN = """
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
token = sys.argv[sys.argv.index("--token-file") + 1]
open(token, "w").write("x" * 32)
print(json.dumps({"event": "listening", "url": "ws://127.0.0.1:9/live", "token_file": token, "pid": os.getpid()}))
sys.stdout.flush()
time.sleep(600)
"""


def test_other_viewports_are_given_back(artist: Artist) -> None:
    window, live = artist.window, artist.live
    window.run("bpy.context.space_data.shading.light = 'FLAT'\nbpy.context.space_data.lens = 35")
    before = window.run(OTHERS)
    artist.start()
    window.run(LENT + SEEN_WHEN_SAVED)
    # They are used while the view changes, and are their owner's again when it rests: Blender saves by itself then.
    artist.do("moved", "bpy.data.objects['Cube'].location.x = 1")
    window.until("not spaces._lent")
    assert window.run("max(lent)") > 0, "no other 3D View was used: this test sees nothing"
    assert window.run("others()") == before
    artist.nothing_happens("after they were given back")
    # Saved in mid-movement.
    window.run("lent.clear()\nbpy.data.objects['Cube'].location.x = 2")
    window.until("lent and lent[-1]")
    window.run(f"bpy.ops.wm.save_as_mainfile(filepath={str(artist.folder / 'town.blend')!r}, copy=True)")
    assert window.run("saved") == [[before, 0]]
    live.rest()
    # To another workspace while live is paused, and while it is not.
    for paused in (True, False):
        window.run(f"lent.clear()\nbpy.data.objects['Cube'].location.x -= 1\nlive.paused = {paused}")
        for name in ("Modeling", "Sculpting", "Layout"):
            window.run(SWITCH.format(name))
            window.until(f"bpy.context.window_manager.windows[0].workspace.name == {name!r}")
            live.rest()
            live.shot(f"{name}{' paused' if paused else ''}")
            window.until("not spaces._lent")  # given back some heartbeats after the view has come to rest
            assert window.run("[row for row in others() if row[0] != 'Layout']") == before, name
        window.run("live.paused = False")
        live.rest()
    live.rest()
    window.run("bpy.ops.draftglass.stop()")
    assert window.run("others()") == before


def clip(artist: Artist) -> None:
    """Alt+B, and a box from the middle of the view: a part of the cube."""
    window = artist.window
    left, top, width, height = window.rectangle("VIEW_3D")
    middle = left + width // 2, top + height // 2
    window.screen.move_to(*middle)
    window.catch_up()
    window.screen.key("alt+b")
    window.catch_up()
    window.screen.drag(middle, (150, 100), button=1)
    window.until("bpy.context.space_data.region_3d.use_clip_planes")


def test_what_else_a_view_can_show(artist: Artist) -> None:
    artist.window.run(
        "second = bpy.data.collections.new('Second')\nbpy.context.scene.collection.children.link(second)\n"
        "ball = bpy.data.objects.new('Ball', bpy.data.objects['Cube'].data.copy())\n"
        "ball.location = (3, 0, 0)\nsecond.objects.link(ball)"
    )
    artist.start()
    artist.nothing_happens("at rest")
    whole = artist.do("moved", "ball.location.z = 1")
    clipped = artist.see("clipped", lambda: clip(artist))
    assert clipped[0] != whole[0]
    artist.nothing_happens("clipped")
    artist.do("whole again", "bpy.context.space_data.region_3d.use_clip_planes = False")
    artist.window.run("bpy.context.space_data.use_local_collections = True")
    artist.live.rest()
    artist.shot = artist.live.picture("local collections")
    artist.do("one collection", "bpy.ops.object.hide_collection(collection_index=2)")
    assert artist.window.run(HERE) == ["Ball"]
    artist.nothing_happens("in local collections")
    artist.do("all of them", "bpy.context.space_data.use_local_collections = False")
    # Pixels that a script writes. 4.3's viewport shows them when it is drawn the next time and tells of the first write
    # only; 5.2's, live or not, keeps the old ones until the image is tagged.
    artist.do("textured", TEXTURED)
    for value in (0.2, 0.9, 0.4):
        artist.do(f"painted {value}", PIXELS.format(value))
        artist.nothing_happens("painted")


def test_editors_that_are_somebodys(artist: Artist) -> None:
    window, live = artist.window, artist.live
    window.run("area = next(a for a in bpy.context.screen.areas if a.ui_type == 'TIMELINE')\narea.ui_type = 'UV'")
    # Live is started in a maximised 3D View: there is no room beside it until it is small again.
    window.run("bpy.ops.screen.screen_full_area()")
    window.until(f"len({AREAS}) == 1")
    window.run("bpy.ops.draftglass.start()")
    live.wait_for("the first picture", lambda stats: stats["pictures_shown"] > 0)
    live.rest()
    assert window.run(AREAS) == ["VIEW_3D"]
    live.shot("maximised")
    window.run("bpy.ops.screen.back_to_previous()")
    window.until(f"'IMAGE_EDITOR' in {AREAS}")
    live.rest()
    live.shot("small again")
    assert window.run(AREAS).count("UV") == 1 and window.run(AREAS).count("IMAGE_EDITOR") == 1
    assert sorted(window.run(EDITED)) == ["", "Draftglass"], "the UV Editor was taken"
    window.run(PAINT)
    live.rest()
    live.shot("painting")
    assert "Draftglass" in window.run(EDITED), "Texture Paint took the live picture's editor"
    window.run("bpy.ops.object.mode_set(mode='OBJECT')\nbpy.ops.draftglass.stop()")
    assert not window.run(
        "[s.use_image_pin for a in bpy.context.window_manager.windows[0].screen.areas for s in [a.spaces.active]"
        " if s.type == 'IMAGE_EDITOR' and s.use_image_pin]"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to be ignored")
def test_a_server_that_ignores_its_end_is_killed(artist: Artist, tmp_path: Path) -> None:
    window = artist.window
    python = tmp_path / "python"
    python.write_text("#!/usr/bin/env python3" + STUBBORN)
    python.chmod(0o755)
    window.run(f"preferences.server_url = ''\npreferences.server_python = {str(python)!r}\nbpy.ops.draftglass.start()")
    process = window.until("live.process() and live.process().pid")
    window.until("live.loop() is not None")
    window.run("bpy.ops.draftglass.stop()")
    gone = f"import os\nnot os.path.exists('/proc/{process}')"
    assert not window.run(gone), "it ended by itself: this test sees nothing"
    window.until(gone)
