"""Nothing is drawn while that would crash Blender: what was deleted is let go of first, its own threads are waited for.

Where one of these fails, the whole run ends in a segmentation fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.bpy.test_out_of_the_way import beat_until, live, rest, server, start

__all__ = ["live", "server"]  # fixtures


def painted(scene: Any) -> tuple[Any, Any, Any, list[Any]]:
    """Five triangles that share a mesh, a material and an image."""
    import bpy

    image, material = bpy.data.images.new("Paint", 64, 64), bpy.data.materials.new("Painted")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image, material.node_tree.nodes.active = image, node
    mesh = bpy.data.meshes.new("Triangle")
    mesh.from_pydata([(-1, 0, -1), (1, 0, -1), (0, 0, 1)], [], [(0, 1, 2)])
    mesh.uv_layers.new()
    mesh.materials.append(material)
    things = [bpy.data.objects.new("Triangle", mesh) for _ in range(5)]
    for thing in things:
        scene.collection.objects.link(thing)
    return image, material, mesh, things


def of_image(image: Any, _material: Any, _mesh: Any, _things: list[Any]) -> None:
    import bpy

    bpy.data.images.remove(image)


def of_material(_image: Any, material: Any, _mesh: Any, _things: list[Any]) -> None:
    import bpy

    bpy.data.materials.remove(material)


def of_mesh(_image: Any, _material: Any, mesh: Any, _things: list[Any]) -> None:
    import bpy

    bpy.data.meshes.remove(mesh)


def of_objects(_image: Any, _material: Any, _mesh: Any, things: list[Any]) -> None:
    import bpy

    bpy.data.batch_remove(things)


def of_faces(_image: Any, _material: Any, mesh: Any, _things: list[Any]) -> None:
    mesh.clear_geometry()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("removal", [of_image, of_material, of_mesh, of_objects, of_faces])
def test_what_a_script_deletes_in_the_same_turn_is_let_go_of_first(
    live: Any, scene: Any, removal: Callable[..., None]
) -> None:
    import bpy

    from addon.blender.capture import spaces

    for _, space in spaces.view_spaces():
        space.shading.color_type = "TEXTURE"
    start(live)
    rest(live)
    for _ in range(2):
        found = painted(scene)
        bpy.context.view_layer.update()
        beat_until(live, lambda stats: stats["frames_sent"] > 0)
        rest(live)
        sent = live.stats()["frames_sent"]
        removal(*found)
        scene.draftglass.prompt += "."  # what a change of the key brings: a capture within this turn
        beat_until(live, lambda stats, before=sent: stats["frames_sent"] > before)
        rest(live)


def test_taking_in_what_changed_calls_nobody_where_nothing_did(live: Any, scene: Any) -> None:
    """Which a capture does each time."""
    import bpy

    from addon.blender.capture import changes

    start(live)
    rest(live)
    before = changes._edits
    bpy.context.view_layer.update()
    assert changes._edits == before
    scene.camera.location.x += 1
    bpy.context.view_layer.update()
    assert changes._edits > before, "an edit that waited was not seen"


def test_nothing_is_drawn_beside_a_thread_of_blenders(live: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from addon.blender.live import session

    start(live)
    sent = rest(live)["frames_sent"]
    monkeypatch.setattr(session, "is_drawing", lambda: True)
    scene.draftglass.prompt = "another one"
    for _ in range(100):
        live.tick()
    assert live.stats()["frames_sent"] == sent
    monkeypatch.undo()
    beat_until(live, lambda stats: stats["frames_sent"] > sent)


@pytest.mark.parametrize("job", ["RENDER_PREVIEW", "SHADER_COMPILATION", "COMPOSITE"])
def test_which_threads_those_are(blender: Any, monkeypatch: pytest.MonkeyPatch, job: str) -> None:
    from types import SimpleNamespace

    from addon.blender.capture import jobs

    assert not jobs.is_drawing() and not jobs.is_rendering()
    assert blender.app.is_job_running(job) is False, "Blender has no such job"
    running = SimpleNamespace(app=SimpleNamespace(is_job_running=lambda asked: asked == job))
    monkeypatch.setattr(jobs, "bpy", running)
    for one_at_a_time in (True, False):
        monkeypatch.setattr(jobs, "ONE_AT_A_TIME", one_at_a_time)
        assert jobs.is_drawing() is one_at_a_time and not jobs.is_rendering()
